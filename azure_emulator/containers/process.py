"""Processes that outlive their maker: started in a session of their own, found again by pid and time of start."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

_PATIENCE = 3.0


def start(folder: Path, module: str, *arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run ``python -m module arguments`` in the background; its output goes to ``folder/process.log``."""
    folder.mkdir(parents=True, exist_ok=True)
    inherited = dict(os.environ) if environment is None else environment
    with (folder / "process.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=inherited | {"PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
    created = psutil.Process(process.pid).create_time()
    (folder / "process.json").write_text(json.dumps({"pid": process.pid, "created": created}))
    process.returncode = 0  # it is nobody's child from here on: no ResourceWarning when the object goes
    return process.pid


def find(folder: Path) -> psutil.Process | None:
    """The process started for ``folder``, if it still runs."""
    for one in _family(folder):
        with contextlib.suppress(OSError):
            if os.getpgid(one.pid) == one.pid:
                return one
    return None


def stop(folder: Path) -> None:
    """End the process of ``folder`` and all that it started, also what it left behind when it died."""
    family = _family(folder)
    for one in family:
        _send(one, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, _PATIENCE)
    for one in alive:
        _send(one, signal.SIGKILL)
    psutil.wait_procs(alive, _PATIENCE)
    (folder / "process.json").unlink(missing_ok=True)


def _family(folder: Path) -> list[psutil.Process]:
    """The living members of the session; it was made for this process, so its number names them all."""
    try:
        known = json.loads((folder / "process.json").read_text())
    except (OSError, ValueError):
        return []
    with contextlib.suppress(ChildProcessError):
        os.waitpid(known["pid"], os.WNOHANG)  # if it was ours and has ended, let it go
    family = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                os.getpgid(process.pid) == known["pid"]
                and process.create_time() >= known["created"] - 1  # or the number was given to somebody else
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                family.append(process)
    return family


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


def wait_for(path: Path, process_folder: Path, seconds: float) -> bool:
    """Whether ``path`` appears before the process ends or the time is up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists():
            return True
        if find(process_folder) is None:
            return path.exists()
        time.sleep(0.05)
    return False
