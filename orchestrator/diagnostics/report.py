"""What remains of a failed deployment: the text of its error, and its evidence as private files without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.diagnostics.evidence import Diagnosis, Evidence
from orchestrator.files import write_private
from orchestrator.redaction import MASK, is_secret_name, redact

MAX_LINE_LENGTH = 400  # a service's error may be a whole JSON document on one line


def format_diagnosis(diagnosis: Diagnosis, folder: Path, what: str = "") -> str:
    """Format ``what`` happened and why, the remedy, the proof, and the ``folder`` (or file) of the raw texts."""
    cause = diagnosis.cause if diagnosis.cause.startswith(what) else f"{what}: {diagnosis.cause}"
    lines = [
        line if len(line) <= MAX_LINE_LENGTH else f"{line[:MAX_LINE_LENGTH]}..."
        for line in diagnosis.proof.splitlines()
    ]
    if diagnosis.kind == "unknown":
        return "\n".join([f"deploy: {cause}", *(f"    {line}" for line in lines), f"  {diagnosis.remedy}: {folder}"])
    proof = "\n".join(f"  proof: {line}" for line in lines)
    return f"deploy: {cause}; {diagnosis.remedy}\n{proof}\n  raw texts: {folder}"


def save_evidence(evidence: Evidence, folder: Path) -> None:
    """Write ``build.log``, ``container.log``, ``error.txt`` and ``state.json``, redacted, for their owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "target": evidence.target,
        "service_state": evidence.service_state,
        "http_status": evidence.http_status,
        "settings": _redact_settings(evidence.settings),
    }
    write_private(folder / "build.log", redact(evidence.build_log))
    write_private(folder / "container.log", redact(evidence.container_log))
    write_private(folder / "error.txt", redact(evidence.error))
    write_private(folder / "state.json", json.dumps(state, indent=2) + "\n")


def _redact_settings(value: Any, name: str = "") -> Any:
    """Convert settings to JSON types; redact the whole value of a secret name."""
    if isinstance(value, Mapping):
        return {str(key): _redact_settings(below, str(key)) for key, below in value.items()}
    if is_secret_name(name) and isinstance(value, str) and value:
        return MASK
    if isinstance(value, list | tuple):
        return [_redact_settings(below, name) for below in value]
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))
