"""From what was found to a diagnosis: only the heaviest findings count, and two causes of different kinds are none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.diagnostics.evidence import Diagnosis, Evidence, Source
from orchestrator.diagnostics.log_parser import Line, read
from orchestrator.diagnostics.matcher import TABLES, findings
from orchestrator.diagnostics.remedies import words
from orchestrator.diagnostics.rules import Confidence, Finding
from orchestrator.redaction import redact

SHOWN = 5
_WELL = {"healthy", "running", "succeeded"}
_DIRECT: Sequence[Source] = ("container log", "build log", "error", "state")
_ALARMING = re.compile(
    r"\b(?:errors?|exceptions?|fail\w*|fatal|critical|denied|refused|cannot|not found|killed)\b|"
    r"[a-z](?:Error|Exception)\b|\[Errno",
    re.IGNORECASE,
)
# What stands around every answer of the SDK and says nothing.
_FRAME = re.compile(r"^\s*\w+:$|Service deployment polling|InnerException|ErrorResponse|\"(?:code|error)\":")


def diagnose(evidence: Evidence) -> Diagnosis:
    """The one cause that the evidence proves, or "unknown" with the first error lines."""
    texts = {source: read(source, redact(text)) for source, text in evidence.texts().items()}
    lines = [line for found in texts.values() for line in found]
    if _nothing_failed(evidence):
        return _unknown("Unknown: nothing says that anything failed", lines)
    found = findings(evidence, texts)
    heaviest = max((finding.rule.weight for finding in found), default=Confidence.SYMPTOM)
    counting = [finding for finding in found if finding.rule.weight == heaviest]
    if not counting:
        return _unknown("Unknown, here are the first error lines", lines)
    if heaviest > Confidence.SYMPTOM and len({finding.rule.kind for finding in counting}) > 1:
        both = [finding.line for finding in counting]
        return _unknown("Unknown (more than one cause fits), here are the first error lines", lines, both)
    chosen = min(counting, key=_importance)
    told = words(chosen, evidence, lines)
    cause, remedy = chosen.rule.cause.format_map(told), chosen.rule.remedy.format_map(told)
    return Diagnosis(cause, str(chosen.line), remedy, chosen.rule.kind)


def _nothing_failed(evidence: Evidence) -> bool:
    well = evidence.service_state.lower() in _WELL and (evidence.http_status or 200) < 400
    return well and not evidence.error.strip()


def _importance(finding: Finding) -> tuple[int, int, int]:
    """The first rule of the tables (a crash stands before the time-out that follows it), then the earliest line.

    A log's own line says more than the document that quotes it.
    """
    return _ORDER.get(finding.rule, -1), _DIRECT.index(finding.line.source), finding.line.number


def _unknown(cause: str, lines: Sequence[Line], found: Sequence[Line] = ()) -> Diagnosis:
    written = [line for line in lines if line.source != "state" and line.text.strip()]
    alarming = [
        line for line in written if not line.quiet and _ALARMING.search(line.text) and not _FRAME.search(line.text)
    ]
    chosen = sorted(found or alarming or written[-SHOWN:], key=lambda line: (_DIRECT.index(line.source), line.number))
    told: dict[str, Line] = {}
    for line in chosen:
        told.setdefault(line.text.strip(), line)
    proof = "\n".join(str(line) for line in list(told.values())[:SHOWN])
    return Diagnosis(cause, proof or "nothing was written", "read the raw texts, and mend what they name", "unknown")


_ORDER = {rule: at for at, rule in enumerate(TABLES)}
