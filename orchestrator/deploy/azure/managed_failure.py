"""What a deployment of an online endpoint that failed left behind: collected, kept with its secrets masked, and diagnosed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from orchestrator.azure.sdk import translate_sdk_errors
from orchestrator.deploy.azure import managed_sdk
from orchestrator.deploy.failure import failure
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.diagnostics import Evidence
from orchestrator.errors import DeployError


def told(
    client: Any, place: tuple[str, str, str], error: DeployError, settings: Mapping[str, Any], home: ServiceDirectory
) -> str:
    """Keep what Azure says about the failure in ``home``, and say what it comes to.

    ``place`` is the target's kind, the endpoint and the deployment.
    """
    kind, name, colour = place
    state, log, built = "", "", ""
    with suppress(DeployError), translate_sdk_errors(DeployError, "deploy"):  # the deployment's own error is the news
        built = managed_sdk.build_log(client, str(error))
        seen = managed_sdk.look(client, name)
        state = seen.colours[colour].state if seen and colour in seen.colours else "absent"
        log = managed_sdk.log(client, name, colour) if state != "absent" else ""  # there may be no container yet
    status = getattr(error.__cause__, "status_code", None) or 0  # 200: of asking how it went, and it went wrong
    evidence = Evidence(kind, state, str(error), built, log, status if status >= 400 else None, settings)
    return str(failure(evidence, "", home))
