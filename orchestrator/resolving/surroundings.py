"""The environment variables for package indexes: the command's own, also while the emulator redirects the process's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_original: ContextVar[Mapping[str, str] | None] = ContextVar("original", default=None)


def environment() -> Mapping[str, str]:
    """Return the variables for package indexes."""
    original = _original.get()
    return os.environ if original is None else original


@contextmanager
def original_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Use these variables in the block, even if the process's own change."""
    token = _original.set(variables)
    try:
        yield
    finally:
        _original.reset(token)
