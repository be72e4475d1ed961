"""A container instance as files in a folder, the interface between the emulator and the instance's process.

The emulator writes ``spec.json`` and ``keys.json``, the instance ``state.json`` and ``container.log``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spec:
    """What to run; ``app`` is the folder of the driver, the unpacked source and ``azureml-models``."""

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
    """The state of an instance: Starting, Healthy, or CrashLoopBackOff (no process runs any more)."""

    state: str
    starts: int = 0
    exit_code: int | None = None


class Instance:
    """The files of one instance, for the emulator and for the instance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "container.log"

    @property
    def spec(self) -> Spec:
        """Read what to run."""
        return Spec(**json.loads((self.folder / "spec.json").read_text()))

    @property
    def state(self) -> State:
        """Read the state."""
        return State(**json.loads((self.folder / "state.json").read_text()))

    def write(self, name: str, content: object) -> None:
        """Write a JSON file atomically, readable by its owner only."""
        partial = self.folder / f".{name}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file)
        partial.replace(self.folder / name)

    def keys(self) -> list[str]:
        """Read the valid keys."""
        return list(json.loads((self.folder / "keys.json").read_text()).values())

    def read_log(self) -> str:
        """Read the container's log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""
