"""Keys of what a stage's product depends on, and the store of products by key.

A key is the digest of *parts*: a flat mapping from what a person would call a thing ("model.params.max_depth",
"code orchestrator.stages.train", "scikit-learn") to its value. Parts are kept beside the product, so that a
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

NAMED = 4  # changes that are told by name; the others are counted
LAST = ".last"  # of each run's name: the parts of the products that it used last


@runtime_checkable
class HasParts(Protocol):
    """A value that says itself what a cached product depends on when it takes it."""

    def cache_parts(self) -> Parts:
        """What of this value decides a result."""
        ...


@runtime_checkable
class HasFiles(Protocol):
    """A product that is more than its pickle: the files it lives in are checked with it."""

    def cache_files(self) -> Sequence[Path]:
        """The files that the product needs."""
        ...


@dataclass(frozen=True)
class CachePolicy:
    """How a pure stage may be skipped: whether its product is kept, and what decides it besides what it takes.

    Its own code, and all that its module imports of ours, count anyhow. ``versions`` are distributions, ``packages``
    are packages of ours that it uses as files.
    """

    keep: bool
    versions: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def cached(*versions: str, packages: Sequence[str] = ()) -> Callable[[F], F]:
    """Mark a stage as pure and its product as worth keeping; see :class:`CachePolicy`."""
    return _mark(CachePolicy(keep=True, versions=versions, packages=tuple(packages)))


def pure(*versions: str) -> Callable[[F], F]:
    """Mark a stage as pure but not worth keeping: it is skipped only where nothing needs its product."""
    return _mark(CachePolicy(keep=False, versions=versions))


def cache_policy(stage: Callable[..., Any]) -> CachePolicy | None:
    """How a stage was marked; None for one that has effects and always runs."""
    return getattr(stage, "__cache_policy__", None)


def _mark(how: CachePolicy) -> Callable[[F], F]:
    def mark(stage: F) -> F:
        stage.__cache_policy__ = how  # type: ignore[attr-defined]
        return stage

    return mark


def has_parts(value: Any) -> bool:
    """Whether it can be told if a value is the same as the last time."""
    return isinstance(value, HasParts | str | int | float | Path | None)


def parts_of(name: str, value: Any) -> Parts:
    """The parts of a value that :func:`has_parts`; ``name`` is what a plain one is called."""
    return value.cache_parts() if isinstance(value, HasParts) else {name: str(value)}


def digest(parts: Parts) -> str:
    """The key: sha256 of the parts in the order of their names."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """A product in the store, checked: its bytes and its files are what was written."""

    folder: Path


@dataclass(frozen=True)
class CheckpointDir:
    """What a long stage may take: a folder for what it has done so far.

    It is there again when the stage is run again with the same key, after a kill, and is gone once the product is
    kept. None where nothing is kept.
    """

    folder: Path | None = None


class CorruptEntryError(Exception):
    """An entry is there and is not what was written."""


class Cache:
    """Products by stage and key in a folder; it can be deleted at any time, at the cost of time.

    ``run`` is the name of the runs that use it: a miss gives its reason against the last of them and no other.
    """

    def __init__(self, root: Path, run: str = "") -> None:
        self.root, self.run = root, run

    def find(self, stage: str, key: str) -> Entry | None:
        """The entry of this key, or None.

        Raises:
            Damaged: with the reason.
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
        """The product.

        Raises:
            Damaged: it does not load here.
        """
        try:
            return pickle.loads((entry.folder / "product.pkl").read_bytes())
        except Exception as error:  # unpickling may raise anything; the product is made anew
            raise CorruptEntryError(f"it does not load ({type(error).__name__}: {one_line(error)})") from error

    def save(self, stage: str, key: str, parts: Parts, product: Any) -> None:
        """Keep a product. Where a sound one is kept already, by somebody faster, that one stays."""
        folder = self.root / stage / key
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent, ignore_cleanup_errors=True) as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            (new / "product.pkl").write_bytes(pickle.dumps(product, protocol=5))
            files = {"product.pkl": file_digest(new / "product.pkl")}
            if isinstance(product, HasFiles):
                files |= {str(path): file_digest(path) for path in product.cache_files()}
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

    def unfinished(self, stage: str, key: str) -> Path:
        """Where a stage keeps what it has done until its product is whole."""
        return self.root / ".unfinished" / stage / key

    def used(self, stage: str, parts: Parts) -> None:
        """Note that a run of this name used the product with these parts; the next miss is compared with it."""
        note = self._last(stage)
        text = json.dumps(dict(parts), indent=1)
        with contextlib.suppress(OSError):  # without a note the next miss has less to say, and nothing is wrong
            if not note.exists() or note.read_text() != text:
                note.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(note, text)

    def changes(self, stage: str, parts: Parts) -> str:
        """List what differs from what the last run of this name used, for people; "" if there was none."""
        try:
            last = dict(json.loads(self._last(stage).read_bytes()))
        except (OSError, ValueError, TypeError):
            return ""
        differing = _differing(last, parts)
        names = [name for name in differing if _told(name, last, parts)] or differing
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return ", ".join(names[:NAMED]) + more

    def _last(self, stage: str) -> Path:
        return self.root / LAST / (self.run or "-") / f"{stage}.json"


def _differing(old: Parts, new: Parts) -> list[str]:
    """The names of what is not the same, or is there only before or after."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _told(name: str, old: Parts, new: Parts) -> bool:
    """Whether it is worth telling: code that is used only before or after follows from something else that changed."""
    return not name.startswith("code ") or (name in old and name in new)


def _manifest(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """An entry's parts, and the digests of its files; raises Damaged."""
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
