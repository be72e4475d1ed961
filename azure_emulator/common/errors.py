"""Failure documents of model management, as Azure words them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from azure_emulator.common.addresses import LOCATION, SUBSCRIPTION
from azure_emulator.common.store import Document

_ERROR = re.compile(r"[A-Za-z_.]+(Error|Exception|Interrupt|Exit)\b.*")


def failure(status: int, code: str, message: str, *details: Mapping[str, str]) -> dict[str, Any]:
    """Return the failure document of a call or an operation of model management."""
    return {"code": code, "statusCode": status, "message": message, "details": list(details)}


def service_exists(name: str) -> Document:
    """Return the failure of a create call for a container group that exists."""
    detail = f"Subscription {SUBSCRIPTION} already contains an ACI Container Group with name {name}."
    return failure(409, "Conflict", "Conflict", {"code": "ServiceExists", "message": detail})


def size_text(cpu: float, memory: float) -> str:
    """Return the message for a size over the limit of a container group; the numbers include the side-cars."""
    return (
        f"Resource requested: '{cpu:g}' CPU '{memory:g}' GB memory (including additional CPU and memory overhead for"
        f" side-cars) exceeded resource limitation on container group in {LOCATION}: '4' CPU '16' GB memory."
    )


def build_failed(operation: Document, reason: str) -> Document:
    """Return the failure of an image build; the SDK prints the address of the log next to it."""
    text = f"Failed building the Environment. Reason: {reason}. The build log of operation {operation['id']} has more."
    return failure(400, "EnvironmentBuildFailed", text)


def no_cores(service: Document) -> Document:
    """Return the failure of a deployment that exceeds the quota of cores."""
    cores = service["containerResourceRequirements"]["cpu"]
    detail = (
        "Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota 'StandardCores' exceeded in"
        f" region '{service['location']}'. Limit: '10', Usage: '10' Requested: '{cores:g}'."
    )
    text = f"Aci Deployment failed with exception: {detail}"
    return failure(400, "AciDeploymentFailed", text, {"code": "ContainerGroupQuotaReached", "message": detail})


def crashed(log: str) -> Document:
    """Return the failure of a container in a crash loop, with the error that its ``log`` shows."""
    # Azure quotes the last line of the user's traceback; the server wraps that in a traceback of its own
    errors = [
        line for line in log.splitlines() if _ERROR.match(line) and not line.startswith("azureml_inference_server_http")
    ]
    reason = f"Error in entry script, {errors[-1]}" if errors else "Your container application crashed"
    text = f"Aci Deployment failed with exception: {reason}, please run print(service.get_logs()) to get details."
    detail = (
        "Your container application crashed. This may be caused by errors in your scoring file's init() function."
        " Please check the logs for your container instance. From the AML SDK, you can run print(service.get_logs())"
        " if you have service object to fetch the logs."
    )
    return failure(400, "AciDeploymentFailed", text, {"code": "CrashLoopBackOff", "message": detail})


def timed_out() -> Document:
    """Return the failure of a container that was not healthy in time."""
    text = (
        "The deployment operation polling has TimedOut. The service creation is taking longer than our normal time. We"
        " are still trying to achieve the desired state for the web service. Please check the webservice state for the"
        " current webservice health. You can run print(service.state) from the python SDK to retrieve the current"
        " state of the webservice."
    )
    return failure(504, "DeploymentTimedOut", text)
