"""Diagnose a failure: only findings of the highest confidence count, and if those differ in kind it is unknown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.diagnostics.evidence import Diagnosis, Evidence, Source
from orchestrator.diagnostics.log_parser import Line, parse_lines
from orchestrator.diagnostics.matcher import ALL_RULES, find_matches
from orchestrator.diagnostics.remedies import template_values
from orchestrator.diagnostics.rules import Confidence, Finding
from orchestrator.redaction import redact

MAX_SHOWN_LINES = 5
_HEALTHY_STATES = {"healthy", "running", "succeeded"}
_SOURCE_ORDER: Sequence[Source] = ("container log", "build log", "error", "state")
_ALARMING = re.compile(
    r"\b(?:errors?|exceptions?|fail\w*|fatal|critical|denied|refused|cannot|not found|killed)\b|"
    r"[a-z](?:Error|Exception)\b|\[Errno",
    re.IGNORECASE,
)
# Lines that frame every answer of the SDK and carry no information.
_FRAME = re.compile(r"^\s*\w+:$|Service deployment polling|InnerException|ErrorResponse|\"(?:code|error)\":")


def diagnose(evidence: Evidence) -> Diagnosis:
    """Return the one cause that the evidence proves, or "unknown" with the first error lines."""
    texts = {source: parse_lines(source, redact(text)) for source, text in evidence.texts().items()}
    lines = [line for text in texts.values() for line in text]
    if _nothing_failed(evidence):
        return _unknown("Unknown: nothing says that anything failed", lines)
    findings = find_matches(evidence, texts)
    highest = max((finding.rule.confidence for finding in findings), default=Confidence.SYMPTOM)
    decisive = [finding for finding in findings if finding.rule.confidence == highest]
    if not decisive:
        return _unknown("Unknown, here are the first error lines", lines)
    if highest > Confidence.SYMPTOM and len({finding.rule.kind for finding in decisive}) > 1:
        proofs = [finding.line for finding in decisive]
        return _unknown("Unknown (more than one cause fits), here are the first error lines", lines, proofs)
    chosen = min(decisive, key=_priority)
    values = template_values(chosen, evidence, lines)
    cause, remedy = chosen.rule.cause.format_map(values), chosen.rule.remedy.format_map(values)
    return Diagnosis(cause, str(chosen.line), remedy, chosen.rule.kind)


def _nothing_failed(evidence: Evidence) -> bool:
    healthy = evidence.service_state.lower() in _HEALTHY_STATES and (evidence.http_status or 200) < 400
    return healthy and not evidence.error.strip()


def _priority(finding: Finding) -> tuple[int, int, int]:
    """Sort by the order of the rules (a crash precedes the time-out that follows it), then by source and line.

    A log's own line is more precise than an answer that quotes it.
    """
    return _RULE_ORDER.get(finding.rule, -1), _SOURCE_ORDER.index(finding.line.source), finding.line.number


def _unknown(cause: str, lines: Sequence[Line], proofs: Sequence[Line] = ()) -> Diagnosis:
    written = [line for line in lines if line.source != "state" and line.text.strip()]
    alarming = [
        line for line in written if not line.harmless and _ALARMING.search(line.text) and not _FRAME.search(line.text)
    ]
    chosen = sorted(
        proofs or alarming or written[-MAX_SHOWN_LINES:],
        key=lambda line: (_SOURCE_ORDER.index(line.source), line.number),
    )
    distinct: dict[str, Line] = {}
    for line in chosen:
        distinct.setdefault(line.text.strip(), line)
    proof = "\n".join(str(line) for line in list(distinct.values())[:MAX_SHOWN_LINES])
    return Diagnosis(cause, proof or "nothing was written", "read the raw texts, and fix what they name", "unknown")


_RULE_ORDER = {rule: position for position, rule in enumerate(ALL_RULES)}
