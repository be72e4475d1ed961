"""Names of modules: which are taken on a server, and whether one means the same file here and there."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from orchestrator.caching.fingerprints import module_location

SHIPS = "score"
NEVER_SHIP = ("orchestrator", "azure_emulator")
FOLDERS = (SHIPS, "about")  # of every package


def taken(top: str) -> str:
    """Return what else has this name on a server; "" if nothing."""
    if top in sys.stdlib_module_names:
        return "a module of Python's standard library"
    if top in FOLDERS or top in NEVER_SHIP:
        return f"{top}/, which every package holds" if top in FOLDERS else f"{top}, which runs the training"
    homes = [entry for entry in sys.path if {"site-packages", "dist-packages"} & {*Path(entry).parts}]
    return f"the installed module {found.origin or top}" if (found := PathFinder.find_spec(top, homes)) else ""


def is_at(module: str, path: Path) -> bool:
    """Return whether a module is imported from this file or folder."""
    file, folders = module_location(module)
    return path.resolve() in {place.resolve() for place in [*folders, *([file] if file else [])]}


def loaded_from_elsewhere(top: str) -> str:
    """Return where a loaded module comes from, if that is not where it would be imported from now.

    A process that has loaded a package holds the package's modules.
    """
    origin = getattr(sys.modules.get(top), "__file__", None)
    expected = PathFinder.find_spec(top, sys.path)
    if origin is None or expected is None or expected.origin is None:
        return ""
    now, then = Path(expected.origin).resolve(), Path(origin).resolve()
    is_same = now == then or (then.stem != "__init__" and now.read_bytes() == then.read_bytes())
    return "" if is_same else origin
