"""Background processes that outlive their parent: each in a session of its own, identified by pid and start time."""

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

_STOP_SECONDS = 3.0


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
    process.returncode = 0  # detached: suppresses the ResourceWarning of a child that was not waited for
    return process.pid


def find(folder: Path) -> psutil.Process | None:
    """Return the process started for ``folder``, if it still runs."""
    for member in _session_members(folder):
        with contextlib.suppress(OSError):
            if os.getpgid(member.pid) == member.pid:
                return member
    return None


def stop(folder: Path) -> None:
    """Stop the process of ``folder`` and its descendants, also those that outlived it."""
    members = _session_members(folder)
    for member in members:
        _signal(member, signal.SIGTERM)
    _, alive = psutil.wait_procs(members, _STOP_SECONDS)
    for member in alive:
        _signal(member, signal.SIGKILL)
    psutil.wait_procs(alive, _STOP_SECONDS)
    (folder / "process.json").unlink(missing_ok=True)


def _session_members(folder: Path) -> list[psutil.Process]:
    """Return the live processes of the session that was created for ``folder``."""
    try:
        known = json.loads((folder / "process.json").read_text())
    except (OSError, ValueError):
        return []
    with contextlib.suppress(ChildProcessError):
        os.waitpid(known["pid"], os.WNOHANG)  # reaps it, if it was a child of this process
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                os.getpgid(process.pid) == known["pid"]
                and process.create_time() >= known["created"] - 1  # else the pid was reused
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                members.append(process)
    return members


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


def wait_for(path: Path, process_folder: Path, seconds: float) -> bool:
    """Wait for ``path``; return whether it appeared before the process ended or the time was up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists():
            return True
        if find(process_folder) is None:
            return path.exists()
        time.sleep(0.05)
    return False
