"""The project's own modules in a package: list them, and import them from there before the pickle is loaded.

They lie beside ``score/``. ``code.json`` names them; a package without it has none.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

FILE = "code.json"


class OwnCodeError(RuntimeError):
    """The process has loaded other code under the names of the package's modules."""


def write(folder: Path, modules: Mapping[str, str]) -> None:
    """Write the dotted names of the modules and their files, relative to the package."""
    (folder / FILE).write_text(json.dumps({"modules": dict(sorted(modules.items()))}, indent=1) + "\n")


def read(folder: Path) -> Mapping[str, str]:
    """Return the files of a package's own modules, by dotted name."""
    file = folder / FILE
    return dict(json.loads(file.read_bytes())["modules"]) if file.is_file() else {}


def import_modules(folder: Path) -> None:
    """Import every own module of a package from its folder, wherever that lies.

    All of them now, as a function may import one later, and the folder is on ``sys.path`` only meanwhile.

    Raises:
        OwnCodeError: a module of one of these names was loaded from elsewhere, and its source is another one.
        Exception: whatever importing raises.
    """
    modules = read(folder)
    if not modules:
        return
    for name in modules:
        _refuse_other_source(folder, name, modules)
    with _first_on_path(folder):
        for name in modules:
            with contextlib.suppress(ImportError):  # of an optional library; unpickling raises it if it matters
                importlib.import_module(name)
    for name in modules:
        _refuse_other_source(folder, name, modules)


def _refuse_other_source(folder: Path, name: str, modules: Mapping[str, str]) -> None:
    """Refuse a loaded module unless it and all modules beside it have the package's sources."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if name not in sys.modules or loaded is None:
        return
    file, inside = Path(loaded).resolve(), Path(modules[name])
    if file == (folder / inside).resolve():
        return
    root = Path(*file.parts[: -len(inside.parts)])
    top = name.partition(".")[0]
    beside = [path for module, path in modules.items() if module.partition(".")[0] == top]
    if file != root / inside or not all(_is_same(root / path, folder / path) for path in beside):
        raise OwnCodeError(
            f"this process has loaded '{name}' from {file}, and the package has other code of this name; "
            "load the package in a process of its own (in a notebook, restart the kernel)"
        )


def _is_same(left: Path, right: Path) -> bool:
    try:
        return left.read_bytes() == right.read_bytes()
    except OSError:
        return False


@contextlib.contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Let imports look into a folder first, and leave no bytecode there: packages never change."""
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))  # the first one, whatever the modules have added
        sys.dont_write_bytecode = bytecode
