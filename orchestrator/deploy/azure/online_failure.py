"""Collect, redact, save and diagnose what a failed deployment of an online endpoint left behind."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from orchestrator.azure.sdk import translate_sdk_errors
from orchestrator.deploy.azure import online_sdk
from orchestrator.deploy.failure import failure
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.diagnostics import Evidence
from orchestrator.errors import DeployError


def diagnose_deployment(
    client: Any, place: tuple[str, str, str], error: DeployError, settings: Mapping[str, Any], home: ServiceDirectory
) -> DeployError:
    """Save Azure's texts about the failure in ``home``; return the error with the diagnosis.

    ``place`` is the target's kind, the endpoint and the deployment.
    """
    kind, name, colour = place
    provisioning, log, built = "", "", ""
    with suppress(DeployError), translate_sdk_errors(DeployError, "deploy"):  # the deployment's own error matters more
        built = online_sdk.build_log(client, str(error))
        state = online_sdk.get_endpoint(client, name)
        provisioning = state.colours[colour].state if state and colour in state.colours else "absent"
        log = online_sdk.log(client, name, colour) if provisioning != "absent" else ""  # there may be no container yet
    status = (
        getattr(error.__cause__, "status_code", None) or 0
    )  # 200: the request for the state succeeded, the deployment did not
    evidence = Evidence(kind, provisioning, str(error), built, log, status if status >= 400 else None, settings)
    return failure(evidence, "", home)
