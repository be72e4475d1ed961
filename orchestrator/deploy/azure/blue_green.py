"""Serving packages on an online endpoint of an Azure ML workspace, managed or on Kubernetes, through azure-ai-ml.

Blue and green: a package becomes the deployment that no request goes to, answers its golden requests there, and only
then gets traffic. With all of it, the one before waits until the new one is accepted, and is deleted then. With a share
(``deploy.traffic``, ``deploy.mirror``) the new one is the candidate: both serve until :meth:`BlueGreen.shift` gives it
all. Deployments carry the fingerprint of their package and the shape of their settings as tags, and the endpoint the
numbers of the candidate and of the deployments that passed their test, so any machine can see what may be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from secrets import token_urlsafe
from typing import Any

from orchestrator.artifacts import Endpoint, Keys, ModelVersion, Package, ServiceStatus
from orchestrator.azure.auth import credential
from orchestrator.deploy import cors
from orchestrator.deploy.azure import aci_state, managed_failure, managed_sdk, managed_state
from orchestrator.deploy.azure.managed_state import EndpointState, OnlineDeployment, Route
from orchestrator.deploy.azure.online_endpoint import DEPLOYMENT, OnlineEndpoint
from orchestrator.deploy.azure.traffic import ALL, Mirror, Share, Traffic, contradictions, share_of
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.target import RollbackResult
from orchestrator.errors import DeployError, ProbeError
from score.contract import golden


@dataclass(frozen=True, kw_only=True)
class BlueGreen(OnlineEndpoint):
    """An online endpoint with up to two deployments."""

    traffic: Traffic = None
    mirror: Mirror = 0
    # The number of the deployment that this object made or found fit; empty: it deployed nothing.
    _mine: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    # The share that this deployment had before this object changed it.
    _before: list[Share] = field(default_factory=list, init=False, repr=False, compare=False)

    @staticmethod
    def option_problems(options: Mapping[str, Any], stages: Sequence[str]) -> Iterator[tuple[str, str]]:  # noqa: ARG004 - some kinds look at them
        """Yield (key, problem) for options that contradict each other."""
        yield from contradictions(options)
        yield from cors.contradictions(options)

    @property
    def _share(self) -> Share:
        return share_of(self.traffic, self.mirror)

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Serve this package; the same one in the same shape is left alone, but for its share of the requests."""
        self._mine.clear()
        self._before.clear()
        settings = self._settings()
        settings["tags"] = wanted = managed_state.tags(package, version, settings)
        with self._folder.locked():
            self._asked(lambda _: self._check_place())
            seen = self._asked(lambda _: self._look())
            if seen is not None:
                self._check(seen)
            served = seen.serving(wanted) if seen else None
            if seen and served:
                self._keep(seen, served)
                self._label(served, wanted[aci_state.VERSION])
            else:
                served = self._serve(package, wanted, seen)
            number = served.number
            self._mine.append(number)
            try:
                return self._asked(lambda _: self._endpoint(*self._alive(number)))
            except BaseException:  # no caller has the endpoint, so none would test it and take it down
                with suppress(DeployError):
                    self._rolled_back()
                raise

    def rollback(self) -> RollbackResult:
        """The traffic goes back to the former deployment at once; without one, nothing is left."""
        with self._folder.locked():
            return self._rolled_back()

    def _rolled_back(self) -> RollbackResult:
        if not self._mine:
            return RollbackResult.NOTHING
        seen = self._asked(lambda _: self._look())
        colour = seen.current(self._mine[0]) if seen else None
        if seen is None or colour is None:
            undone = RollbackResult.NOTHING  # another command has deployed since
        elif seen.tested(colour):
            undone = self._share_back(seen, colour)
        elif (base := seen.base_of(colour)) is None:
            self._take_down(seen)
            undone = RollbackResult.REMOVED
        else:
            self._go_back(colour, base)
            undone = RollbackResult.FORMER
        self._mine.clear()  # only now: what fails before can be tried again
        return undone

    def _share_back(self, seen: EndpointState, colour: OnlineDeployment) -> RollbackResult:
        """Return a deployment that passed its test before to the share that it had then."""
        base = seen.live if seen.live != colour else seen.former
        if not self._before or base is None:
            return RollbackResult.NOTHING
        self._move(colour, base, self._before[0])
        return RollbackResult.FORMER

    def accept(self) -> None:
        """Write down in Azure that what this object deployed passed its test; with all traffic, delete the former one."""
        if not self._mine:
            return
        with self._folder.locked():
            seen = self._asked(lambda _: self._look())
            colour = seen.current(self._mine[0]) if seen else None
            if seen is None or colour is None:
                raise DeployError(
                    f"deploy: another command has deployed to endpoint '{self.service_name}' meanwhile, and that serves; "
                    "run again, or choose another deploy.service_name"
                )
            if not seen.tested(colour):
                self._route(Route(seen.traffic, seen.mirror, {managed_state.TESTED: seen.passed(colour)}))
            if seen.candidate is None:
                for other in seen.others:
                    self._delete_idle(other)

    def shift(self, check: Callable[[ModelVersion], None]) -> ModelVersion | None:
        """Test the newer deployment again and give it its share; return its version once it has all requests."""
        with self._folder.locked():
            seen = self._asked(lambda _: self._there())
            self._check_owner(seen)
            colour, share = seen.candidate or seen.live, self._share
            if colour is None or (seen.candidate is None and share != ALL):
                raise DeployError(
                    f"deploy.traffic: endpoint '{self.service_name}' has no second deployment to share requests with; "
                    "deploy another package with deploy.traffic below 100 first"
                )
            self._check_ready(colour)
            package = self._asked(lambda _: self._package(colour.tags))
            number = colour.tags.get(aci_state.VERSION, "-").removeprefix("-")
            version = ModelVersion(package.model_name, number, None, package)
            if share.traffic > seen.share_of(colour).traffic:
                check(version)
            self._test(package, seen, colour)
            if seen.share_of(colour) != share or not seen.tested(colour):
                passed = colour.number if share == ALL else seen.passed(colour)
                self._move(colour, seen.base_of(colour), share, passed)
            if share != ALL:
                return None
            for other in seen.colours.values():
                if other != colour:
                    self._delete_idle(other)
        return version

    def endpoint(self) -> Endpoint:
        """Return the live service's endpoint."""
        return self._asked(lambda _: self._endpoint(*self._alive()))

    def remove(self) -> None:
        """Delete the endpoint and its deployments; the models and environments stay.

        Of an endpoint that another has made, only the deployments: its address, keys and network stay.
        """
        with self._folder.locked():
            seen = self._asked(lambda _: self._look())
            if seen is not None:
                self._check_owner(seen)
                self._take_down(seen)

    def status(self) -> ServiceStatus:
        """Healthy if requests go to a deployment that Azure calls ready; absent if there is no such endpoint."""
        seen = self._asked(lambda _: self._look())
        if seen is None:
            return ServiceStatus(self.service_name, "absent")
        state = "healthy" if seen.live and seen.live.ready else "unhealthy"
        tags = seen.live.tags if seen.live else {}
        names = [tags.get(tag, "") for tag in (aci_state.MODEL, aci_state.VERSION, aci_state.FINGERPRINT)]
        return ServiceStatus(self.service_name, state, seen.url, managed_state.describe(seen), *names)

    def logs(self) -> str:
        """Return the newest lines of the live deployment's log, then the candidate's; of another, if none is live."""

        def work(_: Callable[[str], None]) -> str:
            seen = self._there()
            shown = list(filter(None, (seen.live, seen.candidate))) or list(seen.others[:1])
            if not shown:
                raise DeployError(f"deploy: endpoint '{self.service_name}' has no deployment; deploy it first")
            texts = (managed_sdk.log(self._client(), self.service_name, one.name) for one in shown)
            names = (one.tags.get(aci_state.FINGERPRINT, "of another owner") for one in shown)
            return "\n".join(f"Serving package {name}\n{text}" for name, text in zip(names, texts, strict=True))

        return self._asked(work)

    def keys(self) -> Keys:
        """Return the endpoint's two keys."""
        return self._asked(lambda _: self._keys())

    def rotate_keys(self) -> Keys:
        """Make a new primary key; the former one becomes the secondary, so that clients can change one after another."""

        def work(say: Callable[[str], None]) -> Keys:
            wanted = Keys(token_urlsafe(32), self._keys().primary)
            say("the primary key becomes the secondary, and a new one is made")
            managed_sdk.set_keys(self._client(), credential(self.connection.auth), self.service_name, wanted)
            return wanted

        return self._asked(work)

    def _move(self, colour: OnlineDeployment, base: OnlineDeployment | None, share: Share, passed: str = "") -> None:
        """Give a deployment its share of the requests, and the base the rest; ``passed`` are the tested ones from now on."""
        route = managed_state.route(colour, base, share)
        self._note(managed_state.describe_route(route, colour, base))
        self._route(replace(route, tags={**route.tags, **({managed_state.TESTED: passed} if passed else {})}))

    def _go_back(self, colour: OnlineDeployment, base: OnlineDeployment) -> None:
        self._note(f"the traffic goes back to {base.name}")
        self._route(managed_state.route(base, None, ALL))
        self._delete_idle(colour)

    def _keep(self, seen: EndpointState, colour: OnlineDeployment) -> None:
        """Leave a deployment that serves this package as it is, but for its share of the requests."""
        base = seen.base_of(colour)
        if base is None and self._share != ALL:
            return  # all that no candidate has is its share
        share = self._share if base else ALL
        dropped = base is None and seen.candidate is not None  # it takes back all, from a candidate with no share, too
        if (before := seen.share_of(colour)) != share or dropped:
            self._test(self._asked(lambda _: self._package(colour.tags)), seen, colour)
            self._move(colour, base, share)
            if base is not None:
                self._before.append(before)

    def _label(self, colour: OnlineDeployment, version: str) -> None:
        """Call a deployment that is kept by the version that its package has now."""
        if version not in {"-", colour.tags.get(aci_state.VERSION)}:
            seen = self._asked(lambda _: self._there())
            self._route(seen.labelled(colour, version))

    def _serve(self, package: Package, tags: Mapping[str, str], seen: EndpointState | None) -> OnlineDeployment:
        """Make the other colour of this package, test it without traffic, and give it its share."""
        if seen is None:
            self._make()
        elif seen.live and seen.candidate:
            self._go_back(seen.candidate, seen.live)  # the new one takes its place
        elif seen.live and seen.former and seen.abandoned:
            self._go_back(seen.live, seen.former)  # or the next free colour would be the one that was tested
        seen = self._asked(lambda _: self._there())
        colour = OnlineDeployment(managed_state.next_colour(seen), "Succeeded", tags)
        if colour.name in seen.colours:
            self._delete(colour.name)
        if seen.live is None and self._share != ALL:
            self._note("there is no former deployment to share the requests with: this one gets them all")
        try:
            self._start(package, colour)
            self._test(package, seen, colour)
            self._move(colour, seen.live, self._share)
        except DeployError as error:
            raise DeployError(f"{self._diagnosed(error, colour)}\n  {self._cleared(colour)}") from error
        return colour

    def _test(self, package: Package, seen: EndpointState, colour: OnlineDeployment) -> None:
        """Send the golden requests before users' requests go there; a package without any is tested by its own stage alone."""
        if not golden.read(package.path):
            return
        endpoint = self._asked(lambda _: self._endpoint(seen, colour))
        try:
            probe_endpoint(replace(endpoint, headers={**endpoint.headers, DEPLOYMENT: colour.name}))
        except ProbeError as error:
            when = "and keeps its share" if seen.share_of(colour).traffic else "before it had traffic"
            raise DeployError(f"deployment {colour.name} failed its test {when}: {error}") from error

    def _diagnosed(self, error: DeployError, colour: OnlineDeployment) -> str:
        settings = {**self._settings(), "service_name": self.service_name, "timeout_seconds": self.timeout_seconds}
        place = (self.kind, self.service_name, colour.name)
        return managed_failure.told(self._client(), place, error, settings, self._folder)

    def _cleared(self, colour: OnlineDeployment) -> str:
        """Leave nothing of a deployment that failed; say what serves now."""
        try:
            seen = self._asked(lambda _: self._look())
            there = seen.colours.get(colour.name) if seen else None
            if there is not None and there.number != colour.number:
                return "another command has deployed meanwhile, and nothing of that was touched"
            base = seen.base_of(there) if seen and there else None
            if there and base:  # it failed after it had traffic
                self._go_back(there, base)
                return "the former deployment serves again"
            if seen and seen.colours.keys() - {colour.name}:
                if there is not None:
                    self._delete(colour.name)
                return "the former deployment was not touched"
            if seen is not None:
                self._take_down(seen)
        except DeployError as error:
            return f"cleaning up failed as well ({error}): `stages=remove` takes down what is there"
        return "nothing of it is left in Azure"
