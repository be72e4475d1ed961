"""A container instance as files in a folder, which is all that the stand-in and the container know of each other.

``spec.json`` and ``keys.json`` go in, ``state.json`` and ``container.log`` come out.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spec:
    """What to run. ``app`` holds the driver, the unpacked source and ``azureml-models``."""

    image: str
    app: str
    driver: str
    environment: dict[str, str]
    memory_gb: float
    auth: bool
    port: int
    server_port: int


@dataclass(frozen=True)
class State:
    """How it is: Starting, Healthy, or CrashLoopBackOff (and then no process is left)."""

    state: str
    starts: int = 0
    exit_code: int | None = None


class Instance:
    """The files of one instance, from either side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "container.log"

    @property
    def spec(self) -> Spec:
        """What to run."""
        return Spec(**json.loads((self.folder / "spec.json").read_text()))

    @property
    def state(self) -> State:
        """How it is."""
        return State(**json.loads((self.folder / "state.json").read_text()))

    def write(self, name: str, content: object) -> None:
        """Put a JSON file there, for its owner only and never half of it."""
        partial = self.folder / f".{name}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file)
        partial.replace(self.folder / name)

    def keys(self) -> list[str]:
        """Either opens the door."""
        return list(json.loads((self.folder / "keys.json").read_text()).values())

    def read_log(self) -> str:
        """What the container wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""
