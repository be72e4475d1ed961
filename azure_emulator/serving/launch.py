"""Launch of an instance, shared by ACI services and online deployments: image build, faults, start, health check."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from azure_emulator.common.responses import EmulatorState
from azure_emulator.common.store import Document
from azure_emulator.containers import image, process
from azure_emulator.containers.instance import Instance, State

_HEALTHY_SECONDS = 180.0  # Azure waits longer, which would slow tests down
_FAULT_SECONDS = 3.0
_CRASH_CODE = 'raise RuntimeError("emulator: the fault crash_loop was asked for")\n'
_HANG_CODE = 'import time\n\nprint("emulator: the fault time_out was asked for")\ntime.sleep(86400)\n'


async def build_image(emulator: EmulatorState, environment: Document, write_line: Callable[[str], None]) -> Path:
    """Build the image of an environment, or let the build fail if that fault is pending.

    Raises:
        ImageError: the build failed; ``write_line`` got the build log.
    """
    recipe = image.read_recipe(environment)
    if emulator.faults.trigger("image_build_failure"):
        recipe = image.Recipe(recipe.python, ("--no-index", "emulator-fault-image-build-failure==1.0"), recipe.conda)
    async with emulator.building:
        return await image.build(recipe, emulator.images, write_line)


def startup_fault(emulator: EmulatorState) -> tuple[str, float]:
    """Return the code that a pending fault puts before the entry script, and the seconds to wait for health."""
    hang, crash = emulator.faults.trigger("time_out"), emulator.faults.trigger("crash_loop")
    return (_HANG_CODE, _FAULT_SECONDS) if hang else (_CRASH_CODE if crash else "", _HEALTHY_SECONDS)


def start(folder: Path) -> None:
    """Start the instance whose files are in ``folder``."""
    Instance(folder).write("state.json", asdict(State("Starting")))
    process.start(folder, "azure_emulator.containers.supervisor", str(folder))


async def wait_until_healthy(folder: Path, seconds: float) -> State:
    """Wait until the instance is healthy, its process has ended, or the time is up; return its last state."""
    instance, until = Instance(folder), time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(0.1)
        state = instance.state
        if state.state in {"Healthy", "CrashLoopBackOff"}:
            return state
        if process.find(folder) is None:
            return State("CrashLoopBackOff", state.starts)
    return State("Starting")


def free_port() -> int:
    """Return a free port on localhost."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
