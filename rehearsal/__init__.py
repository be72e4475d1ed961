"""A stand-in of Azure's REST services, for rehearsing the whole Azure path on one machine with the real SDK.

``start(folder)`` runs it in the background, ``environment(folder)`` is what the process with the SDK needs (before it
imports ``azureml``), ``stop(folder)`` ends it. ``README.md`` says what it does not imitate.
"""

from rehearsal.control import Rehearsal, RehearsalError, environment, running, start, stop, workspace_config
from rehearsal.faults import FAULTS

__all__ = ["FAULTS", "Rehearsal", "RehearsalError", "environment", "running", "start", "stop", "workspace_config"]
