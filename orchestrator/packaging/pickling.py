"""What a pickled object needs to load: its globals, and from them the distributions to pin or the code that is missing.

Read from the pickle itself: every global that unpickling looks up is seen while it is looked up. Nothing is guessed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator.caching.fingerprints import imported_names, is_installed, providers
from orchestrator.errors import PackageError


class _Recorder(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.found: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.found.add(f"{module}.{name}")
        return super().find_class(module, name)


def round_trip(value: Any) -> tuple[Any, set[str]]:
    """What loading the pickled ``value`` gives, and the dotted names of every global that it looks up.

    Raises:
        PackageError: the value cannot be pickled, or not loaded again.
    """
    try:
        recorder = _Recorder(pickle.dumps(value, protocol=5))
        return recorder.load(), recorder.found
    except Exception as error:  # reducers are foreign code: they may raise anything
        text = " ".join(str(error).split())
        raise PackageError(
            f"the fitted pipeline cannot be pickled: {text}; use importable functions and classes, no lambdas"
        ) from error


def dump(value: Any, path: Path) -> None:
    """What ``joblib.dump`` writes, but the same bytes in every process for a value that was :func:`round_trip`.

    A pickle tells equal strings from the same string, and which attributes' names are the same depends on what a
    process did before.
    """
    from joblib.numpy_pickle import NumpyPickler

    class Pickler(NumpyPickler):  # type: ignore[misc]
        def save(self, obj: Any) -> None:
            super().save(sys.intern(obj) if type(obj) is str else obj)

    with path.open("wb") as file:
        Pickler(file).dump(value)


def refuse_local_globals(names: Iterable[str], ships: str) -> None:
    """Refuse globals that a server would not find: ``__main__``'s, and those of local modules outside ``ships``.

    Raises:
        PackageError: naming every such global.
    """
    local = sorted(name for name in names if _is_local(name, ships))
    if local:
        raise PackageError(
            f"model.pkl needs {', '.join(local)}, which does not ship with the package; move it to a module in "
            f"{ships}/ (such as {ships}/transforms.py), or install it as a distribution (not as an editable one)"
        )


def _is_local(name: str, ships: str) -> bool:
    top = name.partition(".")[0]
    return top != ships and not is_installed(top)


def pin_versions(tops: Iterable[str]) -> dict[str, str]:
    """The installed version of every distribution that provides one of these top-level modules.

    Raises:
        PackageError: a module is there and no distribution says that it provides it.
    """
    needed = [top for top in sorted(tops) if top not in sys.stdlib_module_names]
    unknown = [top for top in needed if top not in providers() and importlib.util.find_spec(top) is not None]
    if unknown:
        raise PackageError(
            f"no installed distribution provides {', '.join(unknown)}, so it cannot be pinned; install it"
        )
    wanted = {name for top in needed for name in providers().get(top, ())}
    return {name: importlib.metadata.version(name) for name in sorted(wanted, key=str.lower)}


def imported_modules(folder: Path) -> set[str]:
    """The top-level modules that the Python files in a folder import, wherever in them."""
    tops: set[str] = set()
    for path in folder.rglob("*.py"):
        tops |= {name.partition(".")[0] for name in imported_names(path.read_bytes(), path.stem, is_package=False)}
    return tops - {folder.name, "__future__", ""}
