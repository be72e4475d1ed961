"""Addresses: the Azure host names that the emulator serves, and its one workspace."""

from __future__ import annotations

SUBSCRIPTION = "0a2e0000-0000-4000-8000-00000000a2e1"
RESOURCE_GROUP = "emulator"
WORKSPACE = "emulator"
WORKSPACE_ID = "0a2e0000-0000-4000-8000-00000000a2e2"
LOCATION = "westeurope"
CLUSTER = "aks"  # the Kubernetes compute that is attached from the start

TENANT = "0a2e0000-0000-4000-8000-00000000a2e3"
CLIENT = "0a2e0000-0000-4000-8000-00000000a2e4"

# The SDK hard-codes some of these names, and splits the blob host at its dots.
IDENTITY_HOST = "login.microsoftonline.com"
MANAGEMENT_HOST = "management.azure.com"
SERVICES_HOST = f"{LOCATION}.api.azureml.ms"
BLOB_HOST = "emulator.blob.core.windows.net"

CONTROL_HOST = "control.emulator.invalid"  # not Azure: sets faults in a running emulator

WORKSPACE_PATH = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
