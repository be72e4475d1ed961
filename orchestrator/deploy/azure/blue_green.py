"""Serve packages on an online endpoint of an Azure ML workspace, managed or on Kubernetes, through azure-ai-ml.

Blue and green: a package becomes a deployment without traffic, answers its golden requests there, and only then gets
traffic. If it gets all of it, the former deployment stays until the new one is accepted. With a share of it
(``deploy.traffic``, ``deploy.mirror``) the new one is the candidate: both serve until :meth:`BlueGreen.shift` gives it
all. The tags of deployments hold the fingerprint of the package and the digest of the settings; those of the endpoint
hold the numbers of the candidate and of the accepted deployments, so that any machine can roll back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_urlsafe
from typing import Any

from orchestrator.artifacts import Endpoint, ModelVersion, Package
from orchestrator.azure.auth import credential
from orchestrator.deploy import cors
from orchestrator.deploy.azure import online_failure, online_sdk, online_state, registered_package
from orchestrator.deploy.azure.online_endpoint import DEPLOYMENT, OnlineEndpoint
from orchestrator.deploy.azure.online_state import EndpointState, OnlineDeployment, Route
from orchestrator.deploy.azure.traffic import ALL, Mirror, Share, Traffic, contradictions, share_of
from orchestrator.deploy.probe import probe_endpoint
from orchestrator.deploy.target import Deployment, RollbackResult
from orchestrator.errors import DeployError, ProbeError
from orchestrator.services import Keys, ServiceStatus
from score.contract import golden


@dataclass(frozen=True, kw_only=True)
class BlueGreen(OnlineEndpoint):
    """An online endpoint with up to two deployments."""

    traffic: Traffic = None
    mirror: Mirror = 0

    @staticmethod
    def option_problems(options: Mapping[str, Any], stages: Sequence[str]) -> Iterator[tuple[str, str]]:  # noqa: ARG004 - some kinds use them
        """Yield (key, problem) for options that contradict each other."""
        yield from contradictions(options)
        yield from cors.contradictions(options)

    @property
    def _share(self) -> Share:
        return share_of(self.traffic, self.mirror)

    def deploy(self, version: ModelVersion) -> Deployment:
        """Serve the version's package; the same one with the same settings is kept, with its share of the requests."""
        settings = self._settings()
        settings["tags"] = wanted = online_state.tags(version, settings)
        with self._folder.locked():
            self._azure(lambda _: self._check_place())
            state = self._azure(lambda _: self._find())
            if state is not None:
                self._check(state)
            served = state.serving(wanted) if state else None
            before = None
            if state and served:
                before = self._keep(state, served)
                self._label(served, wanted[registered_package.VERSION])
            else:
                served = self._serve(version.package, wanted, state)
            number = served.number
            try:
                endpoint = self._azure(lambda _: self._endpoint(*self._alive(number)))
            except BaseException:  # the caller gets no Deployment, so nothing else would roll it back
                with suppress(DeployError):
                    self._undo(number, before)
                raise
        return Deployment(endpoint, partial(self._accept, number), partial(self._rollback, number, before))

    def _rollback(self, number: str, before: Share | None) -> RollbackResult:
        """Send the traffic back to the former deployment, or to the share that this one had ``before``."""
        with self._folder.locked():
            return self._undo(number, before)

    def _undo(self, number: str, before: Share | None) -> RollbackResult:
        state = self._azure(lambda _: self._find())
        colour = state.current(number) if state else None
        if state is None or colour is None:
            return RollbackResult.NOTHING  # another command has deployed since
        if state.tested(colour):
            base = state.live if state.live != colour else state.former
            if before is None or base is None:
                return RollbackResult.NOTHING
            self._move(colour, base, before)
            return RollbackResult.FORMER
        if (base := state.base_of(colour)) is None:
            self._take_down(state)
            return RollbackResult.REMOVED
        self._go_back(colour, base)
        return RollbackResult.FORMER

    def _accept(self, number: str) -> None:
        """Tag the deployment as tested; if it has all traffic, delete the former one."""
        with self._folder.locked():
            state = self._azure(lambda _: self._find())
            colour = state.current(number) if state else None
            if state is None or colour is None:
                raise DeployError(
                    f"deploy: another command has deployed to endpoint '{self.service_name}' meanwhile, and that serves; "
                    "run again, or choose another deploy.service_name"
                )
            if not state.tested(colour):
                self._set_traffic(Route(state.traffic, state.mirror, {online_state.TESTED: state.passed(colour)}))
            if state.candidate is None:
                for other in state.others:
                    self._delete_idle(other)

    def shift(self, check: Callable[[ModelVersion], None]) -> ModelVersion | None:
        """Test the newer deployment again and give it its share; return its version if it has all requests."""
        with self._folder.locked():
            state = self._azure(lambda _: self._existing())
            self._check_owner(state)
            colour, share = state.candidate or state.live, self._share
            if colour is None or (state.candidate is None and share != ALL):
                raise DeployError(
                    f"deploy.traffic: endpoint '{self.service_name}' has no second deployment to share requests with; "
                    "deploy another package with deploy.traffic below 100 first"
                )
            self._check_ready(colour)
            package = self._azure(lambda _: self._package(colour.tags))
            number = colour.tags.get(registered_package.VERSION, "-").removeprefix("-")
            version = ModelVersion(package.model_name, number, None, package)
            if share.traffic > state.share_of(colour).traffic:
                check(version)
            self._test(package, state, colour)
            if state.share_of(colour) != share or not state.tested(colour):
                passed = colour.number if share == ALL else state.passed(colour)
                self._move(colour, state.base_of(colour), share, passed)
            if share != ALL:
                return None
            for other in state.colours.values():
                if other != colour:
                    self._delete_idle(other)
        return version

    def endpoint(self) -> Endpoint:
        """Return the live service's endpoint."""
        return self._azure(lambda _: self._endpoint(*self._alive()))

    def remove(self) -> None:
        """Delete the endpoint and its deployments; the models and environments stay.

        Of an endpoint that this project did not create, only the deployments: its address, keys and network stay.
        """
        with self._folder.locked():
            state = self._azure(lambda _: self._find())
            if state is not None:
                self._check_owner(state)
                self._take_down(state)

    def status(self) -> ServiceStatus:
        """Return healthy if requests go to a deployment that is ready, absent if there is no such endpoint."""
        state = self._azure(lambda _: self._find())
        if state is None:
            return ServiceStatus(self.service_name, "absent")
        health = "healthy" if state.live and state.live.ready else "unhealthy"
        names = registered_package.identity(state.live.tags if state.live else {})
        return ServiceStatus(self.service_name, health, state.url, online_state.describe(state), *names, auth=True)

    def logs(self) -> str:
        """Return the newest log lines of the live deployment and of the candidate; without them, of another one."""

        def work(_: Callable[[str], None]) -> str:
            state = self._existing()
            shown = list(filter(None, (state.live, state.candidate))) or list(state.others[:1])
            if not shown:
                raise DeployError(f"deploy: endpoint '{self.service_name}' has no deployment; deploy it first")
            texts = (online_sdk.log(self._client(), self.service_name, one.name) for one in shown)
            names = (one.tags.get(registered_package.FINGERPRINT, "of another owner") for one in shown)
            return "\n".join(f"Serving package {name}\n{text}" for name, text in zip(names, texts, strict=True))

        return self._azure(work)

    def keys(self) -> Keys:
        """Return the endpoint's two keys."""
        return self._azure(lambda _: self._keys())

    def rotate_keys(self) -> Keys:
        """Make a new primary key; the old one becomes the secondary, so that clients can change one after another."""

        def work(say: Callable[[str], None]) -> Keys:
            wanted = Keys(token_urlsafe(32), self._keys().primary)
            say("the primary key becomes the secondary, and a new one is made")
            online_sdk.set_keys(self._client(), credential(self.connection.auth), self.service_name, wanted)
            return wanted

        return self._azure(work)

    def _move(self, colour: OnlineDeployment, base: OnlineDeployment | None, share: Share, passed: str = "") -> None:
        """Give a deployment its share of the requests, and the base the rest; ``passed`` is the new tag of the tested ones."""
        route = online_state.route(colour, base, share)
        self._note(online_state.describe_route(route, colour, base))
        self._set_traffic(replace(route, tags={**route.tags, **({online_state.TESTED: passed} if passed else {})}))

    def _go_back(self, colour: OnlineDeployment, base: OnlineDeployment) -> None:
        self._note(f"the traffic goes back to {base.name}")
        self._set_traffic(online_state.route(base, None, ALL))
        self._delete_idle(colour)

    def _keep(self, state: EndpointState, colour: OnlineDeployment) -> Share | None:
        """Give a deployment that serves this package its share; return the one it had, if a rollback restores that."""
        base = state.base_of(colour)
        if base is None and self._share != ALL:
            return None  # it serves alone: its share is all
        share = self._share if base else ALL
        dropped = (
            base is None and state.candidate is not None
        )  # it takes all back, also from a candidate without a share
        before = state.share_of(colour)
        if before == share and not dropped:
            return None
        self._test(self._azure(lambda _: self._package(colour.tags)), state, colour)
        self._move(colour, base, share)
        return before if base is not None else None

    def _label(self, colour: OnlineDeployment, version: str) -> None:
        """Tag a deployment that is kept with the version that its package has now."""
        if version not in {"-", colour.tags.get(registered_package.VERSION)}:
            state = self._azure(lambda _: self._existing())
            self._set_traffic(state.labelled(colour, version))

    def _serve(self, package: Package, tags: Mapping[str, str], state: EndpointState | None) -> OnlineDeployment:
        """Deploy this package as the other colour, test it without traffic, and give it its share."""
        if state is None:
            self._make()
        elif state.live and state.candidate:
            self._go_back(state.candidate, state.live)  # the new one takes its place
        elif state.live and state.former and state.abandoned:
            self._go_back(state.live, state.former)  # or the next free colour would be that of the tested one
        state = self._azure(lambda _: self._existing())
        colour = OnlineDeployment(online_state.next_colour(state), "Succeeded", tags)
        if colour.name in state.colours:
            self._delete(colour.name)
        if state.live is None and self._share != ALL:
            self._note("there is no former deployment to share the requests with: this one gets them all")
        try:
            self._start(package, colour)
            self._test(package, state, colour)
            self._move(colour, state.live, self._share)
        except DeployError as error:
            diagnosed = self._diagnosed(error, colour)
            raise DeployError(f"{diagnosed}\n  {self._cleared(colour)}", diagnosed.kind) from error
        return colour

    def _test(self, package: Package, state: EndpointState, colour: OnlineDeployment) -> None:
        """Send the golden requests before users' requests go there; a package without any is tested by the probe stage only."""
        if not golden.read(package.path):
            return
        endpoint = self._azure(lambda _: self._endpoint(state, colour))
        try:
            probe_endpoint(replace(endpoint, headers={**endpoint.headers, DEPLOYMENT: colour.name}))
        except ProbeError as error:
            when = "and keeps its share" if state.share_of(colour).traffic else "before it had traffic"
            raise DeployError(f"deployment {colour.name} failed its test {when}: {error}") from error

    def _diagnosed(self, error: DeployError, colour: OnlineDeployment) -> DeployError:
        settings = {**self._settings(), "service_name": self.service_name, "timeout_seconds": self.timeout_seconds}
        place = (self.kind, self.service_name, colour.name)
        return online_failure.diagnose_deployment(self._client(), place, error, settings, self._folder)

    def _cleared(self, colour: OnlineDeployment) -> str:
        """Delete a deployment that failed; return what serves now, as text for the user."""
        try:
            state = self._azure(lambda _: self._find())
            there = state.colours.get(colour.name) if state else None
            if there is not None and there.number != colour.number:
                return "another command has deployed meanwhile, and nothing of that was touched"
            base = state.base_of(there) if state and there else None
            if there and base:  # it failed after it had traffic
                self._go_back(there, base)
                return "the former deployment serves again"
            if state and state.colours.keys() - {colour.name}:
                if there is not None:
                    self._delete(colour.name)
                return "the former deployment was not touched"
            if state is not None:
                self._take_down(state)
        except DeployError as error:
            return f"cleaning up failed as well ({error}): `stages=remove` takes down what is there"
        return "nothing of it is left in Azure"
