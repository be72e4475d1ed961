"""What Azure checks before it creates a service: the name, and the size with the side-cars it adds."""

from __future__ import annotations

import re

from azure_emulator.common.errors import size_text
from azure_emulator.common.store import Document

_NAME = re.compile(r"[a-z]([-a-z0-9]{1,30})[a-z0-9]")
_SIDE_CARS = (0.1, 0.5)  # CPU and GB
_MOST = (4.0, 16.0)
LEAST = {"cpu": 0.1, "memoryInGB": 0.5}  # what is given to who asks for nothing


def problem_with_name(name: str) -> str | None:
    """Why a service cannot have this name."""
    if _NAME.fullmatch(name):
        return None
    return (
        f"Service name {name!r} is not valid: 3 to 32 lower-case letters, digits and '-', a letter first, no '-' last."
    )


def problem_with_size(given: Document) -> str | None:
    """Why the container asked for cannot be had."""
    asked = resources(given)
    cpu, memory = asked["cpu"] + _SIDE_CARS[0], asked["memoryInGB"] + _SIDE_CARS[1]
    return size_text(cpu, memory) if cpu > _MOST[0] or memory > _MOST[1] else None


def resources(given: Document) -> Document:
    """CPU and memory, as asked for or as given by default."""
    asked = given.get("containerResourceRequirements") or {}
    return {name: asked.get(name) or least for name, least in LEAST.items()}
