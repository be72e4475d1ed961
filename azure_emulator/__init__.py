"""An emulator of Azure's REST services: the whole Azure path on one machine, with the real SDK.

``start(folder)`` runs it in the background, ``environment(folder)`` returns the variables for the process with the SDK
(to be set before it imports ``azureml``), ``stop(folder)`` stops it. ``README.md`` lists what it does not imitate.
"""

from azure_emulator.common.faults import FAULTS
from azure_emulator.control import Emulator, EmulatorError, environment, running, start, stop, workspace_config

__all__ = ["FAULTS", "Emulator", "EmulatorError", "environment", "running", "start", "stop", "workspace_config"]
