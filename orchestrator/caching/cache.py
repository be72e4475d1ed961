"""The cache: a store of artifacts by key, and the marks of stages whose artifact may be cached.

A key is the digest of *parts*: a flat mapping from readable names ("model.params.max_depth",
"code orchestrator.stages.train", "scikit-learn") to values. Parts are stored beside the artifact, so that a
miss can say what changed. An entry is written to a temporary name and renamed, only after success; one whose
bytes differ from what was written is a miss and never a wrong result.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from orchestrator.caching.fingerprints import file_digest
from orchestrator.errors import one_line
from orchestrator.files import write_atomic

Parts = Mapping[str, str]
F = TypeVar("F", bound=Callable[..., Any])

NAMED = 4  # changes that a miss names; the others are counted
LAST = ".last"  # by the run's name: the parts of the artifacts that it used last


@runtime_checkable
class HasParts(Protocol):
    """A value that knows which of its parts decide an artifact that is made from it."""

    def cache_parts(self) -> Parts:
        """Return the parts of this value that decide a result."""
        ...


@runtime_checkable
class HasFiles(Protocol):
    """An artifact that refers to files, which are verified with its pickle."""

    def cache_files(self) -> Sequence[Path]:
        """Return the files that the artifact needs."""
        ...


@dataclass(frozen=True)
class CachePolicy:
    """How a pure stage may be skipped: whether its artifact is kept, and what decides it besides its inputs.

    Its code and all local modules that it imports count always. ``versions`` are distributions, ``packages`` are
    local packages that it uses as files.
    """

    keep: bool
    versions: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def cached(*versions: str, packages: Sequence[str] = ()) -> Callable[[F], F]:
    """Mark a stage as pure and its artifact as worth keeping; see :class:`CachePolicy`."""
    return _mark(CachePolicy(keep=True, versions=versions, packages=tuple(packages)))


def pure(*versions: str) -> Callable[[F], F]:
    """Mark a stage as pure but not worth keeping: it is skipped only where nothing needs its artifact."""
    return _mark(CachePolicy(keep=False, versions=versions))


def cache_policy(stage: Callable[..., Any]) -> CachePolicy | None:
    """Return how a stage was marked; None for one that has effects and always runs."""
    return getattr(stage, "__cache_policy__", None)


def _mark(policy: CachePolicy) -> Callable[[F], F]:
    def mark(stage: F) -> F:
        stage.__cache_policy__ = policy  # type: ignore[attr-defined]
        return stage

    return mark


def has_parts(value: Any) -> bool:
    """Return whether a value can be compared with that of the last run."""
    return isinstance(value, HasParts | str | int | float | Path | None)


def parts_of(name: str, value: Any) -> Parts:
    """Return the parts of a value that :func:`has_parts`; a plain value gets ``name``."""
    return value.cache_parts() if isinstance(value, HasParts) else {name: str(value)}


def digest(parts: Parts) -> str:
    """Return the key: sha256 of the parts in the order of their names."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """A verified artifact in the store: its bytes and its files are what was written."""

    folder: Path


@dataclass(frozen=True)
class CheckpointDir:
    """A folder for the checkpoints of a long stage; None where nothing is kept.

    After a kill it is there again when the stage runs with the same key; it is removed once the artifact is cached.
    """

    folder: Path | None = None


class CorruptEntryError(Exception):
    """An entry exists and differs from what was written."""


class Cache:
    """Artifacts by stage and key in a folder that can be deleted at any time.

    ``run`` is the name of the runs that use it: a miss is explained by comparison with the last run of this name.
    """

    def __init__(self, root: Path, run: str = "") -> None:
        self.root, self.run = root, run

    def find(self, stage: str, key: str) -> Entry | None:
        """Return the entry of this key, or None.

        Raises:
            CorruptEntryError: with the reason.
        """
        folder = self.root / stage / key
        if not folder.exists():
            return None
        for name, sha in _manifest(folder)["files"].items():
            path = folder / name  # an absolute name stays what it is
            try:
                if file_digest(path) != sha:
                    raise CorruptEntryError(f"{path.name} is not what was written")
            except OSError as error:
                raise CorruptEntryError(f"{path.name} cannot be read ({error.strerror})") from error
        return Entry(folder)

    def load(self, entry: Entry) -> Any:
        """Load the artifact.

        Raises:
            CorruptEntryError: it does not load here.
        """
        try:
            return pickle.loads((entry.folder / "product.pkl").read_bytes())
        except Exception as error:  # unpickling may raise anything; the artifact is made anew
            raise CorruptEntryError(f"it does not load ({type(error).__name__}: {one_line(error)})") from error

    def save(self, stage: str, key: str, parts: Parts, artifact: Any) -> None:
        """Store an artifact, unless a sound one is stored already, for example by a faster process."""
        folder = self.root / stage / key
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent, ignore_cleanup_errors=True) as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            (new / "product.pkl").write_bytes(pickle.dumps(artifact, protocol=5))
            files = {"product.pkl": file_digest(new / "product.pkl")}
            if isinstance(artifact, HasFiles):
                files |= {str(path): file_digest(path) for path in artifact.cache_files()}
            (new / "manifest.json").write_text(json.dumps({"parts": dict(parts), "files": files}, indent=1))
            try:
                if self.find(stage, key) is not None:
                    return
            except CorruptEntryError:
                with contextlib.suppress(OSError):  # another process may have moved the damaged entry aside already
                    folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                if not folder.exists():
                    raise

    def checkpoint_dir(self, stage: str, key: str) -> Path:
        """Return the folder for a stage's checkpoints."""
        return self.root / ".unfinished" / stage / key

    def record_use(self, stage: str, parts: Parts) -> None:
        """Record that a run of this name used the artifact with these parts; the next miss is compared with it."""
        note = self._last(stage)
        text = json.dumps(dict(parts), indent=1)
        with contextlib.suppress(OSError):  # without a note the next miss has less to say, and nothing is wrong
            if not note.exists() or note.read_text() != text:
                note.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(note, text)

    def changes(self, stage: str, parts: Parts) -> str:
        """Describe what differs from what the last run of this name used; "" if there was none."""
        try:
            last = dict(json.loads(self._last(stage).read_bytes()))
        except (OSError, ValueError, TypeError):
            return ""
        differing = _differing(last, parts)
        names = [name for name in differing if _is_cause(name, last, parts)] or differing
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return ", ".join(names[:NAMED]) + more

    def _last(self, stage: str) -> Path:
        return self.root / LAST / (self.run or "-") / f"{stage}.json"


def _differing(old: Parts, new: Parts) -> list[str]:
    """Return the names of parts that differ or exist only on one side."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _is_cause(name: str, old: Parts, new: Parts) -> bool:
    """Return whether a difference is a cause: code that only one of the two runs used follows from another change."""
    return not name.startswith("code ") or (name in old and name in new)


def _manifest(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Read an entry's parts and the digests of its files, or raise CorruptEntryError."""
    try:
        held = json.loads((folder / "manifest.json").read_bytes())
        parts, files = dict(held["parts"]), dict(held["files"])
    except OSError as error:
        raise CorruptEntryError(f"its manifest cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptEntryError("its manifest is not what was written") from error
    if "product.pkl" not in files:
        raise CorruptEntryError("its manifest is not what was written")
    return {"parts": parts, "files": files}
