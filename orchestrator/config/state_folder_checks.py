"""Check the state folder before a run writes there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import Problem

# What a state folder holds, as patterns
_FOLDERS = (
    "cache",
    "copies",
    "logs",
    "packages",
    "registered",
    "services",
    "services/*",
    "services/*/logs",
    "tracking",
)
_FILES = (
    "*.lock",
    "mlflow.db",
    "registered/*.json",
    "services/*.rollout.*",
    *(f"services/*/{name}" for name in ("record.json", "keys.json", "lock")),
)


def problems(state_dir: Path) -> Iterator[Problem]:
    """Yield why runs cannot be kept in a folder: its name, what lies there, or no right to write."""
    if os.pathsep in str(state_dir):
        yield Problem(
            "state_dir", f"{state_dir} holds '{os.pathsep}', at which PYTHONPATH is split; name another folder"
        )
        return
    if not str(state_dir).isprintable():
        yield Problem("state_dir", f"{str(state_dir)!r} holds letters that cannot be printed; name another folder")
        return
    there = next(path for path in (state_dir, *state_dir.parents) if path.exists())
    if not there.is_dir():
        yield Problem("state_dir", f"{there} is a file; name a folder")
        return
    try:
        tempfile.TemporaryFile(dir=there).close()  # permissions alone do not decide: root may not write everywhere
    except OSError:
        yield Problem("state_dir", f"nothing can be written in {there}; name another folder")
    files = {found for pattern in _FILES for found in state_dir.glob(pattern)}
    folders = {found for pattern in _FOLDERS for found in state_dir.glob(pattern)} - files
    for paths, is_right, what in ((folders, Path.is_dir, "folder"), (files, Path.is_file, "file")):
        for path in sorted(paths):
            if not is_right(path) and not path.name.startswith("."):
                yield Problem("state_dir", f"{path} should be a {what} and is none; move it away")
