"""The environment in which packages are found: the command's own, also while an emulator leads everything to a stand-in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_kept: ContextVar[Mapping[str, str] | None] = ContextVar("kept", default=None)


def environment() -> Mapping[str, str]:
    """Return the variables that count here."""
    kept = _kept.get()
    return os.environ if kept is None else kept


@contextmanager
def kept(variables: Mapping[str, str]) -> Iterator[None]:
    """Let these variables count, whatever becomes of this process's own."""
    token = _kept.set(variables)
    try:
        yield
    finally:
        _kept.reset(token)
