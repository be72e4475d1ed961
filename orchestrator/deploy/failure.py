"""What a failed deployment leaves: its raw texts in the service's folder, and an error that says what they say."""

from __future__ import annotations

from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.diagnostics import Evidence, diagnose, format_diagnosis, save_evidence
from orchestrator.errors import DeployError


def failure(evidence: Evidence, what: str, home: ServiceDirectory) -> DeployError:
    """The doctor's word on the evidence, which is kept in a folder of its own."""
    folder = home.new_failure()
    save_evidence(evidence, folder)
    return DeployError(format_diagnosis(diagnose(evidence), folder, what))
