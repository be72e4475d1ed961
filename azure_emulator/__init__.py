"""A stand-in of Azure's REST services, to run the whole Azure path on one machine with the real SDK.

``start(folder)`` runs it in the background, ``environment(folder)`` is what the process with the SDK needs (before it
imports ``azureml``), ``stop(folder)`` ends it. ``README.md`` says what it does not imitate.
"""

from azure_emulator.common.faults import FAULTS
from azure_emulator.control import Emulator, EmulatorError, environment, running, start, stop, workspace_config

__all__ = ["FAULTS", "Emulator", "EmulatorError", "environment", "running", "start", "stop", "workspace_config"]
