"""Serving a package on a managed online endpoint of an Azure ML workspace, through azure-ai-ml: the successor of ACI.

Blue and green: a package becomes the deployment that no request goes to, answers its golden requests there, and only
then gets all traffic. The one before waits, without traffic, until the new one is accepted or the traffic goes back.
Deployments carry the fingerprint of their package and the shape of their settings as tags, and the endpoint the number
of the deployment that passed its test, so any machine can tell what is live and whether it may be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

from orchestrator.azure.attend import attended
from orchestrator.azure.auth import credential
from orchestrator.azure.connection import client
from orchestrator.azure.talk import MANAGED, check_installed
from orchestrator.config.spec import AzureSpec
from orchestrator.deploy import ServiceName, Undone, aci_plan, managed_calls, managed_failure, managed_plan
from orchestrator.deploy.folder import Folder
from orchestrator.deploy.managed_plan import Colour, Seen
from orchestrator.errors import DeployError, ProbeError
from orchestrator.events import Notes
from orchestrator.probing import probe_endpoint
from orchestrator.products import Endpoint, Keys, ModelVersion, Package, ServiceStatus
from score import golden
from score.privacy import TELEMETRY_OFF

OURS = ("service_name", "connection", "state_dir", "timeout_seconds", "auth_enabled")
DEPLOYMENT = "azureml-model-deployment"  # the header that asks for one deployment, whatever the traffic says
T = TypeVar("T")
Positive = Annotated[int, Field(gt=0)]


def _always(auth_enabled: bool) -> bool:
    if not auth_enabled:
        raise ValueError("a managed endpoint always asks for a key or a token; leave it true, or use deploy=aci")
    return auth_enabled


@dataclass(frozen=True)
class Managed(Notes):
    """A managed online endpoint with up to two deployments. The fields are the SDK's names."""

    service_name: ServiceName
    connection: AzureSpec
    state_dir: Path
    timeout_seconds: Annotated[float, Field(gt=0)] = 3600
    instance_type: str = "Standard_DS3_v2"
    instance_count: Positive = 1
    auth_mode: Literal["key", "aml_token"] = "key"
    auth_enabled: Annotated[bool, AfterValidator(_always)] = True
    request_timeout_ms: Annotated[int, Field(gt=0, le=180000)] = 5000
    max_concurrent_requests_per_instance: Positive = 1
    base_image: str = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    app_insights_enabled: bool = False
    public_network_access: bool = True
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    # The number of the deployment that this object made or found fit; empty: it deployed nothing.
    _mine: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def check_installed(self) -> None:
        """SDK v2 is an extra."""
        check_installed(DeployError, "deploy", *MANAGED)

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Serve this package; the same one live in the same shape is left alone."""
        self._mine.clear()
        settings = self._settings()
        settings["tags"] = wanted = managed_plan.tags(package, version, settings)
        with self._folder.locked():
            seen = self._asked(lambda _: self._look())
            if seen is not None:
                self._check(seen)
            live = seen.live if seen else None
            if live and live.ready and aci_plan.serves_like(live.tags, wanted):
                wanted = dict(live.tags)  # if nobody has tested it, that is now up to us
            else:
                self._serve(package, settings, seen)
            self._mine.append(wanted[managed_plan.NUMBER])
            try:
                return self._asked(lambda _: self._endpoint(*self._alive()))
            except BaseException:  # nobody is given the endpoint, so nobody would test it and take it down
                with suppress(DeployError):
                    self._rolled_back()
                raise

    def rollback(self) -> Undone:
        """The traffic goes back to the former deployment at once; without one, nothing is left."""
        with self._folder.locked():
            return self._rolled_back()

    def _rolled_back(self) -> Undone:
        if not self._mine:
            return Undone.NOTHING
        seen = self._asked(lambda _: self._look())
        live = seen.live if seen else None
        if seen is None or live is None or live.number != self._mine[0] or seen.tested(live):
            undone = Undone.NOTHING  # it passed its test, or somebody else has deployed since: not ours to undo
        elif seen.former is None:
            self._take_down(seen)
            undone = Undone.REMOVED
        else:
            self._go_back(live, seen.former)
            undone = Undone.FORMER
        self._mine.clear()  # only now: what fails before can be tried again
        return undone

    def accept(self) -> None:
        """What this object deployed passed its test, which Azure is told; the former deployment is deleted."""
        if not self._mine:
            return
        with self._folder.locked():
            self._accept()

    def _accept(self) -> None:
        seen = self._asked(lambda _: self._look())
        live = seen.live if seen else None
        if seen is None or live is None or live.number != self._mine[0]:
            raise DeployError(
                f"deploy: another command has deployed to endpoint '{self.service_name}' meanwhile, and that serves; "
                "run again, or choose another deploy.service_name"
            )
        if not seen.tested(live):
            self._asked(lambda _: self._route(live, tested=live.number))
        for dark in seen.dark:
            self._delete_what_waits(dark)

    def _delete_what_waits(self, dark: Colour) -> None:
        try:
            self._delete(dark.name)
        except DeployError as error:  # another serves, as it should: no reason to fail, or to undo anything
            self._note(f"warning: deployment {dark.name} is still there and costs ({error}); the next one deletes it")

    def endpoint(self) -> Endpoint:
        """The live service's endpoint."""
        return self._asked(lambda _: self._endpoint(*self._alive()))

    def remove(self) -> None:
        """Delete the endpoint and its deployments; the models and environments stay.

        Of an endpoint that somebody else made, only the deployments: its address, keys and network are theirs.
        """
        with self._folder.locked():
            seen = self._asked(lambda _: self._look())
            if seen is not None:
                self._check_ours(seen)
                self._take_down(seen)

    def status(self) -> ServiceStatus:
        """Healthy if requests go to a deployment that Azure calls ready; absent if there is no such endpoint."""
        seen = self._asked(lambda _: self._look())
        if seen is None:
            return ServiceStatus(self.service_name, "absent")
        live = seen.live
        tags = live.tags if live else {}
        details = {
            "live": f"{live.name}, {live.state}" if live else "no deployment gets requests",
            "waiting": ", ".join(f"{one.name}, {one.state}" for one in seen.dark),
            "model": tags.get(aci_plan.MODEL, "not ours"),
            "fingerprint": tags.get(aci_plan.FINGERPRINT, ""),
            "tested": "yes" if seen.tested(live) else "no",
            "size": live.instance if live else "",
        }
        state = "healthy" if live and live.ready else "unhealthy"
        return ServiceStatus(self.service_name, state, seen.url, {name: text for name, text in details.items() if text})

    def logs(self) -> str:
        """The newest lines of the live deployment's log; of one that waits, if none is live."""

        def work(_: Callable[[str], None]) -> str:
            seen = self._there()
            shown = seen.live or next(iter(seen.dark), None)
            if shown is None:
                raise DeployError(f"deploy: endpoint '{self.service_name}' has no deployment; deploy it first")
            text = managed_calls.log(self._client(), self.service_name, shown.name)
            return f"Serving package {shown.tags.get(aci_plan.FINGERPRINT, 'of somebody else')}\n{text}"

        return self._asked(work)

    def keys(self) -> Keys:
        """The endpoint's two keys."""
        return self._asked(lambda _: self._keys())

    def rotate_keys(self) -> Keys:
        """A new primary key; the former one becomes the secondary, so that clients can change one after another."""

        def work(say: Callable[[str], None]) -> Keys:
            wanted = Keys(token_urlsafe(32), self._keys().primary)
            say("the primary key becomes the secondary, and a new one is made")
            managed_calls.set_keys(self._client(), credential(self.connection.auth), self.service_name, wanted)
            return wanted

        return self._asked(work)

    def _settings(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if not name.startswith("_") and name not in OURS}
        own = {"tags": dict(self.tags), "environment_variables": {**TELEMETRY_OFF, **self.environment_variables}}
        return {**fields, **own}

    def _client(self) -> Any:
        return client(self.connection)

    def _look(self) -> Seen | None:
        return managed_calls.look(self._client(), self.service_name)

    def _there(self) -> Seen:
        seen = self._look()
        if seen is None:
            raise DeployError(f"deploy: there is no endpoint '{self.service_name}'; deploy it first")
        return seen

    def _alive(self) -> tuple[Seen, Colour]:
        seen = self._there()
        self._check_ours(seen)
        live = seen.live
        if live is None:
            raise DeployError(f"deploy: nothing behind endpoint '{self.service_name}' gets requests; deploy it first")
        if not live.ready:
            raise DeployError(f"deploy: deployment '{live.name}' is {live.state}; see it with stages=logs")
        return seen, live

    def _keys(self) -> Keys:
        seen = self._there()
        self._check_ours(seen)
        if seen.auth_mode.lower() != "key":
            raise DeployError(
                f"deploy.auth_mode: endpoint '{self.service_name}' takes tokens and has no keys; remove it and deploy "
                "with deploy.auth_mode=key"
            )
        return managed_calls.keys(self._client(), self.service_name)

    def _check(self, seen: Seen) -> None:
        """What Azure would refuse in words of its own, or what is not ours to touch."""
        if seen.auth_mode.lower().replace("_", "") != self.auth_mode.replace("_", ""):
            raise DeployError(
                f"deploy.auth_mode: endpoint '{self.service_name}' was made with {seen.auth_mode}, and its clients "
                "would be locked out; remove it first, or choose another deploy.service_name"
            )
        if seen.colours:  # an empty endpoint may be taken into use, whoever made it
            self._check_ours(seen)

    def _check_ours(self, seen: Seen) -> None:
        if strangers := [one.name for one in seen.colours.values() if not one.number]:
            raise DeployError(
                f"deploy.service_name: deployment '{strangers[0]}' of endpoint '{self.service_name}' is not ours; "
                "choose another name"
            )
        if not (seen.ours or seen.colours):
            raise DeployError(f"deploy.service_name: endpoint '{self.service_name}' is not ours; choose another name")

    @property
    def _folder(self) -> Folder:
        return Folder(self.state_dir / "services" / f"{self.service_name}.managed")

    def _take_down(self, seen: Seen) -> None:
        """The endpoint, if we made it; else what we put behind it."""
        if seen.ours:
            self._asked(lambda _: managed_calls.remove(self._client(), self.service_name, self.timeout_seconds))
            return
        if seen.live is not None:
            self._asked(lambda _: managed_calls.darken(self._client(), self.service_name, self.timeout_seconds))
        for name in seen.colours:
            self._delete(name)

    def _endpoint(self, seen: Seen, colour: Colour) -> Endpoint:
        headers = {"Authorization": f"Bearer {managed_calls.token(self._client(), self.service_name)}"}
        return Endpoint(seen.url, "managed", auth=True, package=self._package(colour.tags), headers=headers)

    def _package(self, live: Mapping[str, str]) -> Package:
        """What a deployment serves: this machine's folder, or the registered model of another's."""
        fingerprint = live[aci_plan.FINGERPRINT]
        package = Package(self.state_dir / "packages" / fingerprint[:16], fingerprint, live[aci_plan.MODEL])
        if not package.path.is_dir():
            managed_calls.download(self._client(), package)
        return package

    def _note(self, text: str) -> None:
        shown = text.replace("\x1b[39m", "").strip()  # the SDK ends its uploads with a colour, and nothing in it
        if shown:
            super()._note(shown)

    def _asked(self, work: Callable[[Callable[[str], None]], T]) -> T:
        """What Azure answers; it may take its time, which is told."""
        return attended(work, "deploy", self._note)

    def _route(self, colour: Colour, tested: str = "") -> None:
        settings = self._settings()
        managed_calls.route(self._client(), self.service_name, colour.name, tested, settings, self.timeout_seconds)

    def _delete(self, colour: str) -> None:
        self._note(f"deleting deployment {colour}")
        self._asked(lambda _: managed_calls.delete(self._client(), self.service_name, colour, self.timeout_seconds))

    def _go_back(self, live: Colour, former: Colour) -> None:
        self._note(f"the traffic goes back to {former.name}")
        self._asked(lambda _: self._route(former))
        self._delete_what_waits(live)

    def _serve(self, package: Package, settings: Mapping[str, Any], seen: Seen | None) -> None:
        """Make the other colour of this package, test it in the dark, and give it the traffic."""
        if seen is None:
            self._note(f"endpoint {self.service_name} is being made")
            self._asked(
                lambda _: managed_calls.create(
                    self._client(), self.service_name, {**settings, "tags": self.tags}, self.timeout_seconds
                )
            )
        elif seen.live and seen.former and seen.abandoned:
            self._go_back(seen.live, seen.former)  # or the next free colour would be the one that was tested
        seen = self._asked(lambda _: self._there())
        colour = Colour(managed_plan.next_colour(seen), "Succeeded", settings["tags"])
        if colour.name in seen.colours:
            self._delete(colour.name)
        try:
            self._asked(
                lambda say: managed_calls.serve(
                    say, self._client(), self.service_name, colour.name, package, settings, self.timeout_seconds
                )
            )
            self._test(package, seen, colour)
            self._note(f"the traffic goes to {colour.name}")
            self._asked(lambda _: self._route(colour))
        except DeployError as error:
            raise DeployError(f"{self._diagnosed(error, colour)}\n  {self._cleared(colour)}") from error

    def _test(self, package: Package, seen: Seen, colour: Colour) -> None:
        """The golden requests, before anybody's go there; a package without any is tested by its own stage alone."""
        if not golden.read(package.path):
            return
        endpoint = self._asked(lambda _: self._endpoint(seen, colour))
        try:
            probe_endpoint(replace(endpoint, headers={**endpoint.headers, DEPLOYMENT: colour.name}))
        except ProbeError as error:
            raise DeployError(f"deployment {colour.name} failed its test before it had traffic: {error}") from error

    def _diagnosed(self, error: DeployError, colour: Colour) -> str:
        settings = {**self._settings(), "service_name": self.service_name, "timeout_seconds": self.timeout_seconds}
        home = self._folder
        return managed_failure.told(self._client(), self.service_name, colour.name, error, settings, home)

    def _cleared(self, colour: Colour) -> str:
        """Nothing is left of a deployment that failed; tell what serves now."""
        try:
            seen = self._asked(lambda _: self._look())
            there = seen.colours.get(colour.name) if seen else None
            if there is not None and there.number != colour.number:
                return "another command has deployed meanwhile, and nothing of that was touched"
            if seen and seen.live and seen.live.name == colour.name and seen.former:  # it failed after it had traffic
                self._go_back(seen.live, seen.former)
                return "the former deployment serves again"
            if seen and seen.colours.keys() - {colour.name}:
                if colour.name in seen.colours:
                    self._delete(colour.name)
                return "the former deployment was not touched"
            if seen is not None:
                self._take_down(seen)
        except DeployError as error:
            return f"cleaning up failed as well ({error}): `stages=remove` takes down what is there"
        return "nothing of it is left in Azure"
