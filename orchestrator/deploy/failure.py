"""Save the raw texts of a failed deployment and diagnose them."""

from __future__ import annotations

from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.diagnostics import Evidence, diagnose, format_diagnosis, save_evidence
from orchestrator.errors import DeployError


def failure(evidence: Evidence, what: str, home: ServiceDirectory) -> DeployError:
    """Return the error with the diagnosis of the evidence, which is saved in a folder of its own."""
    folder = home.new_failure()
    save_evidence(evidence, folder)
    diagnosis = diagnose(evidence)
    return DeployError(format_diagnosis(diagnosis, folder, what), diagnosis.kind)
