"""The state of an online endpoint, managed or on Kubernetes: which deployment is live, candidate or former.

Nothing here calls Azure.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.artifacts import ModelVersion
from orchestrator.deploy.azure import registered_package
from orchestrator.deploy.azure.traffic import ALL, Share
from orchestrator.deploy.rollback import rollback_target

COLOURS = ("blue", "green")
# Colours are reused, so each deployment has a number of its own; the endpoint's tags say which ones were accepted and
# which one is the candidate.
NUMBER, TESTED, CANDIDATE = "deployment_number", "tested_deployment", "candidate_deployment"
LABELS = "version_labels"  # of deployments whose package was registered again: number:version, separated by commas
MADE = {"made_by": "sklearn-orchestrator"}  # of an endpoint: remove keeps those without it


@dataclass(frozen=True)
class OnlineDeployment:
    """One deployment of the endpoint."""

    name: str
    state: str
    tags: Mapping[str, str]
    instance: str = ""

    @property
    def number(self) -> str:
        """The identifier of this deployment; empty if another project made it."""
        return self.tags.get(NUMBER, "")

    @property
    def ready(self) -> bool:
        """Whether it can serve requests."""
        return self.state == "Succeeded"


@dataclass(frozen=True)
class Route:
    """A new distribution of an endpoint's requests, with the tags to set; an empty tag is removed."""

    traffic: Mapping[str, int]
    mirror: Mapping[str, int]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class EndpointState:
    """An endpoint at one time; ``compute`` is the identifier of its Kubernetes compute, empty if it has none."""

    url: str
    auth_mode: str
    tags: Mapping[str, str]
    traffic: Mapping[str, int]
    colours: Mapping[str, OnlineDeployment]
    mirror: Mapping[str, int] = field(default_factory=dict)
    compute: str = ""

    @property
    def is_own(self) -> bool:
        """Whether this project created the endpoint."""
        return MADE.items() <= self.tags.items()

    @property
    def candidate(self) -> OnlineDeployment | None:
        """The deployment that is given a growing share of the requests; None once it has all."""
        wanted = self.tags.get(CANDIDATE)
        return next(
            (one for one in self.colours.values() if wanted and one.number == wanted and not self._alone(one)), None
        )

    def _alone(self, colour: OnlineDeployment) -> bool:
        return self.traffic.get(colour.name, 0) == ALL.traffic

    @property
    def live(self) -> OnlineDeployment | None:
        """The deployment that requests go to; of two, the one that the candidate is to replace."""
        shares = {name: share for name, share in self.traffic.items() if share and name in self.colours}
        candidate = self.candidate
        steady = [name for name in shares if candidate is None or name != candidate.name]
        return self.colours[max(steady or shares, key=shares.__getitem__)] if shares else None

    @property
    def others(self) -> tuple[OnlineDeployment, ...]:
        """All deployments but the live one."""
        return tuple(one for one in self.colours.values() if one != self.live)

    @property
    def former(self) -> OnlineDeployment | None:
        """The deployment that the traffic can be sent back to."""
        return next((one for one in self.others if one.ready and one.number), None)

    def tested(self, colour: OnlineDeployment | None) -> bool:
        """Return whether this deployment passed its test."""
        return colour is not None and bool(colour.number) and colour.number in self.tags.get(TESTED, "").split(",")

    @property
    def abandoned(self) -> bool:
        """Whether a rollback goes to the former deployment, not to the live one: its command was killed before the test."""
        alive = self.live is not None and self.live.ready
        target = rollback_target(self.live, self.former, self.tested, alive=alive)
        return target is not None and target != self.live

    def current(self, number: str) -> OnlineDeployment | None:
        """Return the live deployment or the candidate, if it has this number."""
        return next((one for one in (self.live, self.candidate) if one and one.number == number), None)

    def serving(self, wanted: Mapping[str, str]) -> OnlineDeployment | None:
        """Return the live deployment or the candidate, if it is ready and is what these tags describe."""
        ready = (one for one in (self.live, self.candidate) if one and one.ready)
        return next((one for one in ready if registered_package.serves_like(one.tags, wanted)), None)

    def base_of(self, colour: OnlineDeployment) -> OnlineDeployment | None:
        """Return the deployment that serves the other requests, and all if this one fails; None for an accepted one."""
        if colour == self.candidate:
            return self.live
        return self.former if colour == self.live and not self.tested(colour) else None

    def share_of(self, colour: OnlineDeployment) -> Share:
        """Return the percentages of the requests that this deployment answers and that are mirrored to it."""
        return Share(self.traffic.get(colour.name, 0), self.mirror.get(colour.name, 0))

    def passed(self, colour: OnlineDeployment) -> str:
        """Return the tag of the tested deployments with this one among them; alone, if no other stays."""
        beside = [one.number for one in self.colours.values() if one != colour and self.tested(one)]
        return ",".join([*(beside if self.candidate else []), colour.number])

    def labelled(self, colour: OnlineDeployment, version: str) -> Route:
        """Return a route with the same traffic that tags this deployment with another version."""
        numbers = {one.number for one in self.colours.values()}
        others = {number: label for number, label in labels(self.tags).items() if number in numbers}
        text = ",".join(f"{number}:{label}" for number, label in {**others, colour.number: version}.items())
        return Route(self.traffic, self.mirror, {LABELS: text})


def labels(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of deployments whose package was registered again, by their numbers."""
    pairs = (part.partition(":") for part in tags.get(LABELS, "").split(",") if part)
    return {number: version for number, _, version in pairs}


def route(colour: OnlineDeployment, base: OnlineDeployment | None, share: Share) -> Route:
    """Return the route that gives this deployment its share and the base the rest; without a base, all."""
    if base is None or share == ALL:
        return Route({colour.name: ALL.traffic}, {}, {CANDIDATE: ""})
    traffic = {base.name: ALL.traffic - share.traffic, colour.name: share.traffic}
    mirror = {colour.name: share.mirror} if share.mirror else {}
    return Route({name: part for name, part in traffic.items() if part}, mirror, {CANDIDATE: colour.number})


def describe_route(route: Route, colour: OnlineDeployment, base: OnlineDeployment | None) -> str:
    """Return the new traffic split, as text for the user."""
    if base is None or not route.tags[CANDIDATE]:
        return f"the traffic goes to {colour.name}"
    mirror, traffic = route.mirror.get(colour.name, 0), route.traffic.get(colour.name, 0)
    part = f"a copy of {mirror} %" if mirror else f"{traffic} %"
    return (
        f"{colour.name} gets {part} of the requests; {base.name} answers the others and stays the champion until "
        "stages=shift gives all of them"
    )


def describe(state: EndpointState) -> dict[str, str]:
    """Return the state of the endpoint's deployments, as text for the user."""
    live, candidate = state.live, state.candidate
    tags = live.tags if live else {}
    alone = candidate is None
    texts = {
        "live": _described(state, live, alone=alone) if live else "no deployment gets requests",
        "candidate": _described(state, candidate, alone=alone) if candidate else "",
        "waiting": ", ".join(_described(state, one, alone=True) for one in state.others if one != candidate),
        "model": registered_package.model_label(tags),
        "fingerprint": tags.get(registered_package.FINGERPRINT, ""),
        "candidate fingerprint": candidate.tags.get(registered_package.FINGERPRINT, "") if candidate else "",
        "tested": "yes" if state.tested(live) else "no",
        "candidate tested": ("yes" if state.tested(candidate) else "no") if candidate else "",
        "size": live.instance if live else "",
    }
    return {name: text for name, text in texts.items() if text}


def _described(state: EndpointState, colour: OnlineDeployment, *, alone: bool) -> str:
    share = state.share_of(colour)
    copies = f", a copy of {share.mirror} %" if share.mirror else ""
    return f"{colour.name}, {colour.state}" + ("" if alone else f", {share.traffic} % of the requests{copies}")


def next_colour(state: EndpointState) -> str:
    """Return the colour that is not live."""
    live = state.live
    return next(name for name in COLOURS if live is None or name != live.name)


def tags(version: ModelVersion, settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a new deployment: those of every service of this project, and its number."""
    return {**registered_package.tags(version.package, version.version, settings), NUMBER: uuid.uuid4().hex}


def environment_version(definition: Mapping[str, Any], image: str) -> str:
    """Return the digest of an environment as its version, so that the same definition is registered once."""
    return hashlib.sha256(json.dumps([definition, image], sort_keys=True).encode()).hexdigest()[:16]
