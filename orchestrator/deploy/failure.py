"""What a failed deployment leaves: its raw texts in the service's folder, and an error that says what they say."""

from __future__ import annotations

from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.diagnostics import Evidence, diagnose, save, tell
from orchestrator.errors import DeployError


def failure(evidence: Evidence, what: str, home: ServiceDirectory) -> DeployError:
    """The doctor's word on the evidence, which is kept in a folder of its own."""
    folder = home.new_failure()
    save(evidence, folder)
    return DeployError(tell(diagnose(evidence), folder, what))
