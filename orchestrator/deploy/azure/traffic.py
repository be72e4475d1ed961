"""The share of the requests that a new deployment answers, and the share that is mirrored to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field, StrictInt

Traffic = Annotated[StrictInt, Field(ge=0, le=100)] | None  # None: all, or none where requests are mirrored
Mirror = Annotated[StrictInt, Field(ge=0, le=50)]  # Azure's limit


class Share(NamedTuple):
    """Percentages of an endpoint's requests: those that a deployment answers, and those that are mirrored to it."""

    traffic: int
    mirror: int


ALL = Share(100, 0)


def share_of(traffic: int | None, mirror: int) -> Share:
    """Return the share for the values of the two keys."""
    if traffic is None:
        traffic = 0 if mirror else ALL.traffic
    return Share(traffic, mirror)


def contradictions(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for two keys that contradict each other; each alone has been checked before."""
    if options.get("mirror") and options.get("traffic"):
        yield (
            "mirror",
            "a deployment answers requests or gets copies of them, not both; leave deploy.traffic out, or write deploy.traffic=0",
        )
