"""deploy=aks: an online endpoint on a Kubernetes cluster (AKS or Arc) that is attached to the workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from orchestrator.deploy import cors
from orchestrator.deploy.azure import online_sdk
from orchestrator.deploy.azure.aks_options import Autoscale, ResourceAmounts, Resources
from orchestrator.deploy.azure.blue_green import BlueGreen
from orchestrator.deploy.azure.online_endpoint import Positive, always
from orchestrator.deploy.azure.online_sdk import KUBERNETES
from orchestrator.deploy.azure.online_state import EndpointState
from orchestrator.errors import DeployError
from orchestrator.spec.messages import suggest_or_list

READY = "Succeeded"


@dataclass(frozen=True, kw_only=True)
class Aks(BlueGreen):
    """An online endpoint on attached Kubernetes with up to two deployments. The fields are the SDK's names."""

    kind: ClassVar[str] = "aks"

    compute: Annotated[str, Field(min_length=1)] | None = None
    instance_type: str | None = None
    instance_count: Positive | None = None  # None: 1, or as autoscale decides
    autoscale: Autoscale | None = None
    resources: Resources | None = None
    auth_enabled: Annotated[bool, always("an endpoint on Kubernetes")] = True
    request_timeout_ms: Annotated[int, Field(gt=0, le=300000)] = 5000

    @staticmethod
    def option_problems(options: Mapping[str, Any], stages: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield (key, problem) for options that contradict each other, or that a stage needs."""
        if options.get("mirror"):
            yield "mirror", "Azure mirrors requests on managed endpoints only; leave it 0, or write deploy=managed"
        if options.get("autoscale") and options.get("instance_count"):
            yield "instance_count", "autoscale decides how many replicas there are; leave out one of the two"
        yield from cors.contradictions(options)
        if not options.get("compute") and "deploy" in stages:
            yield "compute", "is missing; name a Kubernetes compute that is attached to the workspace"

    def _settings(self) -> dict[str, Any]:
        models = {name: value and value.model_dump() for name, value in self._models().items()}
        return {**super()._settings(), **models}

    def _models(self) -> dict[str, Autoscale | Resources | None]:
        return {"autoscale": self.autoscale, "resources": self.resources}

    def _check_place(self) -> None:
        """Refuse a compute that the workspace does not have, or that cannot hold endpoints.

        Raises:
            DeployError: with the near names of those that it has.
        """
        if self.compute is None:
            raise DeployError("deploy.compute: is missing; name a Kubernetes compute that is attached to the workspace")
        kind, state = online_sdk.compute(self._client(), self.compute) or ("", "")
        if kind == KUBERNETES and state == READY:
            return
        if kind == KUBERNETES:
            raise DeployError(f"deploy.compute: '{self.compute}' is {state}; see it in the workspace, or name another")
        clusters = online_sdk.clusters(self._client())
        choice = suggest_or_list(self.compute, clusters) if clusters else "; no Kubernetes compute is attached to it"
        if kind:
            raise DeployError(f"deploy.compute: '{self.compute}' is of the kind {kind}, not {KUBERNETES}{choice}")
        raise DeployError(f"deploy.compute: the workspace has no compute '{self.compute}'{choice}")

    def _check(self, state: EndpointState) -> None:
        super()._check(state)
        compute = state.compute.rpartition("/")[2]
        if compute.casefold() != str(self.compute).casefold():  # Azure ignores the case
            raise DeployError(
                f"deploy.compute: endpoint '{self.service_name}' stands on '{compute}' and cannot move; remove it first, "
                "or choose another deploy.service_name"
            )

    def _new_endpoint(self) -> Any:
        from azure.ai.ml.entities import KubernetesOnlineEndpoint

        own = self._endpoint_settings()
        named = {
            "name": self.service_name,
            "compute": self.compute,
            "auth_mode": self.auth_mode,
            "tags": dict(self.tags),
        }
        return KubernetesOnlineEndpoint(**named, **own)

    def _new_deployment(self, **common: Any) -> Any:
        from azure.ai.ml.entities import (
            DefaultScaleSettings,
            KubernetesOnlineDeployment,
            ResourceRequirementsSettings,
            ResourceSettings,
            TargetUtilizationScaleSettings,
        )

        def sized(amounts: ResourceAmounts | None) -> Any:
            return amounts and ResourceSettings(**amounts.model_dump())

        resources = self.resources
        # without settings of its own, a deployment on Kubernetes scales by itself
        scale = (
            TargetUtilizationScaleSettings(**self.autoscale.model_dump()) if self.autoscale else DefaultScaleSettings()
        )
        return KubernetesOnlineDeployment(
            **common,
            instance_count=None if self.autoscale else self.instance_count or 1,
            scale_settings=scale,
            resources=resources
            and ResourceRequirementsSettings(requests=sized(resources.requests), limits=sized(resources.limits)),
        )
