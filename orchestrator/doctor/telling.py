"""A diagnosis as the text of a DeployError: one line that says it all, then the proof and where the raw texts are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from orchestrator.doctor.diagnosing import diagnose
from orchestrator.doctor.evidence import Diagnosis, Evidence
from orchestrator.doctor.keeping import save

LONGEST = 400  # a service's error may be a whole JSON document on one line


def tell(diagnosis: Diagnosis, folder: Path, what: str = "") -> str:
    """``what`` happened and why, the remedy, the line that proves it, and the ``folder`` (or file) of the raw texts."""
    said = diagnosis.cause if diagnosis.cause.startswith(what) else f"{what}: {diagnosis.cause}"
    lines = [line if len(line) <= LONGEST else f"{line[:LONGEST]}..." for line in diagnosis.proof.splitlines()]
    if diagnosis.kind == "unknown":
        return "\n".join([f"deploy: {said}", *(f"    {line}" for line in lines), f"  {diagnosis.remedy}: {folder}"])
    proof = "\n".join(f"  proof: {line}" for line in lines)
    return f"deploy: {said}; {diagnosis.remedy}\n{proof}\n  raw texts: {folder}"


def examine(evidence: Evidence, logs: Path, what: str = "") -> str:
    """Keep the raw texts in a new folder below ``logs``, and tell what they say."""
    folder = logs / f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"
    save(evidence, folder)
    return tell(diagnose(evidence), folder, what)
