"""What a managed endpoint is made of, and which of its two deployments is which: the pure half, nothing asked of Azure."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.deploy import aci_plan
from orchestrator.products import ModelVersion, Package

COLOURS = ("blue", "green")
# A colour is used again and again, so each deployment has a number of its own; the endpoint says which was tested.
NUMBER, TESTED = "deployment_number", "tested_deployment"
MADE = {"made_by": "sklearn-orchestrator"}  # of an endpoint: else somebody else made it, and it stays


@dataclass(frozen=True)
class Colour:
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
class Seen:
    """The endpoint as it was found."""

    url: str
    auth_mode: str
    tags: Mapping[str, str]
    traffic: Mapping[str, int]
    colours: Mapping[str, Colour]

    @property
    def ours(self) -> bool:
        """Whether we made the endpoint itself."""
        return MADE.items() <= self.tags.items()

    @property
    def live(self) -> Colour | None:
        """The deployment that requests go to."""
        shares = {name: share for name, share in self.traffic.items() if share and name in self.colours}
        return self.colours[max(shares, key=shares.__getitem__)] if shares else None

    @property
    def dark(self) -> tuple[Colour, ...]:
        """Those that get none."""
        return tuple(one for one in self.colours.values() if one != self.live)

    @property
    def former(self) -> Colour | None:
        """What the traffic can go back to."""
        return next((one for one in self.dark if one.ready and one.number), None)

    def tested(self, colour: Colour | None) -> bool:
        """Whether this deployment passed its test."""
        return colour is not None and bool(colour.number) and self.tags.get(TESTED) == colour.number

    @property
    def abandoned(self) -> bool:
        """Whether a command was killed between its deployment and its test, with a tested one still beside it."""
        return self.live is not None and not self.tested(self.live) and self.tested(self.former)


def next_colour(seen: Seen) -> str:
    """The one that no request goes to."""
    live = seen.live
    return next(name for name in COLOURS if live is None or name != live.name)


def tags(package: Package, version: ModelVersion, settings: Mapping[str, Any]) -> dict[str, str]:
    """What a deployment carries, so that any machine can tell what it serves; the user's own tags come along."""
    return {**aci_plan.tags(package, version.version, settings), NUMBER: uuid.uuid4().hex}


def conda(package: Package) -> dict[str, Any]:
    """The package's conda.yaml and Azure's server, as on ACI."""
    return aci_plan.conda(package)


def environment_version(definition: Mapping[str, Any], image: str) -> str:
    """The version of an environment is named after what is in it: the same definition is registered once."""
    return hashlib.sha256(json.dumps([definition, image], sort_keys=True).encode()).hexdigest()[:16]
