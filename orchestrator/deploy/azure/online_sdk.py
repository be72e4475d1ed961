"""The SDK v2 calls for an online endpoint, managed or on Kubernetes.

All functions are called inside :func:`orchestrator.azure.sdk.translate_sdk_errors`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Package
from orchestrator.deploy.azure import online_state, registered_package
from orchestrator.deploy.azure.online_state import EndpointState, OnlineDeployment, Route
from orchestrator.services import Keys

Say = Callable[[str], None]
_MANAGEMENT = "https://management.azure.com"
KUBERNETES = "kubernetes"  # the kind of compute that an endpoint can stand on
_KEY_SECONDS = 120  # until Azure returns a new key
_BUILD_LOG = re.compile(r"storage account '([^']+)' in the container '([^']+)' at the path '([^']+)'")


def get_endpoint(client: Any, name: str) -> EndpointState | None:
    """Return the endpoint of this name with its deployments, or None."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        endpoint = client.online_endpoints.get(name)
        deployments = list(client.online_deployments.list(name))
    except ResourceNotFoundError:
        return None
    labels = online_state.labels(endpoint.tags or {})
    return EndpointState(
        url=endpoint.scoring_uri or "",
        auth_mode=str(endpoint.auth_mode),
        tags=dict(endpoint.tags or {}),
        traffic=dict(endpoint.traffic or {}),
        colours={one.name: _colour(one, labels) for one in deployments},
        mirror={name: share for name, share in (endpoint.mirror_traffic or {}).items() if share},
        compute=getattr(endpoint, "compute", None) or "",  # a managed one has none
    )


def _colour(deployment: Any, labels: Mapping[str, str]) -> OnlineDeployment:
    tags = dict(deployment.tags or {})
    if version := labels.get(tags.get(online_state.NUMBER, "")):
        tags[registered_package.VERSION] = version
    scale = deployment.scale_settings
    most = getattr(scale, "max_instances", None)
    count = f"{scale.min_instances} to {most}" if most else deployment.instance_count
    return OnlineDeployment(
        deployment.name,
        _plain(deployment.provisioning_state),
        tags,
        f"{count} x {deployment.instance_type or 'the default instance type'}",
    )


def _plain(state: Any) -> str:
    return str(getattr(state, "value", state))  # the SDK gives an enumeration or text


def compute(client: Any, name: str) -> tuple[str, str] | None:
    """Return the kind, in lower case, and the state of a compute of the workspace; None if there is none of this name."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        compute = client.compute.get(name)
    except ResourceNotFoundError:
        return None
    return str(compute.type).lower(), _plain(compute.provisioning_state)


def clusters(client: Any) -> list[str]:
    """Return the names of the Kubernetes computes that are attached to the workspace."""
    return [one.name for one in client.compute.list() if str(one.type).lower() == KUBERNETES]


def create(client: Any, endpoint: Any, seconds: float) -> None:
    """Create the endpoint, without a deployment."""
    endpoint.tags = {**(endpoint.tags or {}), **online_state.MADE}
    _finished(client.online_endpoints.begin_create_or_update(endpoint), seconds)


def set_traffic(client: Any, name: str, wanted: Route, own: Mapping[str, Any], seconds: float) -> None:
    """Set the traffic, its tags and the endpoint's own settings in one update."""
    endpoint = client.online_endpoints.get(name)
    endpoint.traffic, endpoint.mirror_traffic = dict(wanted.traffic), dict(wanted.mirror)
    tags = {**(endpoint.tags or {}), **own["tags"], **wanted.tags}
    for key, value in own.items():
        setattr(endpoint, key, value)
    endpoint.tags = {key: value for key, value in tags.items() if value or key not in wanted.tags}
    _finished(client.online_endpoints.begin_create_or_update(endpoint), seconds)


def clear_traffic(client: Any, name: str, seconds: float) -> None:
    """Take all traffic away, so that every deployment can be deleted."""
    endpoint = client.online_endpoints.get(name)
    endpoint.traffic, endpoint.mirror_traffic = {}, {}
    _finished(client.online_endpoints.begin_create_or_update(endpoint), seconds)


def serve(
    say: Say,
    client: Any,
    name: str,
    colour: str,
    package: Package,
    settings: Mapping[str, Any],
    new: Callable[..., Any],
    seconds: float,
) -> None:
    """Register the model and the environment where they are missing, and create a deployment without traffic.

    ``new`` takes the arguments that every kind of deployment has.
    """
    from azure.ai.ml.entities import CodeConfiguration, OnlineRequestSettings

    with registered_package.copied(package) as folder:
        code = folder.parent / "code"  # only what runs there: the model is mounted
        shutil.copytree(folder / "score", code / "score")
        model = _model(client, package, folder)
        say(f"model {model.name} version {model.version}")
        definition = registered_package.conda(package, settings.get("allow_origins", ()))
        environment = _environment(client, package, definition, settings["base_image"])
        say(f"environment {environment.name} version {environment.version}")
        deployment = new(
            name=colour,
            endpoint_name=name,
            model=model.id,
            environment=environment.id,
            code_configuration=CodeConfiguration(code=str(code), scoring_script=registered_package.ENTRY),
            environment_variables=dict(settings["environment_variables"]),
            instance_type=settings["instance_type"],
            app_insights_enabled=settings["app_insights_enabled"],
            request_settings=OnlineRequestSettings(
                request_timeout_ms=settings["request_timeout_ms"],
                max_concurrent_requests_per_instance=settings["max_concurrent_requests_per_instance"],
            ),
            description=settings["description"],
            tags=settings["tags"],
        )
        poller = client.online_deployments.begin_create_or_update(deployment)
    say(f"deployment {colour} is being made")
    _finished(poller, seconds)


def delete(client: Any, name: str, colour: str, seconds: float) -> None:
    """Delete one deployment."""
    _finished(client.online_deployments.begin_delete(colour, name), seconds)


def remove(client: Any, name: str, seconds: float) -> None:
    """Delete the endpoint and all its deployments."""
    _finished(client.online_endpoints.begin_delete(name), seconds)


def _finished(poller: Any, seconds: float) -> None:
    poller.wait(seconds)
    if not poller.done():
        raise TimeoutError(f"Azure has not finished in {seconds:g} s; raise deploy.timeout_seconds")
    poller.result()


def _model(client: Any, package: Package, folder: Path) -> Any:
    """Return the registered model with this package; without one, upload it as a new version."""
    from azure.ai.ml.entities import Model

    model = _registered(client, package.model_name, package.fingerprint)
    if model is not None:
        return model
    tags = {registered_package.FINGERPRINT: package.fingerprint}
    new = Model(name=package.model_name, path=str(folder), type="custom_model", tags=tags)
    return client.models.create_or_update(new)


def _registered(client: Any, name: str, fingerprint: str) -> Any:
    versions = client.models.list(name=name)
    return next((one for one in versions if (one.tags or {}).get(registered_package.FINGERPRINT) == fingerprint), None)


def _environment(client: Any, package: Package, definition: Mapping[str, Any], image: str) -> Any:
    """Return the environment of this conda definition; register it if it is missing."""
    from azure.ai.ml.entities import Environment
    from azure.core.exceptions import ResourceNotFoundError

    version = online_state.environment_version(definition, image)
    try:
        return client.environments.get(package.model_name, version)
    except ResourceNotFoundError:
        new = Environment(name=package.model_name, version=version, image=image, conda_file=dict(definition))
        return client.environments.create_or_update(new)


def download(client: Any, package: Package) -> None:
    """Download the registered model with this package into the package's folder."""
    model = _registered(client, package.model_name, package.fingerprint)
    if model is None:
        raise registered_package.not_registered(package)

    def download(scratch: str) -> Path:
        client.models.download(model.name, model.version, download_path=scratch)
        return next(Path(scratch).rglob("contract.json")).parent

    registered_package.store(package, download)


def token(client: Any, name: str) -> str:
    """Return the endpoint's primary key, or a token that expires."""
    credentials = client.online_endpoints.get_keys(name)
    return str(getattr(credentials, "primary_key", None) or credentials.access_token)


def keys(client: Any, name: str) -> Keys:
    """Return the endpoint's two keys."""
    credentials = client.online_endpoints.get_keys(name)
    return Keys(credentials.primary_key, credentials.secondary_key)


def set_keys(client: Any, credential: Any, name: str, wanted: Keys) -> None:
    """Change both keys, and wait until Azure returns them.

    The SDK has only begin_regenerate_keys, which sends the present key as the new one: so this calls the REST API.
    """
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
    from azure.core.rest import HttpRequest
    from azure.mgmt.core import ARMPipelineClient

    way_in = BearerTokenCredentialPolicy(credential, f"{_MANAGEMENT}/.default")
    address = (
        f"{_MANAGEMENT}/subscriptions/{client.subscription_id}/resourceGroups/{client.resource_group_name}/providers/"
        f"Microsoft.MachineLearningServices/workspaces/{client.workspace_name}/onlineEndpoints/{name}/regenerateKeys"
    )
    with ARMPipelineClient(_MANAGEMENT, policies=[RetryPolicy(), way_in]) as azure:
        for kind, value in (("Secondary", wanted.secondary), ("Primary", wanted.primary)):
            body = {"keyType": kind, "keyValue": value}
            azure.send_request(HttpRequest("POST", f"{address}?api-version=2024-04-01", json=body)).raise_for_status()
            _await(lambda value=value, kind=kind: value == getattr(keys(client, name), kind.lower()))  # type: ignore[misc]


def _await(done: Callable[[], bool]) -> None:
    until = time.monotonic() + _KEY_SECONDS
    while not done():
        if time.monotonic() > until:
            raise TimeoutError("Azure did not take over the new keys; see them with stages=keys")
        time.sleep(1)


def log(client: Any, name: str, colour: str) -> str:
    """Return the newest lines of a deployment's log."""
    return str(client.online_deployments.get_logs(colour, name, 5000))


def build_log(client: Any, text: str) -> str:
    """Return the log of the image build that an error names; empty if it names none, or if it cannot be read."""
    from azure.storage.blob import ContainerClient

    if not (named := _BUILD_LOG.search(text)):
        return ""
    account, container, path = named.groups()
    with contextlib.suppress(Exception):  # the deployment's own error matters more
        for store in client.datastores.list(include_secrets=True):
            if (getattr(store, "account_name", ""), getattr(store, "container_name", "")) == (account, container):
                credentials = store.credentials
                secret = getattr(credentials, "sas_token", None) or getattr(credentials, "account_key", None)
                address = f"https://{account}.blob.{store.endpoint}"
                with ContainerClient(address, container, credential=secret) as blobs:
                    return str(blobs.download_blob(path).readall().decode(errors="replace"))
    return ""
