"""Match the rules of the tables against the texts of the phase that failed.

A deployment fails in one of three phases, which its error distinguishes: the request is refused, the image is not
built, the container does not start. Texts of other phases concern something else, such as a former service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.diagnostics.evidence import Evidence, Source
from orchestrator.diagnostics.log_parser import Chain, Line, LoggedException, lines_after, parse_exceptions
from orchestrator.diagnostics.rules import Confidence, FailureRule, Finding
from orchestrator.diagnostics.tables.image_build import BUILD_RULES
from orchestrator.diagnostics.tables.platform_refusals import REFUSAL_RULES
from orchestrator.diagnostics.tables.startup import EXCEPTION_RULES, LOG_RULES

ALL_RULES = (*EXCEPTION_RULES, *LOG_RULES, *BUILD_RULES, *REFUSAL_RULES)
ANY_EXCEPTION = FailureRule("crash_loop", r".*", "{quoted}", "{fix}", Confidence.EXCEPTION)
_START_FAILED = re.compile(
    r"CrashLoopBackOff|Error in entry script|container application crashed|died while starting|"
    r"[Ee]xited with (?:exit )?code"
)
_BUILD_FAILED = re.compile(
    r"EnvironmentBuildFailed|ImageBuildFailed|[Ff]ailed building the Environment|[Ii]mage build failed"
)
_TIMED_OUT = re.compile(r"DeploymentTimedOut|not ready in time|polling has TimedOut|Timed out waiting")
_STARTED = re.compile(
    r"init has completed successfully|Application startup complete|Serving package \w|Uvicorn running on"
)
_BUILT = re.compile(r"^Successfully (?:built|tagged|pushed)|naming to \S+ (?:\S+ )?done|Run ID: \S+ was successful")
_QUOTED_EXCEPTION = re.compile(r"Error in entry script, (?P<exception>.+?)(?:, please run|\\n|\"|$)")


def find_matches(evidence: Evidence, texts: Mapping[Source, Sequence[Line]]) -> list[Finding]:
    """Return every match of a rule for this target, in the texts of the phase that failed."""
    exception_rules, log_rules, build_rules, refusal_rules = (
        [rule for rule in table if not rule.targets or evidence.target in rule.targets]
        for table in (EXCEPTION_RULES, LOG_RULES, BUILD_RULES, REFUSAL_RULES)
    )
    error, state = texts["error"], texts["state"]
    log = lines_after(_STARTED, texts["container log"])  # what a successful start survived did not end it
    starting = [
        *_first_of_each_line(_match_lines(log_rules, [*error, *log, *state])),
        *_first_of_each_line(_match_lines(exception_rules, _quoted_exceptions(error))),
        *_match_exceptions(exception_rules, parse_exceptions(log), log),
    ]
    building = _match_lines(build_rules, [*error, *lines_after(_BUILT, texts["build log"])])
    if _START_FAILED.search(evidence.error):
        return starting
    if _TIMED_OUT.search(evidence.error):  # the platform ended the container itself: only its log shows another end
        return [found for found in starting if found.line.source == "container log" or not _is_termination(found)]
    if _BUILD_FAILED.search(evidence.error):
        return building
    refused = _match_lines(refusal_rules, [*error, *state])
    if any(found.rule.confidence == Confidence.CAUSE for found in refused):
        return refused
    # a state alone proves little beside an answer that no rule knows
    return [
        found
        for found in (*refused, *building, *starting)
        if found.line.source != "state" or found.rule.confidence > Confidence.SYMPTOM or not error
    ]


def _is_termination(finding: Finding) -> bool:
    return finding.rule.confidence <= Confidence.HINT and finding.rule.kind != "timeout_unhealthy"


def _quoted_exceptions(error: Sequence[Line]) -> list[Line]:
    """Return the exceptions of the entry script that Azure's answer quotes."""
    return [replace(line, text=match["exception"]) for line in error if (match := _QUOTED_EXCEPTION.search(line.text))]


def _match_lines(rules: Iterable[FailureRule], lines: Sequence[Line]) -> list[Finding]:
    return [
        Finding(rule, line, match)
        for rule in rules
        for line in lines
        if (rule.match_warnings or not line.harmless)
        and (match := re.search(rule.pattern, line.text))
        and _is_confirmed(rule, lines)
        and not _went_on(rule, line, lines)
    ]


def _first_of_each_line(findings: Iterable[Finding]) -> list[Finding]:
    """Keep the first rule that matches a line."""
    first: dict[Line, Finding] = {}
    for finding in findings:
        first.setdefault(finding.line, finding)
    return list(first.values())


def _is_confirmed(rule: FailureRule, lines: Sequence[Line]) -> bool:
    return not rule.requires or any(re.search(rule.requires, line.text) for line in lines)


def _went_on(rule: FailureRule, line: Line, lines: Sequence[Line]) -> bool:
    later = (other for other in lines if other.source == line.source and other.number > line.number)
    return bool(rule.unless_later) and any(re.search(rule.unless_later, other.text) for other in later)


def _match_exceptions(rules: Sequence[FailureRule], chains: Sequence[Chain], log: Sequence[Line]) -> list[Finding]:
    """Match every chain. The last one ended the process; an earlier one of another kind makes that doubtful."""
    findings = [_match_chain(rules, chain, log) for chain in chains]
    if any(finding.rule.confidence == Confidence.CAUSE for finding in findings):
        findings[-1] = replace(findings[-1], rule=replace(findings[-1].rule, confidence=Confidence.CAUSE))
    return findings


def _match_chain(rules: Sequence[FailureRule], chain: Chain, log: Sequence[Line]) -> Finding:
    """Return the first match of the last exception that was not handled, or of one that led to it."""
    own = [exception for exception in chain if not exception.wraps] or list(chain)
    for exception in reversed([exception for exception in own if not exception.handled]):
        for finding in _match_exception(rules, exception, log):
            return finding
    line = own[-1].line
    match = re.match(ANY_EXCEPTION.pattern, line.text)
    assert match is not None
    return Finding(ANY_EXCEPTION, line, match)


def _match_exception(
    rules: Sequence[FailureRule], exception: LoggedException, log: Sequence[Line]
) -> Iterator[Finding]:
    for rule in rules:
        match = re.search(rule.pattern, exception.line.text.strip())
        if match and re.search(rule.frames, exception.frames) and _is_confirmed(rule, log):
            yield Finding(rule, exception.line, match, exception.frames)
