"""Serving a package on an Azure Container Instance of an Azure ML workspace, through SDK v1.

A service's tags tell any machine what it serves, whether that passed its test, and what to go back to if it does not.
Models and environments stay in the workspace when a service goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from pydantic import Field

from orchestrator.artifacts import Endpoint, Keys, ModelVersion, Package, ServiceStatus
from orchestrator.azure.progress import run_with_progress
from orchestrator.azure.sdk import check_installed
from orchestrator.azure.workspace import forget, workspace
from orchestrator.deploy.azure import aci_sdk, aci_state
from orchestrator.deploy.azure.aci_state import PreviousDeployment
from orchestrator.deploy.cors import Origins
from orchestrator.deploy.failure import failure
from orchestrator.deploy.image_builder import ImageBuilder, from_conda
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.deploy.target import RollbackResult, ServiceName
from orchestrator.errors import DeployError
from orchestrator.resolving.libraries import Libraries
from orchestrator.spec.azure import AzureSpec

OURS = ("service_name", "connection", "state_dir", "timeout_seconds", "allow_origins")
T = TypeVar("T")
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Aci(ImageBuilder):
    """A web service on ACI. Every field but the first four and the last is what ``AciWebservice.deploy_configuration`` takes."""

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
    allow_origins: Origins = ()
    # The keys of the service that is replaced, at most one pair: clients hold them.
    _held: list[Keys] = field(default_factory=list, init=False, repr=False, compare=False)
    # The id of the last deployment, at most one. Not asked of Azure: another command may have deployed since.
    _deployed: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """What belongs together is checked before anything runs; Azure would say it after minutes."""
        aci_state.check(self._settings())

    def check_installed(self) -> None:
        """SDK v1 is an extra."""
        check_installed(DeployError, "deploy")

    def libraries(self, package: Package) -> Libraries:
        """Azure's server is one of them."""
        return from_conda(aci_state.conda(package, self.allow_origins))

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Serve this package; the same one healthy in the same shape is left alone."""
        self._deployed.clear()
        settings = self._settings()
        if warning := aci_state.memory_warning(version.memory_bytes, self.memory_gb):
            self._note(warning)
        wanted = aci_state.tags(package, version.version, settings)
        with self._folder.locked():
            alike, tags = self._asked(lambda _: self._compared(wanted))
            if not alike:
                self._serve(package, {**settings, "tags": tags})
            live = self._asked(lambda _: self._alive())
            self._check_same(live, tags)
        if not aci_state.is_tested(tags):  # new, or left untested by a command that was killed
            self._deployed.append(tags.get(aci_state.DEPLOYMENT, ""))
        return self._asked(lambda _: self._endpoint(live))

    def rollback(self) -> RollbackResult:
        """What was serving before this object's last deployment serves again; nothing if nothing was."""
        with self._folder.locked():
            service = self._mine()
            self._deployed.clear()
            return RollbackResult.NOTHING if service is None else self._put_back(service.tags)

    def accept(self) -> None:
        """The service's tags remember the test, so that no later command takes it for an untested one."""
        with self._folder.locked():
            service = self._mine()
            if service is not None:
                self._asked(
                    lambda _: aci_sdk.retag(service, {**service.tags, **aci_state.PASSED}, self.timeout_seconds)
                )
            elif self._deployed:
                live = self._asked(lambda _: self._alive())
                self._check_same(live, {aci_state.DEPLOYMENT: self._deployed[0]})
        self._deployed.clear()  # only now: what fails before is still to be rolled back

    def endpoint(self) -> Endpoint:
        """The live service's endpoint."""
        return self._asked(lambda _: self._endpoint(self._alive()))

    def remove(self) -> None:
        """Delete the service; the models and environments stay."""
        with self._folder.locked():
            self._remove()

    def status(self) -> ServiceStatus:
        """Healthy if Azure says so; absent if there is no such service; unhealthy in every other state."""
        service = self._asked(lambda _: self._find())
        if service is None:
            return ServiceStatus(self.service_name, "absent")
        details = {
            "state": service.state,
            "model": aci_state.named(service.tags),
            "fingerprint": service.tags.get(aci_state.FINGERPRINT, ""),
            "location": service.location,
            "size": f"{service.container_resource_requirements.cpu} cores, "
            f"{service.container_resource_requirements.memory_in_gb} GB",
            "since": str(service.updated_time or service.created_time),
            "error": str(service.error or ""),
        }
        state = "healthy" if service.state == "Healthy" else "unhealthy"
        names = [service.tags.get(tag, "") for tag in (aci_state.MODEL, aci_state.VERSION, aci_state.FINGERPRINT)]
        shown = {k: v for k, v in details.items() if v}
        return ServiceStatus(self.service_name, state, service.scoring_uri or "", shown, *names)

    def logs(self) -> str:
        """The newest lines of the container's log."""

        def work(_: Callable[[str], None]) -> str:
            service = self._alive()
            text = str(service.get_logs(num_lines=5000))
            return f"Serving package {service.tags.get(aci_state.FINGERPRINT, 'of somebody else')}\n{text}"

        return self._asked(work)

    def keys(self) -> Keys:
        """The service's two keys."""
        return self._asked(lambda _: self._keys(self._alive()))

    def rotate_keys(self) -> Keys:
        """A new primary key; the former one becomes the secondary, so that clients can change one after another."""

        def work(say: Callable[[str], None]) -> Keys:
            service = self._alive()
            self._check_ours(service)
            before = self._keys(service)
            say("the primary key becomes the secondary")
            service.regen_key("Secondary", set_key=before.primary)
            say("a new primary key is made")
            service.regen_key("Primary")
            return self._keys(service)

        return self._asked(work)

    def _settings(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if not name.startswith("_") and name not in OURS}
        own = {"tags": dict(self.tags), "properties": dict(self.properties)}
        # without origins not even the key: the same shape as a service has that is older than the key
        return {**fields, **own, **({"allow_origins": list(self.allow_origins)} if self.allow_origins else {})}

    def _find(self) -> Any:
        return aci_sdk.find(workspace(self.connection), self.service_name)

    def _alive(self) -> Any:
        service = self._find()
        if service is None:
            raise DeployError(f"deploy: no service '{self.service_name}' is running; deploy it first")
        return service

    def _keys(self, service: Any) -> Keys:
        keys = aci_sdk.keys(service)
        if keys is None:
            raise DeployError(
                f"deploy.auth_enabled: service '{self.service_name}' needs no key; deploy with deploy.auth_enabled=true"
            )
        return keys

    @property
    def _folder(self) -> ServiceDirectory:
        return ServiceDirectory(self.state_dir / "services" / f"{self.service_name}.aci")

    def _remove(self) -> None:
        def work(_: Callable[[str], None]) -> None:
            service = self._find()
            if service is not None:
                self._check_ours(service)
                service.delete()

        self._asked(work)

    def _endpoint(self, service: Any) -> Endpoint:
        if service.state != "Healthy":
            raise DeployError(f"deploy: service '{self.service_name}' is {service.state}; see it with stages=logs")
        self._check_ours(service)
        keys = aci_sdk.keys(service)
        headers = {"Authorization": f"Bearer {keys.primary}"} if keys else {}
        package = self._package(service.tags[aci_state.FINGERPRINT], service.tags[aci_state.MODEL])
        return Endpoint(service.scoring_uri, "aci", bool(service.auth_enabled), package, headers)

    def _check_ours(self, service: Any) -> None:
        if not {aci_state.FINGERPRINT, aci_state.MODEL} <= service.tags.keys():
            raise DeployError(f"deploy.service_name: service '{self.service_name}' is not ours; choose another name")

    def _check_same(self, live: Any, tags: Mapping[str, str]) -> None:
        if live.tags.get(aci_state.DEPLOYMENT) != tags.get(aci_state.DEPLOYMENT):
            raise DeployError(
                f"deploy: another command has deployed service '{self.service_name}' meanwhile, and that one serves; "
                "run again, or choose another deploy.service_name"
            )

    def _package(self, fingerprint: str, model_name: str) -> Package:
        """This machine's folder, or the registered model of another's."""
        package = Package(self.state_dir / "packages" / fingerprint[:16], fingerprint, model_name)
        if not package.path.is_dir():
            aci_sdk.download(workspace(self.connection), package)
        return package

    def _asked(self, work: Callable[[Callable[[str], None]], T]) -> T:
        """What Azure answers; it may take its time, which is told."""
        return run_with_progress(work, "deploy", self._note)

    def _mine(self) -> Any:
        """The service, if it is still this object's last deployment and nobody has tested it; else None."""
        if not self._deployed:
            return None
        mine, service = self._deployed[0], self._asked(lambda _: self._find())
        return service if service is not None and aci_state.is_untested(service.tags, mine) else None

    def _compared(self, wanted: Mapping[str, str]) -> tuple[bool, dict[str, str]]:
        """Whether what is wanted is live, and its tags; if not, those of a new deployment, with what to go back to."""
        tags = {**wanted, aci_state.DEPLOYMENT: uuid4().hex}
        service = self._find()
        if service is None:
            return False, tags
        healthy = service.state == "Healthy"
        if healthy and aci_state.serves_like(service.tags, wanted):
            alike = aci_state.relabelled(service.tags, wanted)
            if alike != service.tags:
                aci_sdk.retag(service, alike, self.timeout_seconds)
            return True, alike
        self._check_ours(service)
        former = aci_state.rollback_candidate(aci_sdk.served(service), service.tags, healthy=healthy)
        return False, {**tags, **({aci_state.FORMER: former.tag()} if former else {})}

    def _serve(self, package: Package, settings: Mapping[str, Any]) -> None:
        try:
            self._asked(lambda say: self._deploy(say, package, settings))
        except DeployError as error:
            raise DeployError(self._undone(error, settings)) from error
        except KeyboardInterrupt:
            self._note(
                f"Azure goes on with service '{self.service_name}': `stages=status` shows it, `stages=remove` ends it"
            )
            raise

    def _deploy(self, say: Callable[[str], None], package: Package, settings: Mapping[str, Any]) -> None:
        """Replace what is there; the keys stay, since clients hold them."""
        aci_state.remember(self._folder.path, settings)
        service = self._find()
        if service is not None and (held := aci_sdk.keys(service)):
            self._held[:] = [held]
        keys = self._held[0] if self._held else None
        made = aci_sdk.serve(say, workspace(self.connection), self.service_name, package, settings, keys)
        aci_sdk.wait(say, made, self.timeout_seconds, self._found_anew)

    def _found_anew(self) -> Any:
        forget()
        return self._find()

    def _put_back(self, tags: Mapping[str, str]) -> RollbackResult:
        """What a deployment with these tags replaced."""
        former = PreviousDeployment.read(tags.get(aci_state.FORMER, ""))
        if former is None:
            self._remove()
            return RollbackResult.REMOVED
        self._note("putting the former service back")
        package = self._asked(lambda _: self._package(former.fingerprint, former.model))
        settings = aci_state.recall(self._folder.path, former, self._settings())
        settings["tags"] = {**settings["tags"], aci_state.DEPLOYMENT: uuid4().hex}
        self._asked(lambda say: self._deploy(say, package, settings))
        return RollbackResult.FORMER

    def _undone(self, error: DeployError, settings: Mapping[str, Any]) -> str:
        """What a failure was, in words, once its texts are kept and what was there before is back."""
        deployment = settings["tags"][aci_state.DEPLOYMENT]
        known = {**settings, "service_name": self.service_name, "timeout_seconds": self.timeout_seconds}
        told = str(error)
        try:
            service = self._asked(lambda _: self._found_anew())
            ours = service is not None and aci_state.is_untested(service.tags, deployment)
            if (raised := error.__cause__) is not None:  # Azure's; an error of our own has said it all
                found = self._asked(lambda _: aci_sdk.evidence(raised, service if ours else None, known))
                told = str(failure(found, "", self._folder))
            if ours:
                left = self._put_back(service.tags).value
            elif service is None and aci_state.FORMER in settings["tags"]:  # Azure took it away and made no other
                left = self._put_back(settings["tags"]).value
            else:
                left = "nothing of it is left in Azure" if service is None else "the former service was not touched"
        except DeployError as another:
            left = f"cleaning up failed as well ({another}): `stages=remove` takes down what is there"
        return f"{told}\n  {left}"
