"""Serving a package on an Azure Container Instance of an Azure ML workspace, through SDK v1.

The service carries the fingerprint of its package and the shape of its deployment as tags, so any machine can tell
what is live. Models and environments stay in the workspace when a service goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from orchestrator.azure.attend import attended
from orchestrator.azure.connection import workspace
from orchestrator.azure.talk import talking
from orchestrator.config.spec import AzureSpec
from orchestrator.deploy import ServiceName, Undone, aci_calls, aci_plan
from orchestrator.errors import DeployError
from orchestrator.events import Progress
from orchestrator.products import Endpoint, Keys, ModelVersion, Package, ServiceStatus

OURS = ("service_name", "connection", "state_dir", "timeout_seconds")
T = TypeVar("T")
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class _Served:
    """What a service was before it was replaced; ``settings`` are those it had."""

    package: Package
    settings: Mapping[str, Any]
    tags: Mapping[str, str]
    keys: Keys | None = field(repr=False)


@dataclass(frozen=True)
class Aci:
    """A web service on ACI. Every field but the first four is what ``AciWebservice.deploy_configuration`` takes."""

    service_name: ServiceName
    connection: AzureSpec
    state_dir: Path
    timeout_seconds: Positive = 1800
    cpu_cores: Positive = 1
    memory_gb: Positive = 1.5
    auth_enabled: bool = True
    location: str | None = None
    dns_name_label: str | None = None
    enable_app_insights: bool = False
    collect_model_data: bool = False
    ssl_enabled: bool = False
    ssl_cert_pem_file: str | None = None
    ssl_key_pem_file: str | None = None
    ssl_cname: str | None = None
    vnet_name: str | None = None
    subnet_name: str | None = None
    cmk_vault_base_url: str | None = None
    cmk_key_name: str | None = None
    cmk_key_version: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    _progress: list[Progress] = field(default_factory=list, init=False, repr=False, compare=False)
    # What the last deployment of this object made, and what was there before it; empty: it changed nothing.
    _changed: list[tuple[Mapping[str, str], _Served | None]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def tell_to(self, progress: Progress) -> None:
        """Tell notes here from now on."""
        self._progress[:] = [progress]

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Serve this package; the same one healthy in the same shape is left alone."""
        self._changed.clear()
        settings = self._settings()
        if warning := aci_plan.memory_warning(version.memory_bytes, self.memory_gb):
            self._note(warning)
        settings["tags"] = wanted = aci_plan.tags(package, version, settings)
        alike, former = self._asked(lambda _: self._there(wanted))
        if not alike:
            try:
                self._serve(package, settings, former.keys if former else None)
            except DeployError as error:
                raise DeployError(f"{error}; {self._undone(error, wanted, former)}") from error
            self._changed.append((wanted, former))
        return self._asked(lambda _: self.endpoint())

    def rollback(self) -> Undone:
        """What was serving before this object's last deployment serves again; nothing if nothing was.

        Azure keeps no note of what was tested: what a killed command left untested is not rolled back by the next.
        """
        if not self._changed:
            return Undone.NOTHING
        made, former = self._changed.pop()
        with talking(DeployError, "deploy"):
            service = self._find()
            if service is None or not aci_plan.serves_like(service.tags, made):
                return Undone.NOTHING  # somebody else has deployed since; theirs is not ours to undo
        self._restore(former)
        return Undone.FORMER if former else Undone.REMOVED

    def accept(self) -> None:
        """The last deployment of this object passed its test: there is nothing to roll back any more."""
        self._changed.clear()

    def endpoint(self) -> Endpoint:
        """The live service's endpoint."""
        with talking(DeployError, "deploy"):
            service = self._alive()
            if service.state != "Healthy":
                raise DeployError(f"deploy: service '{self.service_name}' is {service.state}; see it with stages=logs")
            keys = aci_calls.keys(service)
            headers = {"Authorization": f"Bearer {keys.primary}"} if keys else {}
            package = self._package(service)
            return Endpoint(service.scoring_uri, "aci", bool(service.auth_enabled), package, headers)

    def remove(self) -> None:
        """Delete the service; the models and environments stay."""
        with talking(DeployError, "deploy"):
            service = self._find()
            if service is not None:
                service.delete()

    def status(self) -> ServiceStatus:
        """Healthy if Azure says so; absent if there is no such service; unhealthy in every other state."""
        with talking(DeployError, "deploy"):
            service = self._find()
        if service is None:
            return ServiceStatus(self.service_name, "absent")
        details = {
            "state": service.state,
            "model": service.tags.get(aci_plan.MODEL, "not ours"),
            "fingerprint": service.tags.get(aci_plan.FINGERPRINT, ""),
            "location": service.location,
            "size": f"{service.container_resource_requirements.cpu} cores, "
            f"{service.container_resource_requirements.memory_in_gb} GB",
            "since": str(service.updated_time or service.created_time),
            "error": str(service.error or ""),
        }
        state = "healthy" if service.state == "Healthy" else "unhealthy"
        return ServiceStatus(
            self.service_name, state, service.scoring_uri or "", {k: v for k, v in details.items() if v}
        )

    def logs(self) -> str:
        """The newest lines of the container's log."""
        with talking(DeployError, "deploy"):
            service = self._alive()
            text = str(service.get_logs(num_lines=5000))
            return f"Serving package {service.tags.get(aci_plan.FINGERPRINT, 'of somebody else')}\n{text}"

    def keys(self) -> Keys:
        """The service's two keys."""
        with talking(DeployError, "deploy"):
            return self._keys(self._alive())

    def rotate_keys(self) -> Keys:
        """A new primary key; the former one becomes the secondary, so that clients can change one after another."""
        with talking(DeployError, "deploy"):
            service = self._alive()
            before = self._keys(service)
            service.regen_key("Secondary", set_key=before.primary)
            service.regen_key("Primary")
            return self._keys(service)

    def _settings(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if not name.startswith("_") and name not in OURS}
        return {**fields, "tags": dict(self.tags), "properties": dict(self.properties)}

    def _note(self, text: str) -> None:
        for progress in self._progress:
            progress.note(text)

    def _find(self) -> Any:
        return aci_calls.find(workspace(self.connection), self.service_name)

    def _alive(self) -> Any:
        service = self._find()
        if service is None:
            raise DeployError(f"deploy: no service '{self.service_name}' is running; deploy it first")
        return service

    def _keys(self, service: Any) -> Keys:
        keys = aci_calls.keys(service)
        if keys is None:
            raise DeployError(
                f"deploy.auth_enabled: service '{self.service_name}' needs no key; deploy with deploy.auth_enabled=true"
            )
        return keys

    def _package(self, service: Any) -> Package:
        """What the service serves: this machine's folder, or the registered model of another's."""
        live = service.tags
        if not {aci_plan.FINGERPRINT, aci_plan.MODEL} <= live.keys():
            raise DeployError(f"deploy.service_name: service '{self.service_name}' is not ours; choose another name")
        folder = self.state_dir / "packages" / live[aci_plan.FINGERPRINT][:16]
        if not folder.is_dir():
            aci_calls.download(workspace(self.connection), live, folder)
        return Package(folder, live[aci_plan.FINGERPRINT], live[aci_plan.MODEL])

    def _asked(self, work: Callable[[Callable[[str], None]], T]) -> T:
        """What Azure answers; it may take its time, which is told."""
        return attended(work, "deploy", self._note)

    def _serve(self, package: Package, settings: Mapping[str, Any], keys: Keys | None) -> None:
        self._asked(
            lambda say: aci_calls.serve(
                say, workspace(self.connection), self.service_name, package, settings, keys, self.timeout_seconds
            )
        )

    def _there(self, wanted: Mapping[str, str]) -> tuple[bool, _Served | None]:
        """Whether what is wanted is live; if not, what is there instead."""
        service = self._find()
        if service is None:
            return False, None
        if aci_plan.serves_like(service.tags, wanted) and service.state == "Healthy":
            return True, None
        return False, self._served(service)

    def _served(self, service: Any) -> _Served:
        size = service.container_resource_requirements
        had = {"cpu_cores": size.cpu, "memory_gb": size.memory_in_gb, "auth_enabled": bool(service.auth_enabled)}
        settings = {**self._settings(), **had, "tags": dict(service.tags), "description": service.description}
        return _Served(self._package(service), settings, dict(service.tags), aci_calls.keys(service))

    def _restore(self, former: _Served | None) -> None:
        if former is None:
            self.remove()
        else:
            self._note("putting the former package back")
            self._serve(former.package, former.settings, former.keys)

    def _undone(self, error: DeployError, wanted: Mapping[str, str], former: _Served | None) -> str:
        """Keep what Azure says about the failure, put back what was there, and tell both."""
        try:
            with talking(DeployError, "deploy"):
                service = self._find()
                touched = service is not None and (former is None or aci_plan.serves_like(service.tags, wanted))
                log = self._kept(aci_calls.evidence(error.__cause__, service if touched else None))
            if touched:
                self._restore(former)
        except DeployError as another:
            return f"cleaning up failed as well ({another}): `stages=remove` takes down what is there"
        left = "the former service was put back" if former and touched else "nothing of it is left in Azure"
        return f"{'the former service was not touched' if former and not touched else left}; all of it: {log}"

    def _kept(self, text: str) -> Path:
        folder = self.state_dir / "services" / self.service_name / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}.log"
        log.write_text(text)
        return log
