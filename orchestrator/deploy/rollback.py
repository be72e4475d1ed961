"""The rollback policy of all targets: which service comes back when a new deployment fails its test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

S = TypeVar("S")


def rollback_target(replaced: S | None, former: S | None, is_accepted: Callable[[S], bool], *, alive: bool) -> S | None:
    """Return what a deployment that takes the place of ``replaced`` goes back to; None: it is removed.

    That is the last accepted service, else ``replaced`` itself if it is ``alive``, else what ``replaced`` would have gone
    back to, its ``former``. A service that came back by a rollback has no ``former``: what failed never returns.
    """
    if replaced is None or is_accepted(replaced):
        return replaced
    if alive and not (former is not None and is_accepted(former)):
        return replaced
    return former
