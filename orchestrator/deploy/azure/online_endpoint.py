"""One online endpoint of an Azure ML workspace: read its state, set its traffic, delete its deployments.

What managed endpoints and those on Kubernetes share; :mod:`orchestrator.deploy.azure.blue_green` replaces packages on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from orchestrator.artifacts import Endpoint, Package
from orchestrator.azure.sdk import MANAGED, check_installed
from orchestrator.azure.workspace import client
from orchestrator.deploy import cors
from orchestrator.deploy.azure import online_sdk
from orchestrator.deploy.azure.azure_target import AzureTarget
from orchestrator.deploy.azure.online_state import EndpointState, OnlineDeployment, Route
from orchestrator.errors import DeployError
from orchestrator.services import Keys
from score.privacy import TELEMETRY_OFF

DEPLOYMENT = "azureml-model-deployment"  # the header that selects one deployment, whatever the traffic split
Positive = Annotated[int, Field(gt=0)]


def always(what: str) -> AfterValidator:
    """Return the check of ``auth_enabled`` for endpoints that cannot serve without a key."""

    def check(auth_enabled: bool) -> bool:
        if not auth_enabled:
            raise ValueError(f"{what} always asks for a key or a token; leave it true, or use deploy=aci")
        return auth_enabled

    return AfterValidator(check)


@dataclass(frozen=True, kw_only=True)
class OnlineEndpoint(AzureTarget):
    """An online endpoint, and the options that both kinds have. The fields are the SDK's names."""

    apart: ClassVar[frozenset[str]] = AzureTarget.apart | {"auth_enabled", "traffic", "mirror", "compute"}

    timeout_seconds: Annotated[float, Field(gt=0)] = 3600
    auth_mode: Literal["key", "aml_token"] = "key"
    max_concurrent_requests_per_instance: Positive = 1
    base_image: str = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    app_insights_enabled: bool = False

    def check_installed(self) -> None:
        """Raise a DeployError if SDK v2, an extra, is missing."""
        check_installed(DeployError, "deploy", *MANAGED)

    def _check_place(self) -> None:
        """Refuse what the workspace does not have, before anything is sent."""

    def _new_endpoint(self) -> Any:
        """Return the SDK's endpoint, without a deployment."""
        raise NotImplementedError

    def _new_deployment(self, **common: Any) -> Any:
        """Return the SDK's deployment; ``common`` are the arguments that every kind takes."""
        raise NotImplementedError

    def _endpoint_settings(self) -> dict[str, Any]:
        """Return the endpoint's own settings that change with the next deployment."""
        return {"description": self.description}

    def _settings(self) -> dict[str, Any]:
        variables = {**TELEMETRY_OFF, **cors.variables(self.allow_origins), **self.environment_variables}
        return {**super()._settings(), "environment_variables": variables}

    def _download(self, package: Package) -> None:
        online_sdk.download(self._client(), package)

    def _client(self) -> Any:
        return client(self.connection)

    def _note(self, text: str) -> None:
        shown = text.replace("\x1b[39m", "").strip()  # the SDK ends its uploads with an empty coloured line
        if shown:
            super()._note(shown)

    def _find(self) -> EndpointState | None:
        return online_sdk.get_endpoint(self._client(), self.service_name)

    def _existing(self) -> EndpointState:
        state = self._find()
        if state is None:
            raise DeployError(f"deploy: there is no endpoint '{self.service_name}'; deploy it first")
        return state

    def _alive(self, number: str = "") -> tuple[EndpointState, OnlineDeployment]:
        """Return the endpoint and its live deployment, or the one of this number."""
        state = self._existing()
        self._check_owner(state)
        colour = state.current(number) if number else state.live
        if colour is None:
            raise DeployError(f"deploy: nothing behind endpoint '{self.service_name}' gets requests; deploy it first")
        self._check_ready(colour)
        return state, colour

    def _check_ready(self, colour: OnlineDeployment) -> None:
        if not colour.ready:
            raise DeployError(f"deploy: deployment '{colour.name}' is {colour.state}; see it with stages=logs")

    def _keys(self) -> Keys:
        state = self._existing()
        self._check_owner(state)
        if state.auth_mode.lower() != "key":
            raise DeployError(
                f"deploy.auth_mode: endpoint '{self.service_name}' takes tokens and has no keys; remove it and deploy "
                "with deploy.auth_mode=key"
            )
        return online_sdk.keys(self._client(), self.service_name)

    def _check(self, state: EndpointState) -> None:
        """Refuse what Azure would refuse with an unclear message, and what another project deployed."""
        if state.auth_mode.lower().replace("_", "") != self.auth_mode.replace("_", ""):
            raise DeployError(
                f"deploy.auth_mode: endpoint '{self.service_name}' was made with {state.auth_mode}, and its clients "
                "would be locked out; remove it first, or choose another deploy.service_name"
            )
        self._check_kind(state)
        if state.colours:  # an empty endpoint may be used, whichever project created it
            self._check_owner(state)

    def _check_kind(self, state: EndpointState) -> None:
        """Refuse an endpoint of the other kind."""
        other = "aks" if state.compute else "managed"
        if other != self.kind:
            what = "stands on Kubernetes" if state.compute else "is managed by Azure"
            raise DeployError(
                f"deploy.service_name: endpoint '{self.service_name}' {what}; write deploy={other}, or choose another name"
            )

    def _check_owner(self, state: EndpointState) -> None:
        self._check_kind(state)
        if foreign := [one.name for one in state.colours.values() if not one.number]:
            raise DeployError(
                f"deploy.service_name: deployment '{foreign[0]}' of endpoint '{self.service_name}' was not made "
                "by this project; choose another name"
            )
        if not (state.is_own or state.colours):
            raise DeployError(
                f"deploy.service_name: endpoint '{self.service_name}' was not made by this project; choose another name"
            )

    def _endpoint(self, state: EndpointState, colour: OnlineDeployment) -> Endpoint:
        """Return the endpoint of one deployment; while two share the requests, a header selects this one."""
        headers = {"Authorization": f"Bearer {online_sdk.token(self._client(), self.service_name)}"}
        share = state.share_of(colour).traffic
        if share < 100:
            headers[DEPLOYMENT] = colour.name
        return Endpoint(
            state.url, self.kind, auth=True, package=self._package(colour.tags), headers=headers, share=share
        )

    def _make(self) -> None:
        self._note(f"endpoint {self.service_name} is being made")
        self._azure(lambda _: online_sdk.create(self._client(), self._new_endpoint(), self.timeout_seconds))

    def _start(self, package: Package, colour: OnlineDeployment) -> None:
        """Create a deployment of this package, without traffic."""
        settings = {**self._settings(), "tags": dict(colour.tags)}
        self._azure(
            lambda say: online_sdk.serve(
                say, self._client(), self.service_name, colour.name, package, settings, self._new_deployment,
                self.timeout_seconds,
            )
        )  # fmt: skip

    def _set_traffic(self, route: Route) -> None:
        own = {**self._endpoint_settings(), "tags": dict(self.tags)}
        self._azure(
            lambda _: online_sdk.set_traffic(self._client(), self.service_name, route, own, self.timeout_seconds)
        )

    def _take_down(self, state: EndpointState) -> None:
        """Remove the endpoint, if this project created it; else its deployments."""
        if state.is_own:
            self._azure(lambda _: online_sdk.remove(self._client(), self.service_name, self.timeout_seconds))
            return
        if state.live is not None:
            self._azure(lambda _: online_sdk.clear_traffic(self._client(), self.service_name, self.timeout_seconds))
        for name in state.colours:
            self._delete(name)

    def _delete(self, colour: str) -> None:
        self._note(f"deleting deployment {colour}")
        self._azure(lambda _: online_sdk.delete(self._client(), self.service_name, colour, self.timeout_seconds))

    def _delete_idle(self, colour: OnlineDeployment) -> None:
        try:
            self._delete(colour.name)
        except DeployError as error:  # the other one serves, as it should: no reason to fail or to roll back
            self._note(
                f"warning: deployment {colour.name} still exists and costs money ({error}); the next deployment deletes it"
            )
