"""deploy=managed: a managed online endpoint of the workspace, on Azure's machines; the successor of ACI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from orchestrator.deploy.azure.blue_green import BlueGreen
from orchestrator.deploy.azure.online_endpoint import Positive, always


@dataclass(frozen=True, kw_only=True)
class Managed(BlueGreen):
    """A managed online endpoint with up to two deployments. The fields are the SDK's names."""

    kind: ClassVar[str] = "managed"

    instance_type: str = "Standard_DS3_v2"
    instance_count: Positive = 1
    auth_enabled: Annotated[bool, always("a managed endpoint")] = True
    request_timeout_ms: Annotated[int, Field(gt=0, le=180000)] = 5000
    public_network_access: bool = True

    def _endpoint_settings(self) -> dict[str, Any]:
        access = "enabled" if self.public_network_access else "disabled"
        return {**super()._endpoint_settings(), "public_network_access": access}

    def _new_endpoint(self) -> Any:
        from azure.ai.ml.entities import ManagedOnlineEndpoint

        own = self._endpoint_settings()
        return ManagedOnlineEndpoint(name=self.service_name, auth_mode=self.auth_mode, tags=dict(self.tags), **own)

    def _new_deployment(self, **common: Any) -> Any:
        from azure.ai.ml.entities import ManagedOnlineDeployment

        return ManagedOnlineDeployment(**common, instance_count=self.instance_count)
