"""How this program was called: as ``python run.py``, ``orchestrate`` or ``python -m orchestrator``; with tracebacks or not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

CALLED_AS = "ORCHESTRATOR_CALLED_AS"  # in the environment, so that the jobs of a sweep and conf/hydra/help read it
TRACEBACK = "ORCHESTRATOR_TRACEBACK"  # holds what HYDRA_FULL_ERROR was
COMMAND = "orchestrate"
MODULE = ("-m", "orchestrator")


def remember() -> None:
    """Keep how this process was called, for its own messages and those of the processes that it starts."""
    os.environ[CALLED_AS] = " ".join(_portable(sys.argv[0]))
    os.environ.setdefault(TRACEBACK, os.environ.get("HYDRA_FULL_ERROR", ""))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors then, instead of printing many lines


def wants_traceback() -> bool:
    """Return whether HYDRA_FULL_ERROR=1 was set where the command was typed."""
    return os.environ.get(TRACEBACK) == "1"


def called_as() -> str:
    """Return the command without paths, for texts that are read elsewhere; from a notebook it is ``orchestrate``."""
    return os.environ.get(CALLED_AS) or COMMAND


def _portable(program: str) -> Sequence[str]:
    name = Path(program).name
    if name == "__main__.py":
        return ("python", *MODULE)
    return ("python", name) if name.endswith(".py") else (COMMAND,)


def to_type(folder: Path | None = None) -> list[str]:
    """Return the words to type where this command was typed, or in ``folder``, with the paths that they need there."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return [python(folder), *MODULE]
    if program.suffix == ".py":
        return [python(folder), sys.argv[0] if folder is None else _near(sys.argv[0], folder)]
    return [program.stem if _on_the_path(program) else _near(sys.argv[0], folder)]


def python(folder: Path | None = None) -> str:
    """Return how this Python is called where the command was typed, or in ``folder``."""
    return "python" if shutil.which("python") == sys.executable else _near(sys.executable, folder)


def _near(file: str, folder: Path | None) -> str:
    """Return a file as it is typed in the working directory, or in ``folder``: below it by the relative path."""
    near = os.path.relpath(file, folder)
    if not near.startswith(".."):
        return near
    return file if folder is None else os.path.normpath(Path(file).absolute())


def _on_the_path(program: Path) -> bool:
    if program.name == str(program):  # as on Windows, or where the path was searched
        return True
    found = shutil.which(program.stem)
    return found is not None and Path(found).with_suffix("").resolve() == program.with_suffix("").resolve()
