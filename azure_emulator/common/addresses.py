"""Where things are: the host names of Azure that the stand-in answers for, and the one workspace behind them."""

from __future__ import annotations

SUBSCRIPTION = "0a2e0000-0000-4000-8000-00000000a2e1"
RESOURCE_GROUP = "emulator"
WORKSPACE = "emulator"
WORKSPACE_ID = "0a2e0000-0000-4000-8000-00000000a2e2"
LOCATION = "westeurope"
CLUSTER = "aks"  # the Kubernetes compute that is attached from the start

TENANT = "0a2e0000-0000-4000-8000-00000000a2e3"
CLIENT = "0a2e0000-0000-4000-8000-00000000a2e4"

# The SDK keeps real names, hard-coded ones too; blobs even need one of three labels and more (it splits at the dots).
IDENTITY_HOST = "login.microsoftonline.com"
MANAGEMENT_HOST = "management.azure.com"
SERVICES_HOST = f"{LOCATION}.api.azureml.ms"
BLOB_HOST = "emulator.blob.core.windows.net"

CONTROL_HOST = "control.emulator.invalid"  # not Azure: where faults are asked for while it runs

WORKSPACE_PATH = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
