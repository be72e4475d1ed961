"""Limits of a service: its name, and its size with the side-cars that Azure adds."""

from __future__ import annotations

import re

from azure_emulator.common.errors import size_text
from azure_emulator.common.store import Document

_NAME = re.compile(r"[a-z]([-a-z0-9]{1,30})[a-z0-9]")
_SIDE_CARS = (0.1, 0.5)  # CPU and GB
_MAXIMUM = (4.0, 16.0)
_DEFAULT = {"cpu": 0.1, "memoryInGB": 0.5}


def validate_name(name: str) -> str | None:
    """Return the problem with the name of a service, or None."""
    if _NAME.fullmatch(name):
        return None
    return (
        f"Service name {name!r} is not valid: 3 to 32 lower-case letters, digits and '-', a letter first, no '-' last."
    )


def validate_size(body: Document) -> str | None:
    """Return the problem with the requested size of a container, or None."""
    requested = resources(body)
    cpu, memory = requested["cpu"] + _SIDE_CARS[0], requested["memoryInGB"] + _SIDE_CARS[1]
    return size_text(cpu, memory) if cpu > _MAXIMUM[0] or memory > _MAXIMUM[1] else None


def resources(body: Document) -> Document:
    """Return the requested CPU and memory, or their defaults."""
    requested = body.get("containerResourceRequirements") or {}
    return {name: requested.get(name) or default for name, default in _DEFAULT.items()}
