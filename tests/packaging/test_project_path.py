"""The project's place on sys.path, as a command and as a notebook find it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import SpecError, execute
from orchestrator.cli import command
from orchestrator.errors import OrchestratorError
from orchestrator.packaging.project_path import make_project_importable


def typed() -> None:
    """Do what a command does first."""
    assert command.dispatch(["--version"]) == 0


def executed() -> None:
    """Do what a notebook does."""
    with pytest.raises(SpecError):
        execute({})


everywhere = pytest.mark.parametrize("start", [typed, executed, make_project_importable])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@everywhere
@pytest.mark.parametrize("file", ["score.py", "score/__init__.py", "orchestrator.py"])
def test_a_module_that_hides_one_of_this_tool_is_refused(start: Callable[[], None], file: str, folder: Path) -> None:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).touch()
    name = file.partition("/")[0].removesuffix(".py")
    with pytest.raises(OrchestratorError, match=f"{file}: hides the package '{name}'"):
        start()


@everywhere
def test_the_project_comes_behind_the_standard_library_and_before_what_is_installed(
    start: Callable[[], None], folder: Path
) -> None:
    start()
    at = sys.path.index(str(folder))
    assert "site-packages" in sys.path[at + 1]
    assert not any("site-packages" in place for place in sys.path[:at])
    sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))  # as `python -m` has it
    start()
    assert sys.path.index(str(folder)) == at
    assert sys.path.count(str(folder)) == 1


@pytest.mark.parametrize("installed", [["/venv/lib/site-packages"], ["/usr/lib/dist-packages", "/more"], []])
@pytest.mark.parametrize("interactive", [[""], []])
def test_the_entry_of_an_interactive_interpreter_stays(
    installed: list[str], interactive: list[str], folder: Path
) -> None:
    sys.path[:] = [*interactive, "/venv/bin", str(folder), "/usr/lib/python3", *installed]
    make_project_importable()
    assert sys.path == [*interactive, "/venv/bin", "/usr/lib/python3", str(folder), *installed]
