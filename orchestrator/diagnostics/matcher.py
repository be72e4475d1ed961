"""What the tables find in the evidence, and in which of its texts they may look.

A deployment fails in one of three phases, which its error tells apart: the request is refused, the image is not
built, the container does not come up. Texts of other phases are about something else, such as an old service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.diagnostics.evidence import Evidence, Source
from orchestrator.diagnostics.log_parser import Chain, Line, LoggedException, after, chains
from orchestrator.diagnostics.rules import Confidence, FailureRule, Finding
from orchestrator.diagnostics.tables import image_build, platform_refusals, startup

TABLES = (*startup.EXCEPTIONS, *startup.WRITTEN, *image_build.RULES, *platform_refusals.RULES)
RAISED = FailureRule("crash_loop", re.compile(r".*"), "{quoted}", "{mend}", Confidence.EXCEPTION)
_STARTED = re.compile(
    r"CrashLoopBackOff|Error in entry script|container application crashed|died while starting|"
    r"[Ee]xited with (?:exit )?code"
)
_BUILT = re.compile(r"EnvironmentBuildFailed|ImageBuildFailed|[Ff]ailed building the Environment|[Ii]mage build failed")
_WAITED = re.compile(r"DeploymentTimedOut|not ready in time|polling has TimedOut|Timed out waiting")
_CAME_UP = re.compile(
    r"init has completed successfully|Application startup complete|Serving package \w|Uvicorn running on"
)
_BUILT_WELL = re.compile(
    r"^Successfully (?:built|tagged|pushed)|naming to \S+ (?:\S+ )?done|Run ID: \S+ was successful"
)
_QUOTED = re.compile(r"Error in entry script, (?P<said>.+?)(?:, please run|\\n|\"|$)")


def findings(evidence: Evidence, texts: Mapping[Source, Sequence[Line]]) -> list[Finding]:
    """Every finding of a rule that is about this target, in the texts that the failed phase wrote."""
    exceptions, written, builds, requests = (
        [rule for rule in table if not rule.targets or evidence.target in rule.targets]
        for table in (startup.EXCEPTIONS, startup.WRITTEN, image_build.RULES, platform_refusals.RULES)
    )
    error, state = texts["error"], texts["state"]
    log = after(_CAME_UP, texts["container log"])  # what a start outlived did not end it
    starting = [
        *_first_of_each(_in_lines(written, [*error, *log, *state])),
        *_first_of_each(_in_lines(exceptions, _quoted(error))),
        *_in_chains(exceptions, chains(log), log),
    ]
    building = _in_lines(builds, [*error, *after(_BUILT_WELL, texts["build log"])])
    if _STARTED.search(evidence.error):
        return starting
    if _WAITED.search(evidence.error):  # whoever gave up waiting ended it too: only its own log tells of another end
        return [found for found in starting if found.line.source == "container log" or not _is_an_end(found)]
    if _BUILT.search(evidence.error):
        return building
    refused = _in_lines(requests, [*error, *state])
    if any(found.rule.weight == Confidence.CAUSE for found in refused):
        return refused
    both = [*refused, *building, *starting]
    # a state alone says little next to an answer that no rule knows
    return [
        found for found in both if found.line.source != "state" or found.rule.weight > Confidence.SYMPTOM or not error
    ]


def _is_an_end(finding: Finding) -> bool:
    return finding.rule.weight <= Confidence.HINT and finding.rule.kind != "timeout_unhealthy"


def _quoted(error: Sequence[Line]) -> list[Line]:
    """The exceptions of the entry script that Azure's answer quotes."""
    return [replace(line, text=match["said"]) for line in error if (match := _QUOTED.search(line.text))]


def _in_lines(rules: Iterable[FailureRule], lines: Sequence[Line]) -> list[Finding]:
    return [
        Finding(rule, line, match)
        for rule in rules
        for line in lines
        if (rule.quiet or not line.quiet)
        and (match := rule.pattern.search(line.text))
        and _also(rule, lines)
        and not _outlived(rule, line, lines)
    ]


def _first_of_each(found: Iterable[Finding]) -> list[Finding]:
    """A line of a container is of the first rule that fits it."""
    first: dict[Line, Finding] = {}
    for finding in found:
        first.setdefault(finding.line, finding)
    return list(first.values())


def _also(rule: FailureRule, lines: Sequence[Line]) -> bool:
    return rule.also is None or any(rule.also.search(line.text) for line in lines)


def _outlived(rule: FailureRule, line: Line, lines: Sequence[Line]) -> bool:
    later = (other for other in lines if other.source == line.source and other.number > line.number)
    return rule.outlived is not None and any(rule.outlived.search(other.text) for other in later)


def _in_chains(rules: Sequence[FailureRule], traces: Sequence[Chain], log: Sequence[Line]) -> list[Finding]:
    """What ended the process: the last chain. An earlier one of another kind makes it doubtful, and so counts too."""
    found = [_in_chain(rules, chain, log) for chain in traces]
    if any(finding.rule.weight == Confidence.CAUSE for finding in found):
        found[-1] = replace(found[-1], rule=replace(found[-1].rule, weight=Confidence.CAUSE))
    return found


def _in_chain(rules: Sequence[FailureRule], chain: Chain, log: Sequence[Line]) -> Finding:
    """The first rule that fits the last exception that was not handled, or one that led to it."""
    own = [raised for raised in chain if not raised.wraps] or list(chain)
    for raised in reversed([raised for raised in own if not raised.handled]):
        for finding in _in_raised(rules, raised, log):
            return finding
    line = own[-1].line
    match = RAISED.pattern.match(line.text)
    assert match is not None
    return Finding(RAISED, line, match)


def _in_raised(rules: Sequence[FailureRule], raised: LoggedException, log: Sequence[Line]) -> Iterator[Finding]:
    for rule in rules:
        match = rule.pattern.search(raised.line.text.strip())
        if match and (rule.frames is None or rule.frames.search(raised.frames)) and _also(rule, log):
            yield Finding(rule, raised.line, match, raised.frames)
