"""Serve a package on an Azure Container Instance of an Azure ML workspace, through SDK v1.

A service's tags hold what it serves, whether that was accepted, and what a rollback goes back to, for any machine.
Models and environments stay in the workspace when a service is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, ClassVar
from uuid import uuid4

from pydantic import Field

from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.azure.sdk import check_installed
from orchestrator.azure.workspace import forget, workspace
from orchestrator.deploy.azure import aci_sdk, aci_state, registered_package
from orchestrator.deploy.azure.aci_state import PreviousDeployment
from orchestrator.deploy.azure.azure_target import AzureTarget
from orchestrator.deploy.failure import failure
from orchestrator.deploy.rollback import rollback_target
from orchestrator.deploy.target import Deployment, RollbackResult, needs_no_key, not_running
from orchestrator.errors import DeployError
from orchestrator.services import Keys, ServiceStatus

Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class Aci(AzureTarget):
    """A web service on ACI. Every field that is not ``apart`` is what ``AciWebservice.deploy_configuration`` takes."""

    kind: ClassVar[str] = "aci"

    timeout_seconds: Positive = 1800
    cpu_cores: Positive = 1
    memory_gb: Positive = 1.5
    auth_enabled: bool | None = None  # None: as the service has it, see deploy.authentication
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
    properties: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that settings which need each other are given; Azure would refuse them after minutes."""
        aci_state.check(self._settings())

    @property
    def asks_for_key(self) -> bool:
        """Whether a service asks for a key; a new one does unless an option says no."""
        return self.auth_enabled is not False

    def check_installed(self) -> None:
        """Raise a DeployError if SDK v1, an extra, is missing."""
        check_installed(DeployError, "deploy")

    def deploy(self, version: ModelVersion) -> Deployment:
        """Serve the version's package; the same one, healthy and with the same settings, is left alone."""
        settings = self._settings()
        if warning := aci_state.memory_warning(version.memory_bytes, self.memory_gb):
            self._note(warning)
        wanted = registered_package.tags(version.package, version.version, settings)
        with self._folder.locked():
            is_served, tags, keys = self._azure(lambda _: self._compare(wanted))
            if not is_served:
                self._serve(version.package, {**settings, "tags": tags}, keys)
            live = self._azure(lambda _: self._alive())
            self._check_same(live, tags)
        deployment = tags.get(aci_state.DEPLOYMENT, "")
        endpoint = self._azure(lambda _: self._endpoint(live))
        return Deployment(endpoint, partial(self._accept, deployment), partial(self._rollback, deployment, keys))

    def _rollback(self, deployment: str, keys: Keys | None) -> RollbackResult:
        with self._folder.locked():
            service = self._azure(lambda _: self._find())
            if service is None or not aci_state.is_untested(service.tags, deployment):
                return RollbackResult.NOTHING
            return self._restore(service.tags, keys)

    def _accept(self, deployment: str) -> None:
        with self._folder.locked():
            service = self._azure(lambda _: self._alive())
            self._check_same(service, {aci_state.DEPLOYMENT: deployment})
            if not aci_state.is_tested(service.tags):
                tags = {**service.tags, **aci_state.PASSED}
                self._azure(lambda _: aci_sdk.retag(service, tags, self.timeout_seconds))

    def endpoint(self) -> Endpoint:
        """Return the live service's endpoint."""
        return self._azure(lambda _: self._endpoint(self._alive()))

    def remove(self) -> None:
        """Delete the service; the models and environments stay."""
        with self._folder.locked():
            self._remove()

    def status(self) -> ServiceStatus:
        """Return healthy if Azure says so, absent if there is no such service, and else unhealthy."""
        service = self._azure(lambda _: self._find())
        return ServiceStatus(self.service_name, "absent") if service is None else aci_sdk.status(service)

    def logs(self) -> str:
        """Return the newest lines of the container's log."""

        def work(_: Callable[[str], None]) -> str:
            service = self._alive()
            text = str(service.get_logs(num_lines=5000))
            return f"Serving package {service.tags.get(registered_package.FINGERPRINT, 'of another project')}\n{text}"

        return self._azure(work)

    def keys(self) -> Keys:
        """Return the service's two keys."""
        return self._azure(lambda _: self._keys(self._alive()))

    def rotate_keys(self) -> Keys:
        """Make a new primary key; the old one becomes the secondary, so that clients can change one after another."""

        def work(say: Callable[[str], None]) -> Keys:
            service = self._alive()
            self._check_owner(service)
            before = self._keys(service)
            say("the primary key becomes the secondary")
            service.regen_key("Secondary", set_key=before.primary)
            say("a new primary key is made")
            service.regen_key("Primary")
            return self._keys(service)

        return self._azure(work)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "auth_enabled": self.asks_for_key, "properties": dict(self.properties)}

    def _download(self, package: Package) -> None:
        aci_sdk.download(workspace(self.connection), package)

    def _find(self) -> Any:
        return aci_sdk.find(workspace(self.connection), self.service_name)

    def _alive(self) -> Any:
        service = self._find()
        if service is None:
            raise not_running(self.service_name)
        return service

    def _keys(self, service: Any) -> Keys:
        keys = aci_sdk.keys(service)
        if keys is None:
            raise needs_no_key(self.service_name)
        return keys

    def _remove(self) -> None:
        def work(_: Callable[[str], None]) -> None:
            service = self._find()
            if service is not None:
                self._check_owner(service)
                service.delete()

        self._azure(work)

    def _endpoint(self, service: Any) -> Endpoint:
        if service.state != "Healthy":
            raise DeployError(f"deploy: service '{self.service_name}' is {service.state}; see it with stages=logs")
        self._check_owner(service)
        keys = aci_sdk.keys(service)
        headers = {"Authorization": f"Bearer {keys.primary}"} if keys else {}
        return Endpoint(
            service.scoring_uri, self.kind, bool(service.auth_enabled), self._package(service.tags), headers
        )

    def _check_owner(self, service: Any) -> None:
        if not {registered_package.FINGERPRINT, registered_package.MODEL} <= service.tags.keys():
            raise DeployError(
                f"deploy.service_name: service '{self.service_name}' was not made by this project; choose another name"
            )

    def _check_same(self, live: Any, tags: Mapping[str, str]) -> None:
        if live.tags.get(aci_state.DEPLOYMENT, "") != tags.get(aci_state.DEPLOYMENT, ""):
            raise DeployError(
                f"deploy: another command has deployed service '{self.service_name}' meanwhile, and that one serves; "
                "run again, or choose another deploy.service_name"
            )

    def _compare(self, wanted: Mapping[str, str]) -> tuple[bool, dict[str, str], Keys | None]:
        """Return whether the live service is what is wanted, its tags, else those of a new one, and the live keys."""
        tags = {**wanted, aci_state.DEPLOYMENT: uuid4().hex}
        service = self._find()
        if service is None:
            return False, tags, None
        healthy = service.state == "Healthy"
        if healthy and registered_package.serves_like(service.tags, wanted):
            relabelled = aci_state.relabelled(service.tags, wanted)
            if relabelled != service.tags:
                aci_sdk.retag(service, relabelled, self.timeout_seconds)
            return True, relabelled, None
        self._check_owner(service)
        before = PreviousDeployment.from_tag(service.tags.get(aci_state.FORMER, ""))
        former = rollback_target(aci_sdk.describe(service), before, attrgetter("accepted"), alive=healthy)
        return False, {**tags, **({aci_state.FORMER: former.tag()} if former else {})}, aci_sdk.keys(service)

    def _serve(self, package: Package, settings: Mapping[str, Any], keys: Keys | None) -> None:
        try:
            self._azure(lambda say: self._replace(say, package, settings, keys))
        except DeployError as error:
            raise self._clean_up(error, settings, keys) from error
        except KeyboardInterrupt:
            self._note(
                f"Azure continues to deploy service '{self.service_name}': "
                "`stages=status` shows it, `stages=remove` ends it"
            )
            raise

    def _replace(
        self, say: Callable[[str], None], package: Package, settings: Mapping[str, Any], keys: Keys | None
    ) -> None:
        """Replace the service; it keeps the live keys, else ``keys``, since clients hold them."""
        aci_state.save_settings(self._folder.path, settings)
        service = self._find()
        keys = (aci_sdk.keys(service) if service is not None else None) or keys
        created = aci_sdk.serve(say, workspace(self.connection), self.service_name, package, settings, keys)
        aci_sdk.wait(say, created, self.timeout_seconds, self._find_again)

    def _find_again(self) -> Any:
        forget()
        return self._find()

    def _restore(self, tags: Mapping[str, str], keys: Keys | None) -> RollbackResult:
        """Put back what a deployment with these tags goes back to."""
        former = PreviousDeployment.from_tag(tags.get(aci_state.FORMER, ""))
        if former is None:
            self._remove()
            return RollbackResult.REMOVED
        self._note("putting the former service back")
        package = self._azure(lambda _: self._package(former.tags()))
        settings = aci_state.load_settings(self._folder.path, former, self._settings())
        settings["tags"] = {**settings["tags"], aci_state.DEPLOYMENT: uuid4().hex}
        self._azure(lambda say: self._replace(say, package, settings, keys))
        return RollbackResult.FORMER

    def _clean_up(self, error: DeployError, settings: Mapping[str, Any], keys: Keys | None) -> DeployError:
        """Save the texts of a failed deployment, restore the former service; return the error that says so."""
        deployment = settings["tags"][aci_state.DEPLOYMENT]
        known = {**settings, "service_name": self.service_name, "timeout_seconds": self.timeout_seconds}
        reported = error
        try:
            service = self._azure(lambda _: self._find_again())
            is_current = service is not None and aci_state.is_untested(service.tags, deployment)
            if (raised := error.__cause__) is not None:  # Azure's; other DeployErrors are complete
                evidence = self._azure(lambda _: aci_sdk.evidence(raised, service if is_current else None, known))
                reported = failure(evidence, "", self._folder)
            if is_current:
                result = self._restore(service.tags, keys).value
            elif service is None and aci_state.FORMER in settings["tags"]:  # Azure deleted it and created no other
                result = self._restore(settings["tags"], keys).value
            else:
                result = "nothing of it is left in Azure" if service is None else "the former service was not touched"
        except DeployError as another:
            result = f"cleaning up failed as well ({another}): `stages=remove` takes down what is there"
        return DeployError(f"{reported}\n  {result}", reported.kind)
