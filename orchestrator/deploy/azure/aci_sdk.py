"""The SDK v1 calls of a deployment to ACI.

All functions are called inside :func:`orchestrator.azure.sdk.translate_sdk_errors`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.artifacts import Package
from orchestrator.deploy import cors
from orchestrator.deploy.azure import aci_state, registered_package
from orchestrator.diagnostics import Evidence
from orchestrator.services import Keys, ServiceStatus
from score.privacy import TELEMETRY_OFF

POLL_SECONDS = 5  # as the SDK
ATTEMPTS = 20  # to read the state; the SDK itself retries each for about half a minute
_chdir = threading.Lock()


def find(workspace: Any, name: str) -> Any:
    """Return the service of this name, or None."""
    from azureml.core.webservice import Webservice
    from azureml.exceptions import WebserviceException

    try:
        return Webservice(workspace, name)
    except WebserviceException as error:
        if "WebserviceNotFound" in error.message:
            return None
        raise


def serve(
    say: Callable[[str], None],
    workspace: Any,
    name: str,
    package: Package,
    settings: Mapping[str, Any],
    keys: Keys | None,
) -> Any:
    """Register the model and the environment where they are missing, and start the deployment."""
    from azureml.core import Model
    from azureml.core.model import InferenceConfig
    from azureml.core.webservice import AciWebservice

    allow_origins = settings.get("allow_origins", ())
    own = {name: value for name, value in settings.items() if name != "allow_origins"}
    shape = AciWebservice.deploy_configuration(**own)
    if keys:  # clients hold them
        shape.primary_key, shape.secondary_key = keys.primary, keys.secondary
    with registered_package.copied(package) as folder:
        model = _model(workspace, package, folder)
        say(f"model {model.name} version {model.version}")
        environment = _environment(workspace, package, allow_origins)
        say(f"environment {environment.name} version {environment.version}")
        inference = InferenceConfig(
            entry_script=registered_package.ENTRY, source_directory=str(folder), environment=environment
        )
        return Model.deploy(workspace, name, [model], inference, shape, overwrite=True)


def wait(say: Callable[[str], None], service: Any, seconds: float, find_again: Callable[[], Any]) -> None:
    """Wait until the service is healthy; forward the log of its image's build.

    The SDK gives up at the first failed request, such as 401 for a token that has just expired, while Azure goes on:
    so ``find_again`` gets the service through a new connection, until its state is final.
    """
    from azureml.exceptions import AzureMLException, WebserviceException

    until = time.monotonic() + seconds
    try:
        service.wait_for_deployment(show_output=True, timeout_sec=seconds)
    except (AzureMLException, OSError) as error:  # requests' errors are OSErrors
        refused = _refused(error)
        for _ in range(ATTEMPTS):
            if not refused or time.monotonic() > until:
                raise
            say(f"{refused} to a request for the service's state; trying again")
            try:
                service, refused = find_again(), ""
                while service is not None and service.state == "Transitioning" and time.monotonic() < until:
                    time.sleep(POLL_SECONDS)
                    service.update_deployment_state()
                break
            except (AzureMLException, OSError) as again:
                refused = _refused(again)
                time.sleep(POLL_SECONDS)
        if service is None or service.state != "Healthy":
            state = service.state if service is not None else "gone"
            reason = (
                json.dumps(service.error)
                if service is not None and service.error
                else f"not ready in time ({seconds:g} s)"
            )
            raise WebserviceException(f"current service state: {state}\nError:\n{reason}") from error


def _refused(error: BaseException) -> str:
    """Return why the state could not be read; empty if the deployment itself failed."""
    if isinstance(error, OSError):
        return type(error).__name__
    code = re.search(r"bad response from [\w ]+:\nResponse Code: (401|429|5\d\d)", str(getattr(error, "message", "")))
    return f"Answer {code[1]}" if code else ""


def retag(service: Any, tags: Mapping[str, str], seconds: float) -> None:
    """Change the tags alone, and wait."""
    service.update(tags=dict(tags))
    if service.state == "Transitioning":
        service.wait_for_deployment(timeout_sec=seconds)


def _model(workspace: Any, package: Package, folder: Path) -> Any:
    """Return the registered model with this package; without one, upload it as a new version."""
    from azureml.core import Model

    tag = [registered_package.FINGERPRINT, package.fingerprint]
    models = Model.list(workspace, name=package.model_name, tags=[tag])
    if models:
        return models[0]
    # The SDK refuses a path outside the current directory, and takes no other base: so this is the one place that
    # changes it, during the upload. All other paths of the project are absolute.
    with _chdir:
        before = os.open(".", os.O_RDONLY)
        try:
            os.chdir(folder.parent)
            return Model.register(workspace, folder.name, package.model_name, tags={tag[0]: tag[1]})
        finally:
            os.fchdir(before)
            os.close(before)


def _environment(workspace: Any, package: Package, allow_origins: Sequence[str]) -> Any:
    """Return the environment of the package's conda.yaml; the workspace gives equal definitions one version."""
    from azureml.core import Environment

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "conda.yaml")
        file.write_text(yaml.safe_dump(registered_package.conda(package, allow_origins), sort_keys=False))
        environment = Environment.from_conda_specification(package.model_name, str(file))
        environment.environment_variables.update({**TELEMETRY_OFF, **cors.variables(allow_origins)})
        return environment.register(workspace)


def download(workspace: Any, package: Package) -> None:
    """Download the registered model with this package into the package's folder."""
    from azureml.core import Model

    models = Model.list(
        workspace, name=package.model_name, tags=[[registered_package.FINGERPRINT, package.fingerprint]]
    )
    if not models:
        raise registered_package.not_registered(package)
    registered_package.store(package, lambda scratch: Path(models[0].download(scratch, exist_ok=True)))


def describe(service: Any) -> aci_state.PreviousDeployment:
    """Return what it takes to restore this service."""
    size = service.container_resource_requirements
    return aci_state.PreviousDeployment.of(
        service.tags, size.cpu, size.memory_in_gb, auth_enabled=bool(service.auth_enabled)
    )


def status(service: Any) -> ServiceStatus:
    """Return the state of this service."""
    details = {
        "state": service.state,
        "model": registered_package.model_label(service.tags),
        "fingerprint": service.tags.get(registered_package.FINGERPRINT, ""),
        "location": service.location,
        "size": f"{service.container_resource_requirements.cpu} cores, "
        f"{service.container_resource_requirements.memory_in_gb} GB",
        "since": str(service.updated_time or service.created_time),
        "error": str(service.error or ""),
    }
    state = "healthy" if service.state == "Healthy" else "unhealthy"
    shown = {name: text for name, text in details.items() if text}
    names = registered_package.identity(service.tags)
    return ServiceStatus(service.name, state, service.scoring_uri or "", shown, *names, bool(service.auth_enabled))


def keys(service: Any) -> Keys | None:
    """Return the service's keys, if it has any."""
    return Keys(*service.get_keys()) if service.auth_enabled else None


def evidence(raised: BaseException, service: Any, settings: Mapping[str, Any]) -> Evidence:
    """Collect Azure's texts about a failed deployment: the SDK's error, the build log, the container's log."""
    text = str(getattr(raised, "message", None) or raised)
    status = re.search(r"Response Code: (\d{3})", text)
    build_log = container_log = ""
    if address := re.search(r"can be found here: (https://\S+)", text):
        with contextlib.suppress(OSError):  # requests' errors are OSErrors
            import requests

            build_log = requests.get(address[1], timeout=30).text
    if service is not None:
        if service.error and json.dumps(service.error, indent=2) not in text:
            text += f"\n{json.dumps(service.error, indent=2)}"
        with contextlib.suppress(Exception):  # there may be no container yet; the deployment's own error matters more
            container_log = str(service.get_logs(num_lines=5000))
    state = str(service.state) if service is not None else ""
    return Evidence("aci", state, text, build_log, container_log, int(status[1]) if status else None, settings)
