"""Pickle a pipeline, and find what it needs to load: its globals, and distributions to pin.

The globals are recorded while the pickle is loaded, so that none is missed.
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

from orchestrator.caching.fingerprints import imported_names, providers
from orchestrator.errors import PackageError, one_line


class _GlobalsRecorder(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.names: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.names.add(f"{module}.{name}")
        return super().find_class(module, name)


def round_trip(value: Any) -> tuple[Any, set[str]]:
    """Pickle and unpickle a value; return the copy and the dotted names of every global that it needs.

    Raises:
        PackageError: the value cannot be pickled, or cannot be loaded again.
    """
    try:
        recorder = _GlobalsRecorder(pickle.dumps(value, protocol=5))
        return recorder.load(), recorder.names
    except Exception as error:  # reducers are foreign code and may raise anything
        raise PackageError(
            f"the fitted pipeline cannot be pickled: {one_line(error)}; use functions and classes at the top level of a module of the project, no lambdas"
        ) from error


def dump(value: Any, path: Path) -> None:
    """Write a plain pickle: the same bytes in every process for a value from :func:`round_trip`.

    ``pickle.load``, ``joblib.load`` and ``mlflow.sklearn`` read it; what ``joblib.dump`` writes only joblib reads.
    Pickle writes an object once and refers to it later, so its bytes depend on which equal strings are one object;
    strings are interned here.
    """

    class Pickler(pickle._Pickler):  # noqa: SLF001 -- the one in Python, whose ``save`` can be overridden
        def save(self, obj: Any, save_persistent_id: bool = True) -> None:
            super().save(sys.intern(obj) if type(obj) is str else obj, save_persistent_id)  # type: ignore[misc]  # not in typeshed

    with path.open("wb") as file:
        Pickler(file, protocol=4).dump(value)  # in 3.11, 5 fails in the Python pickler for two empty arrays


def pin_versions(tops: Iterable[str]) -> dict[str, str]:
    """Return the installed version of every distribution that provides one of these top-level modules.

    Raises:
        PackageError: a module can be imported, but no installed distribution provides it.
    """
    needed = [top for top in sorted(tops) if top not in sys.stdlib_module_names]
    unknown = [top for top in needed if top not in providers() and importlib.util.find_spec(top) is not None]
    if unknown:
        raise PackageError(
            f"no installed distribution provides {', '.join(unknown)}, so it cannot be pinned; install it"
        )
    distributions = {name for top in needed for name in providers().get(top, ())}
    return {name: importlib.metadata.version(name) for name in sorted(distributions, key=str.lower)}


def imported_modules(folder: Path) -> set[str]:
    """Return the top-level modules that the Python files below a folder import, also inside functions."""
    tops: set[str] = set()
    for path in folder.rglob("*.py"):
        tops |= {name.partition(".")[0] for name in imported_names(path.read_bytes(), path.stem, is_package=False)}
    return tops - {folder.name, "__future__", ""}
