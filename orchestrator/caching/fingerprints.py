"""Fingerprints of code: the versions of installed distributions, and digests of the sources of local modules.

Dependencies are not declared: the imports of a local module are read from its source, transitively.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import platform
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader, all_suffixes
from pathlib import Path
from typing import Any

from orchestrator.bundled import OWN_PACKAGES


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def versions_of(distributions: Sequence[str]) -> Mapping[str, str]:
    """Return the installed version of each distribution, and Python's own."""
    return {"python": platform.python_version(), **{name: _version(name) for name in distributions}}


@functools.cache
def _version(name: str) -> str:
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    # asking for ``version`` parses all of the metadata, long description included
    version = re.search(r"^Version: *(.+)$", found.read_text("METADATA") or "", re.MULTILINE)
    return version[1] if version else found.version


def code_fingerprint(module: str) -> Mapping[str, str]:
    """Return what decides the behaviour of a module: its distribution's version, or the digests of local sources."""
    top = module.partition(".")[0]
    return versions_of(_distributions(top)) if is_installed(top) else source_digests(module)


# of modules whose distributions have other names; asking for these is slow
_NAMES: Mapping[str, Sequence[str]] = {"sklearn": ["scikit-learn"], "xgboost": ["xgboost", "xgboost-cpu"]}


@functools.cache
def _distributions(top: str) -> Sequence[str]:
    """Return the distributions that provide a top-level module."""
    if top in sys.stdlib_module_names:
        return []
    names = _NAMES.get(top, [top])
    return [name for name in names if _version(name) != "not installed"] or sorted(providers().get(top, ()))


@functools.cache
def providers() -> Mapping[str, set[str]]:
    """Return the distributions behind each top-level module. Slow: it reads every distribution."""
    found = {top: set(names) for top, names in importlib.metadata.packages_distributions().items()}
    if sys.version_info < (3, 11):  # there it reads top_level.txt alone, which newer builds do not write
        for distribution in importlib.metadata.distributions():
            name = distribution.metadata["Name"]  # parsed anew each time it is asked for
            for file in distribution.files or ():
                found.setdefault(file.parts[0].partition(".")[0], set()).add(name)
    return found


@functools.cache
def is_installed(top: str) -> bool:
    """Return whether a top-level module is Python's own or lies in site-packages (editable installs do not).

    This project's own packages count as local wherever they lie: two builds of different code may have one version.
    """
    if top in sys.stdlib_module_names:
        return True
    if top in {"__main__", *OWN_PACKAGES}:  # the first is the user's, whatever started it
        return False
    place = _locate(top)
    return any({"site-packages", "dist-packages"} & {*path.parts} for path in [place.file, *place.folders] if path)


def module_location(module: str) -> tuple[Path | None, Sequence[Path]]:
    """Return a module's file, and its folders if it is a package, without importing it; neither if there is none."""
    place = _locate(module)
    return place.file, place.folders


def forget_locations() -> None:
    """Look for modules anew: in a notebook a file may have been written since the last run."""
    importlib.invalidate_caches()
    _locate.cache_clear()
    is_installed.cache_clear()


def source_digests(module: str) -> Mapping[str, str]:
    """Return digests of a module's source and of every local (not installed) module that it imports, transitively."""
    found: dict[str, _Source | None] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name and name not in found:
            found[name] = source = _source(name)
            # importing a module runs its packages too; and the name may be that of a class in a module
            waiting += [name.rpartition(".")[0], *(source.imports if source else ())]
    parts = {f"code {name}": source.now() for name, source in sorted(found.items()) if source}
    return parts or {f"code {module}": f"unknown {uuid.uuid4()}"}  # a notebook: never equal to another run


def is_edited(module: str) -> bool:
    """Return whether this process runs other code than the module's file: it changed since it was seen or reloaded."""
    source = _source(module) if module in sys.modules else None
    return source is not None and source.now() != source.sha


def package_digests(package: str) -> Mapping[str, str]:
    """Return the fingerprints of every module in a package, and the digest of every other file in it."""
    folders = _locate(package).folders
    names = [path.relative_to(folder).with_suffix("") for folder in folders for path in sorted(folder.rglob("*.py"))]
    modules = [package, *(".".join([package, *name.parts]) for name in names if name.name != "__init__")]
    parts = {name: part for module in modules for name, part in code_fingerprint(module).items()}
    others = {
        f"file {package}/{path.relative_to(folder).as_posix()}": file_digest(path)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    return parts | others


@dataclass(frozen=True)
class _Source:
    """A module's file as it was when this process first saw it, or first after it was reloaded."""

    file: Path
    written: int
    sha: str
    imports: frozenset[str]
    loaded: Any  # the module's spec, kept so that no other one gets its id
    stale: bool  # the module was loaded from an older file

    def now(self) -> str:
        """Return the digest; a random one if the file has changed since, because the loaded code is unknown then."""
        try:
            same = not self.stale and (
                self.file.stat().st_mtime_ns == self.written or file_digest(self.file) == self.sha
            )
        except OSError:
            same = False
        return self.sha if same else f"edited while this process runs {uuid.uuid4()}"


def _source(module: str) -> _Source | None:
    """Return None for an installed module, and for a name that is no module (``from module import name``)."""
    place = _locate(module)
    if place.file is None or not place.file.is_file() or is_installed(module.partition(".")[0]):
        return None
    loaded = getattr(sys.modules.get(module), "__spec__", None)  # another one after importlib.reload
    return _first_seen(module, place.file, id(loaded), is_package=bool(place.folders))


@functools.cache
def _first_seen(module: str, file: Path, loaded: int, *, is_package: bool) -> _Source:  # noqa: ARG001 - a part of the key
    written = file.stat().st_mtime_ns
    source = file.read_bytes()
    names = imported_names(source, module, is_package=is_package) if file.suffix == ".py" else ()
    spec = getattr(sys.modules.get(module), "__spec__", None)
    stale = _is_newer_than_bytecode(file, spec)
    return _Source(file, written, hashlib.sha256(source).hexdigest(), frozenset(names), spec, stale)


def _is_newer_than_bytecode(file: Path, loaded: Any) -> bool:
    """Return whether a loaded module's file differs from the one that its bytecode was compiled from, as in a notebook.

    Importing writes the bytecode, with the file's time and size (PEP 552); no other trace of the import is left.
    """
    if not isinstance(getattr(loaded, "loader", None), SourceFileLoader) or sys.dont_write_bytecode:
        return False  # not loaded yet, or by what writes no bytecode
    try:
        with Path(loaded.cached).open("rb") as stream:
            header = stream.read(16)
        status = file.stat()
    except (OSError, TypeError):  # TypeError: the module has no place for it
        return False
    if len(header) < 16 or header[4:8] != bytes(4):  # compiled from a digest instead
        return False
    compiled = int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:16], "little")
    return compiled != (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)


@dataclass(frozen=True)
class _Location:
    """The location of a module: its file, and its folders if it is a package."""

    file: Path | None
    folders: Sequence[Path] = ()


@functools.cache
def _locate(module: str) -> _Location:
    """Locate a module without importing anything."""
    package, _, name = module.rpartition(".")
    if package:
        places = [_locate_in(folder, name) for folder in _locate(package).folders]
        found = next((place for place in places if place.file), None)
        return found or _Location(None, [folder for place in places for folder in place.folders])
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # __main__, or a module made by hand
        spec = None
    file = (spec and spec.origin) or getattr(sys.modules.get(module), "__file__", None)
    return _Location(Path(file) if file else None, [*map(Path, (spec and spec.submodule_search_locations) or ())])


def _locate_in(folder: Path, name: str) -> _Location:
    files = [(folder / name / "__init__.py", [folder / name])]
    files += [(folder / f"{name}{suffix}", []) for suffix in all_suffixes()]
    namespace = _Location(None, [folder / name] if (folder / name).is_dir() else [])
    return next((_Location(file, folders) for file, folders in files if file.is_file()), namespace)


# what only a type checker imports decides no result
_TYPING = re.compile(rb"^if (?:typing\.)?TYPE_CHECKING:[^\n]*\n(?:[ \t]+[^\n]*\n|[ \t]*\n)*", re.MULTILINE)
# an import statement, wherever one may begin
_IMPORT = re.compile(
    rb"(?:^|[;:])[ \t\f]*((?:import|from[ \t]*[.\w]+[ \t]*import)\b[^\n(;#]*(?:\([^)]*\))?)", re.MULTILINE
)


def imported_names(source: bytes, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield every dotted name that a module's source may import, at any level; relative names made absolute."""
    for node in _imports(source):
        yield from names_of_import(node, module, is_package=is_package)


def names_of_import(node: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the dotted names that a node of a module's source imports; of ``from a import b`` first the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = module.split(".")[: None if is_package and node.level == 1 else -node.level + is_package]
            base = ".".join([*above, base]).rstrip(".")
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _imports(source: bytes) -> Iterable[ast.AST]:
    """Return the import statements. They are cut out first, since parsing a whole source takes twenty times as long."""
    lines = _TYPING.sub(b"", source.replace(b"\r\n", b"\n").replace(b"\\\n", b" "))
    try:
        return ast.parse(b"\n".join(_IMPORT.findall(lines))).body
    except SyntaxError:  # words in a docstring, or a bracket in a comment
        return ast.walk(ast.parse(_TYPING.sub(b"", source)))
