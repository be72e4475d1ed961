"""Services: what a target says of one, besides its Endpoint: the keys that it takes, and how it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Keys:
    """A service's two keys: either is accepted, so that one can be rotated while the other is in use."""

    primary: str = field(repr=False)
    secondary: str = field(repr=False)


@dataclass(frozen=True)
class ServiceStatus:
    """A service now, and what it reports to serve; ``state`` is healthy, unhealthy or absent.

    ``auth`` says whether requests need a key; None: not known.
    """

    name: str
    state: str
    url: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    version: str = ""
    fingerprint: str = ""
    auth: bool | None = None
