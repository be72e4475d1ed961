"""The project's own modules that a package needs: find them from names, check that they can ship, copy them.

The project is the folder in which the command runs. What a pickle names is followed through the imports of its
sources; ``package.code`` adds files and folders that no import names.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from orchestrator.caching.fingerprints import (
    is_edited,
    is_installed,
    module_location,
    names_of_import,
)
from orchestrator.errors import PackageError, one_line
from orchestrator.packaging.local_imports import imports_of
from orchestrator.packaging.module_names import NEVER_SHIP, SHIPS, is_at, loaded_from_elsewhere, taken
from orchestrator.spec.messages import suggest
from orchestrator.spec.named_code import named_path
from score.models import own_code

MOVE = "move it to a module of the project, such as features.py"
INSTALL = "install it as a distribution (not as an editable one)"


class Fault(NamedTuple):
    """Why a global, a module or a path cannot ship."""

    subject: str
    reason: str
    is_global: bool = False

    def format(self, needs: str = "") -> str:
        """Return one line; ``needs`` says what needs a global, such as "model.pkl needs "."""
        if self.is_global and needs:
            return f"{needs}{self.subject}, which does not ship with the package: {self.reason}"
        return f"{self.subject}: {self.reason}"


@dataclass
class OwnCode:
    """What ships of the project.

    Attributes:
        modules: The file of each module, by dotted name.
        files: The other files, by their path in the package.
        imports: Installed top-level modules that the modules import.
    """

    modules: dict[str, Path] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)

    def tops(self) -> set[str]:
        """Return the files and folders at the top of the package."""
        return {path.partition("/")[0] for path in [*self.files, *map(self._path_of, self.modules)]}

    def copy_to(self, package: Path) -> None:
        """Copy the files beside ``score/``, and list the modules for the process that loads the pickle."""
        if not self.modules and not self.files:
            return
        modules = {name: self._path_of(name) for name in self.modules}
        for path, file in [*((modules[name], file) for name, file in self.modules.items()), *self.files.items()]:
            copy = package / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        own_code.write(package, modules)

    def _path_of(self, module: str) -> str:
        is_package = self.modules[module].stem == "__init__"
        return module.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def collect(names: Iterable[str], named: Sequence[str] = ()) -> tuple[OwnCode, Sequence[Fault]]:
    """Collect what ships for some dotted names of globals, and for the paths in ``package.code``.

    Everything else that is at fault is found, too; a name of an installed module needs nothing.
    """
    search = _Collection(Path.cwd().resolve())
    for path in dict.fromkeys(named):
        search.add_path(path)
    for name in sorted(set(names)):
        search.add_global(name)
    search.follow_imports()
    return search.code, search.faults


def collect_or_refuse(names: Iterable[str], named: Sequence[str] = ()) -> OwnCode:
    """Collect what ships for the globals of a pickle.

    Raises:
        PackageError: the text names everything that cannot ship, and why.
    """
    code, faults = collect(names, named)
    if faults:
        raise PackageError("; ".join(fault.format("model.pkl needs ") for fault in faults))
    return code


class _Collection:
    def __init__(self, project: Path) -> None:
        self.project, self.code, self.faults = project, OwnCode(), list[Fault]()
        self._named: dict[str, str] = {}  # dotted name -> the path that was typed
        self._globals: set[str] = set()
        self._waiting: list[str] = []

    def add_global(self, name: str) -> None:
        """Add the module of a global that a pickle needs, unless it is installed or ships with every package."""
        self._globals.add(name)
        top = name.partition(".")[0]
        if top in {"__main__", "__mp_main__"}:
            self._fault(name, f"no server can import a script or a notebook; {MOVE}")
        elif top in NEVER_SHIP:
            self._fault(name, f"{top} is there only where models are trained; {MOVE}")
        elif top != SHIPS and not is_installed(top) and not self._add_module(name, name):
            self._fault(name, f"it has no source file; {MOVE}, or {INSTALL}")

    def follow_imports(self) -> None:
        """Add what the modules import from the project, transitively."""
        done: set[str] = set()
        while self._waiting:
            module = self._waiting.pop()
            file = self.code.modules[module]
            if module in done:
                continue
            done.add(module)
            try:
                tree = ast.parse(file.read_bytes())
            except (SyntaxError, ValueError) as error:
                line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
                self._fault(self._short(file), f"it is no Python: {getattr(error, 'msg', one_line(error))}{line}")
                continue
            for node, optional in imports_of(tree.body):
                is_package = file.stem == "__init__"
                first, *others = names_of_import(node, module, is_package=is_package)
                whole = (first, *others) if isinstance(node, ast.Import) else (first,)
                for name in whole:
                    self._import(name, file, optional=optional)
                if not isinstance(node, ast.Import) and not is_installed(first.partition(".")[0]):
                    for name in others:  # a module, or something in one
                        self._add_module(name, self._short(file))

    def _import(self, name: str, file: Path, *, optional: bool) -> None:
        top, here = name.partition(".")[0], self._short(file)
        if top == SHIPS or not top:
            return
        if top in NEVER_SHIP:
            self._fault(here, f"it imports {top}, which is not there on a server; import it where the run is started")
        elif is_installed(top):
            self.code.imports.add(top)
        else:
            self._add_module(name, here)
            if not optional and not any(module_location(name)):
                remedy = "install it, or import it in try: ... except ImportError: if it is optional"
                self._fault(here, f"it imports '{name}', which is not installed{self._near(name)}; {remedy}")

    def _near(self, name: str) -> str:
        return suggest(name, (path.stem for path in self.project.iterdir() if path.suffix == ".py" or path.is_dir()))

    def _add_module(self, name: str, subject: str) -> bool:
        """Add the module that a dotted name lies in, with the packages above; return whether there is one."""
        found = False
        for depth in range(name.count(".") + 1):
            module = ".".join(name.split(".")[: depth + 1])
            file, _ = module_location(module)
            if file is not None:
                found = True
                if module not in self.code.modules and not self._add_file(module, file, subject):
                    break
        return found

    def _add_file(self, module: str, file: Path, subject: str) -> bool:
        """Add a module if it can ship; return whether it can."""
        top = module.partition(".")[0]
        real = file.resolve()
        if not real.is_relative_to(self.project):
            where = f"{real} lies outside of the project ({self.project}); move it there, or {INSTALL}"
            self._fault(subject, where if subject.startswith(module) else f"it imports '{module}', and {where}")
        elif file.suffix != ".py":
            self._fault(subject, f"{self._short(file)} is compiled; {INSTALL}")
        elif other := taken(top):
            self._fault(self._short(file), f"'{top}' is the name of {other}; rename it")
        elif other := loaded_from_elsewhere(top):
            self._fault(self._short(file), f"this process has loaded '{top}' from {other}; start a new one")
        elif is_edited(module):
            remedy = "run again in a new one (in a notebook, importlib.reload it or restart the kernel)"
            self._fault(self._short(file), f"it was edited after this process loaded it; {remedy}")
        else:
            self.code.modules[module] = file
            self._waiting.append(module)
            return True
        return False

    def add_path(self, typed: str) -> None:
        """Add a file or a folder that ``package.code`` names."""
        path = named_path(typed)
        if not path.exists():
            beside = path.parent.iterdir() if path.parent.is_dir() else ()
            self._fault(typed, f"there is no such file or folder{suggest(path.name, (each.name for each in beside))}")
        elif not path.resolve().is_relative_to(self.project):
            self._fault(typed, f"lies outside of the project ({self.project}); move it there, or {INSTALL}")
        elif path.resolve() == self.project:
            self._fault(typed, "is the whole project; name the modules that the model needs")
        elif path.is_file() and path.suffix != ".py":
            self._fault(typed, "should be a Python file or a folder of them")
        else:
            self._add_named(typed, path)

    def _add_named(self, typed: str, path: Path) -> None:
        files = [path] if path.is_file() else list(_files_of(path))
        if not any(file.suffix == ".py" for file in files):
            self._fault(typed, "holds no Python file")
            return
        root = self._root_of(path)
        parts = path.relative_to(root).with_suffix("").parts
        dotted = ".".join(parts)
        if odd := [part for part in parts if not part.isidentifier()]:
            self._fault(typed, f"'{odd[0]}' is no name that Python can import; rename it with letters, digits and _")
        elif dotted in self._named:
            self._fault(typed, f"is '{dotted}', and so is {self._named[dotted]}; rename one")
        elif other := taken(parts[0]):
            self._fault(typed, f"'{parts[0]}' is the name of {other}; rename it")
        elif not is_at(dotted, path):
            found, folders = module_location(dotted)
            elsewhere = found or next(iter(folders), "nowhere")
            self._fault(typed, f"'{dotted}' is imported from {elsewhere}; rename one of the two")
        else:
            self._named[dotted] = typed
            for file in files:
                self._add_below(typed, root, file)

    def _root_of(self, path: Path) -> Path:
        """Return the folder on ``sys.path`` that a module is imported from: the deepest one above it."""
        folders = {Path(entry).absolute() for entry in sys.path} | {self.project}
        above = [folder for folder in folders if path != folder and path.is_relative_to(folder)]
        return max(above, key=lambda folder: len(folder.parts))

    def _add_below(self, typed: str, root: Path, file: Path) -> None:
        if not file.resolve().is_relative_to(self.project):
            self._fault(typed, f"{self._short(file)} is a link to {file.resolve()}, outside of the project; copy it")
        elif file.suffix == ".py":
            parts = file.relative_to(root).with_suffix("").parts
            self._add_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), typed)
        else:
            self.code.files[file.relative_to(root).as_posix()] = file

    def _fault(self, subject: str, reason: str) -> None:
        fault = Fault(subject, reason, subject in self._globals)
        if fault not in self.faults:
            self.faults.append(fault)

    def _short(self, file: Path) -> str:
        return file.relative_to(self.project).as_posix() if file.is_relative_to(self.project) else str(file)


def _files_of(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder; without bytecode, hidden ones and tests, which no server needs."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        ignored = any(part.startswith(".") or part in {"__pycache__", "tests"} for part in parts)
        is_test = path.suffix == ".py" and (path.stem.startswith("test_") or path.stem == "conftest")
        if path.is_file() and not ignored and not is_test:
            yield path
