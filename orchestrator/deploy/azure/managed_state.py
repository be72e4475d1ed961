"""What an online endpoint is made of, and which of its two deployments is which: the pure half, nothing asked of Azure.

The endpoint is managed by Azure or stands on Kubernetes; its deployments play the same parts.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.azure import aci_state
from orchestrator.deploy.azure.traffic import ALL, Share

COLOURS = ("blue", "green")
# A colour is used again and again, so each deployment has a number of its own; the endpoint says which were tested, and
# which one takes over step by step.
NUMBER, TESTED, CANDIDATE = "deployment_number", "tested_deployment", "candidate_deployment"
LABELS = "version_labels"  # of deployments whose package was registered again: number:version, separated by commas
MADE = {"made_by": "sklearn-orchestrator"}  # of an endpoint: else somebody else made it, and it stays


@dataclass(frozen=True)
class OnlineDeployment:
    """One deployment of the endpoint."""

    name: str
    state: str
    tags: Mapping[str, str]
    instance: str = ""

    @property
    def number(self) -> str:
        """Which deployment it is, of all that ever had this colour; empty: it is not ours."""
        return self.tags.get(NUMBER, "")

    @property
    def ready(self) -> bool:
        """Whether it can take requests."""
        return self.state == "Succeeded"


@dataclass(frozen=True)
class Route:
    """How an endpoint's requests are shared from now on, and the tags that say so; an empty tag is removed."""

    traffic: Mapping[str, int]
    mirror: Mapping[str, int]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class EndpointState:
    """The endpoint as it was found; ``compute`` is the identifier of its Kubernetes compute, empty if it has none."""

    url: str
    auth_mode: str
    tags: Mapping[str, str]
    traffic: Mapping[str, int]
    colours: Mapping[str, OnlineDeployment]
    mirror: Mapping[str, int] = field(default_factory=dict)
    compute: str = ""

    @property
    def ours(self) -> bool:
        """Whether this project made the endpoint itself."""
        return MADE.items() <= self.tags.items()

    @property
    def candidate(self) -> OnlineDeployment | None:
        """The deployment that takes over step by step, whatever share it has by now; None once it has all."""
        wanted = self.tags.get(CANDIDATE)
        return next(
            (one for one in self.colours.values() if wanted and one.number == wanted and not self._alone(one)), None
        )

    def _alone(self, colour: OnlineDeployment) -> bool:
        return self.traffic.get(colour.name, 0) == ALL.traffic

    @property
    def live(self) -> OnlineDeployment | None:
        """The deployment that requests go to; of two, the one that the candidate takes over from."""
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
        """The deployment that the traffic can go back to."""
        return next((one for one in self.others if one.ready and one.number), None)

    def tested(self, colour: OnlineDeployment | None) -> bool:
        """Whether this deployment passed its test."""
        return colour is not None and bool(colour.number) and colour.number in self.tags.get(TESTED, "").split(",")

    @property
    def abandoned(self) -> bool:
        """Whether a command was killed between its deployment and its test, with a tested one still beside it."""
        return self.live is not None and not self.tested(self.live) and self.tested(self.former)

    def current(self, number: str) -> OnlineDeployment | None:
        """The live deployment or the candidate, if it has this number."""
        return next((one for one in (self.live, self.candidate) if one and one.number == number), None)

    def serving(self, wanted: Mapping[str, str]) -> OnlineDeployment | None:
        """The live deployment or the candidate, if it is ready and is what these tags describe."""
        found = (one for one in (self.live, self.candidate) if one and one.ready)
        return next((one for one in found if aci_state.serves_like(one.tags, wanted)), None)

    def base_of(self, colour: OnlineDeployment) -> OnlineDeployment | None:
        """The deployment that serves the rest beside this one, and again if this one fails; None for a settled one."""
        if colour == self.candidate:
            return self.live
        return self.former if colour == self.live and not self.tested(colour) else None

    def share_of(self, colour: OnlineDeployment) -> Share:
        """The percentages of the requests that this deployment answers, and that it gets a copy of."""
        return Share(self.traffic.get(colour.name, 0), self.mirror.get(colour.name, 0))

    def passed(self, colour: OnlineDeployment) -> str:
        """The tag of the tested deployments, with this one among them; alone, where no other stays beside it."""
        beside = [one.number for one in self.colours.values() if one != colour and self.tested(one)]
        return ",".join([*(beside if self.candidate else []), colour.number])

    def labelled(self, colour: OnlineDeployment, version: str) -> Route:
        """The requests stay as they are, and this deployment is called by another version from now on."""
        numbers = {one.number for one in self.colours.values()}
        kept = {number: label for number, label in labels(self.tags).items() if number in numbers}
        text = ",".join(f"{number}:{label}" for number, label in {**kept, colour.number: version}.items())
        return Route(self.traffic, self.mirror, {LABELS: text})


def labels(tags: Mapping[str, str]) -> dict[str, str]:
    """The versions that deployments are called by since their package was registered again, by their numbers."""
    pairs = (part.partition(":") for part in tags.get(LABELS, "").split(",") if part)
    return {number: version for number, _, version in pairs}


def route(colour: OnlineDeployment, base: OnlineDeployment | None, share: Share) -> Route:
    """Give this deployment its share and the base the rest; without a base, all."""
    if base is None or share == ALL:
        return Route({colour.name: ALL.traffic}, {}, {CANDIDATE: ""})
    traffic = {base.name: ALL.traffic - share.traffic, colour.name: share.traffic}
    mirror = {colour.name: share.mirror} if share.mirror else {}
    return Route({name: part for name, part in traffic.items() if part}, mirror, {CANDIDATE: colour.number})


def describe_route(route: Route, colour: OnlineDeployment, base: OnlineDeployment | None) -> str:
    """Return what people read when the requests are shared anew."""
    if base is None or not route.tags[CANDIDATE]:
        return f"the traffic goes to {colour.name}"
    mirror, traffic = route.mirror.get(colour.name, 0), route.traffic.get(colour.name, 0)
    part = f"a copy of {mirror} %" if mirror else f"{traffic} %"
    return (
        f"{colour.name} gets {part} of the requests; {base.name} answers the others and stays the champion until "
        "stages=shift gives all of them"
    )


def describe(seen: EndpointState) -> dict[str, str]:
    """Return what people read about the endpoint's deployments."""
    live, candidate = seen.live, seen.candidate
    tags = live.tags if live else {}
    alone = candidate is None
    texts = {
        "live": _described(seen, live, alone=alone) if live else "no deployment gets requests",
        "candidate": _described(seen, candidate, alone=alone) if candidate else "",
        "waiting": ", ".join(_described(seen, one, alone=True) for one in seen.others if one != candidate),
        "model": aci_state.named(tags),
        "fingerprint": tags.get(aci_state.FINGERPRINT, ""),
        "candidate fingerprint": candidate.tags.get(aci_state.FINGERPRINT, "") if candidate else "",
        "tested": "yes" if seen.tested(live) else "no",
        "candidate tested": ("yes" if seen.tested(candidate) else "no") if candidate else "",
        "size": live.instance if live else "",
    }
    return {name: text for name, text in texts.items() if text}


def _described(seen: EndpointState, colour: OnlineDeployment, *, alone: bool) -> str:
    share = seen.share_of(colour)
    copies = f", a copy of {share.mirror} %" if share.mirror else ""
    return f"{colour.name}, {colour.state}" + ("" if alone else f", {share.traffic} % of the requests{copies}")


def next_colour(seen: EndpointState) -> str:
    """The colour that is not live."""
    live = seen.live
    return next(name for name in COLOURS if live is None or name != live.name)


def tags(package: Package, version: ModelVersion, settings: Mapping[str, Any]) -> dict[str, str]:
    """What a deployment carries, so that any machine can tell what it serves; the user's own tags come along."""
    return {**aci_state.tags(package, version.version, settings), NUMBER: uuid.uuid4().hex}


def conda(package: Package, allow_origins: Sequence[str] = ()) -> dict[str, Any]:
    """The package's conda.yaml and Azure's server, as on ACI."""
    return aci_state.conda(package, allow_origins)


def environment_version(definition: Mapping[str, Any], image: str) -> str:
    """The version of an environment is named after what is in it: the same definition is registered once."""
    return hashlib.sha256(json.dumps([definition, image], sort_keys=True).encode()).hexdigest()[:16]
