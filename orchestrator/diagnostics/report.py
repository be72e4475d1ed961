"""A diagnosis as the text of a DeployError: one line that says it all, then the proof and where the raw texts are."""

from __future__ import annotations

from pathlib import Path

from orchestrator.diagnostics.evidence import Diagnosis

LONGEST = 400  # a service's error may be a whole JSON document on one line


def tell(diagnosis: Diagnosis, folder: Path, what: str = "") -> str:
    """``what`` happened and why, the remedy, the line that proves it, and the ``folder`` (or file) of the raw texts."""
    said = diagnosis.cause if diagnosis.cause.startswith(what) else f"{what}: {diagnosis.cause}"
    lines = [line if len(line) <= LONGEST else f"{line[:LONGEST]}..." for line in diagnosis.proof.splitlines()]
    if diagnosis.kind == "unknown":
        return "\n".join([f"deploy: {said}", *(f"    {line}" for line in lines), f"  {diagnosis.remedy}: {folder}"])
    proof = "\n".join(f"  proof: {line}" for line in lines)
    return f"deploy: {said}; {diagnosis.remedy}\n{proof}\n  raw texts: {folder}"
