"""What is asked of Azure for a deployment to ACI: the thin half, one SDK call after another.

All functions are called inside :func:`orchestrator.azure.sdk.translate_sdk_errors`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.artifacts import Keys, Package
from orchestrator.deploy import cors
from orchestrator.deploy.azure import aci_state, registered_package
from orchestrator.diagnostics import Evidence
from score.privacy import TELEMETRY_OFF

POLL_SECONDS = 5  # as the SDK
ATTEMPTS = 20  # to ask how it goes; the SDK itself tries each for about half a minute
_moving = threading.Lock()


def find(workspace: Any, name: str) -> Any:
    """The service of this name, or None."""
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
    """Register the model and the environment if they are not there, and let a service be made of them."""
    from azureml.core import Model
    from azureml.core.model import InferenceConfig
    from azureml.core.webservice import AciWebservice

    allow_origins = settings.get("allow_origins", ())
    own = {name: value for name, value in settings.items() if name != "allow_origins"}
    shape = AciWebservice.deploy_configuration(**own)
    if keys:  # clients hold them
        shape.primary_key, shape.secondary_key = keys.primary, keys.secondary
    with _staged(package) as folder:
        model = _model(workspace, package, folder)
        say(f"model {model.name} version {model.version}")
        environment = _environment(workspace, package, allow_origins)
        say(f"environment {environment.name} version {environment.version}")
        inference = InferenceConfig(entry_script=aci_state.ENTRY, source_directory=str(folder), environment=environment)
        return Model.deploy(workspace, name, [model], inference, shape, overwrite=True)


def wait(say: Callable[[str], None], service: Any, seconds: float, anew: Callable[[], Any]) -> None:
    """Wait until the service is healthy, telling what its image's build prints.

    The SDK gives up at the first answer that is none, such as 401 for a token that has just expired. Azure goes on
    all the same: so the service is asked for ``anew``, through a new connection, until its state is final.
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
            say(f"{refused} when Azure was asked how it goes; asking again")
            try:
                service, refused = anew(), ""
                while service is not None and service.state == "Transitioning" and time.monotonic() < until:
                    time.sleep(POLL_SECONDS)
                    service.update_deployment_state()
                break
            except (AzureMLException, OSError) as again:
                refused = _refused(again)
                time.sleep(POLL_SECONDS)
        if service is None or service.state != "Healthy":
            state = service.state if service is not None else "gone"
            told = (
                json.dumps(service.error)
                if service is not None and service.error
                else f"not ready in time ({seconds:g} s)"
            )
            raise WebserviceException(f"current service state: {state}\nError:\n{told}") from error


def _refused(error: BaseException) -> str:
    """What kept Azure from telling how it goes, which says nothing about how it goes; empty: something else failed."""
    if isinstance(error, OSError):
        return type(error).__name__
    code = re.search(r"bad response from [\w ]+:\nResponse Code: (401|429|5\d\d)", str(getattr(error, "message", "")))
    return f"Answer {code[1]}" if code else ""


def retag(service: Any, tags: Mapping[str, str], seconds: float) -> None:
    """Change the tags alone; Azure may take its time."""
    service.update(tags=dict(tags))
    if service.state == "Transitioning":
        service.wait_for_deployment(timeout_sec=seconds)


@contextlib.contextmanager
def _staged(package: Package) -> Iterator[Path]:
    """A copy of the package's files: a service on this machine may have left compiled modules between them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve() / "package"
        shutil.copytree(package.path, folder, ignore=shutil.ignore_patterns("__pycache__"))
        yield folder


def _model(workspace: Any, package: Package, folder: Path) -> Any:
    """The registered model that is this package, whoever registered it; else a new version, by upload."""
    from azureml.core import Model

    tag = [aci_state.FINGERPRINT, package.fingerprint]
    found = Model.list(workspace, name=package.model_name, tags=[tag])
    if found:
        return found[0]
    # The SDK refuses a path outside the current directory, and takes no other base: so this is the one place that
    # changes it, for the length of the upload. All other paths of ours are absolute.
    with _moving:
        before = os.open(".", os.O_RDONLY)
        try:
            os.chdir(folder.parent)
            return Model.register(workspace, folder.name, package.model_name, tags={tag[0]: tag[1]})
        finally:
            os.fchdir(before)
            os.close(before)


def _environment(workspace: Any, package: Package, allow_origins: Sequence[str]) -> Any:
    """The environment of the package's conda.yaml, with its variables; the workspace gives the same definition the same version."""
    from azureml.core import Environment

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "conda.yaml")
        file.write_text(yaml.safe_dump(aci_state.conda(package, allow_origins), sort_keys=False))
        environment = Environment.from_conda_specification(package.model_name, str(file))
        environment.environment_variables.update({**TELEMETRY_OFF, **cors.variables(allow_origins)})
        return environment.register(workspace)


def download(workspace: Any, package: Package) -> None:
    """The registered model that is this package, into its folder."""
    from azureml.core import Model

    found = Model.list(workspace, name=package.model_name, tags=[[aci_state.FINGERPRINT, package.fingerprint]])
    if not found:
        raise FileNotFoundError(
            f"the workspace has no model '{package.model_name}' of package {package.fingerprint[:16]}"
        )
    registered_package.keep(package, lambda scratch: Path(found[0].download(scratch, exist_ok=True)))


def served(service: Any) -> aci_state.PreviousDeployment:
    """What a service of ours is."""
    size = service.container_resource_requirements
    return aci_state.PreviousDeployment.of(
        service.tags, size.cpu, size.memory_in_gb, auth_enabled=bool(service.auth_enabled)
    )


def keys(service: Any) -> Keys | None:
    """The service's keys, if it asks for any."""
    return Keys(*service.get_keys()) if service.auth_enabled else None


def evidence(raised: BaseException, service: Any, settings: Mapping[str, Any]) -> Evidence:
    """All that Azure has to say about a deployment that failed, raw: the SDK's text, the build log, the container's."""
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
        with contextlib.suppress(Exception):  # there may be no container yet; the deployment's own error is the news
            container_log = str(service.get_logs(num_lines=5000))
    state = str(service.state) if service is not None else ""
    return Evidence("aci", state, text, build_log, container_log, int(status[1]) if status else None, settings)
