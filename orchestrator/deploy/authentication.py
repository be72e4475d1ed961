"""Whether a deployment asks for a key: as its options say, else as the service does that it replaces."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Protocol, TypeVar, cast, runtime_checkable

from orchestrator.deploy.target import Target

T = TypeVar("T", bound=Target)


@runtime_checkable
class SupportsAuthentication(Protocol):
    """A target whose services may ask for a key; ``auth_enabled`` is None where no option says so."""

    @property
    def auth_enabled(self) -> bool | None:
        """The option."""
        ...

    @property
    def asks_for_key(self) -> bool:
        """The option, or what a new service does without it."""
        ...


def keep_authentication(target: T, note: Callable[[str], None]) -> T:
    """Return the target with ``auth_enabled`` as the service has it, unless an option decides; note what is kept.

    So a service never loses its keys because a later command leaves out an option, and no client is locked out.

    Raises:
        DeployError: the service cannot be asked.
    """
    if not isinstance(target, SupportsAuthentication) or target.auth_enabled is not None:
        return target
    auth = target.status().auth
    if auth is None:
        return target
    if auth != target.asks_for_key:
        note(
            "the service keeps asking for a key; deploy.auth_enabled=false would let everyone in"
            if auth
            else "the service goes on without a key; deploy.auth_enabled=true would ask for one"
        )
    kept = copy.copy(target)
    object.__setattr__(kept, "auth_enabled", auth)  # a copy of a frozen value that nothing else holds yet
    return cast("T", kept)
