"""Own modules of a package in a process that has others of their names, or none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from score.models import own_code
from score.models.own_code import OwnCodeError, import_modules


def package_of(folder: Path, value: int, *, late: str = "") -> Path:
    (folder / "own_kit").mkdir(parents=True)
    (folder / "own_kit" / "__init__.py").write_text(late)
    (folder / "own_kit" / "inner.py").write_text(f"VALUE = {value}\n")
    own_code.write(folder, {"own_kit": "own_kit/__init__.py", "own_kit.inner": "own_kit/inner.py"})
    return folder


def value() -> Any:
    return sys.modules["own_kit.inner"].VALUE


def test_all_modules_are_imported_at_once_and_the_path_is_as_before(project: Any, tmp_path: Path) -> None:
    package = package_of(tmp_path / "package", 1)
    before, bytecode = list(sys.path), sys.dont_write_bytecode
    import_modules(package)
    import_modules(package)
    assert value() == 1
    assert (sys.path, sys.dont_write_bytecode) == (before, bytecode)
    assert not [*package.rglob("__pycache__")]
    assert not [*project.folder.iterdir()]


def test_the_package_comes_before_the_project(project: Any, tmp_path: Path) -> None:
    package_of(project.folder, 2)
    import_modules(package_of(tmp_path / "package", 1))
    assert value() == 1


@pytest.mark.parametrize("loaded", ["own_kit", "own_kit.inner"])
def test_another_source_that_is_loaded_already_is_refused(project: Any, tmp_path: Path, loaded: str) -> None:
    package_of(project.folder, 2)
    __import__(loaded)
    with pytest.raises(
        OwnCodeError, match=r"^this process has loaded 'own_kit' from .*; load the package in a process"
    ):
        import_modules(package_of(tmp_path / "package", 1))


def test_the_same_source_from_elsewhere_is_as_good(project: Any, tmp_path: Path) -> None:
    package_of(project.folder, 1)
    import own_kit  # type: ignore[import-not-found]

    import_modules(package_of(tmp_path / "package", 1))
    assert sys.modules["own_kit"] is own_kit


def test_an_optional_library_may_be_missing(project: Any, tmp_path: Path) -> None:  # noqa: ARG001 - forgets modules
    import_modules(package_of(tmp_path / "package", 1, late="import no_such_library\n"))
    assert "own_kit" not in sys.modules


def test_a_package_without_own_code_imports_nothing(tmp_path: Path) -> None:
    before = set(sys.modules)
    import_modules(tmp_path)
    assert set(sys.modules) == before
