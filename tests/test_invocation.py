"""The commands that are printed are those that were typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator import invocation


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (invocation.CALLED_AS, invocation.TRACEBACK, "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "")  # so that it is set back
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("program", "called_as"),
    [
        ("/there/run.py", "python run.py"),
        ("run.py", "python run.py"),
        ("/site/orchestrator/__main__.py", "python -m orchestrator"),
        ("/venv/bin/orchestrate", "orchestrate"),
        ("/somewhere/ipykernel_launcher", "orchestrate"),
    ],
)
def test_the_call_is_remembered_without_paths(program: str, called_as: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invocation.called_as() == "orchestrate"
    monkeypatch.setattr(sys, "argv", [program])
    invocation.remember()
    assert invocation.called_as() == called_as


def test_a_traceback_is_wanted_where_it_was_asked_for_when_the_command_was_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py"])
    invocation.remember()
    assert not invocation.wants_traceback()
    monkeypatch.delenv(invocation.TRACEBACK)
    invocation.remember()  # HYDRA_FULL_ERROR is 1 by now
    assert invocation.wants_traceback()


def test_the_console_script_is_typed_by_its_name_where_the_path_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin" / "orchestrate"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert invocation.to_type() == ["bin/orchestrate"]
    monkeypatch.setenv("PATH", str(script.parent))
    assert invocation.to_type() == ["orchestrate"]


def test_a_script_and_a_module_are_typed_behind_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sub/run.py"])
    assert invocation.to_type() == [invocation.python(), "sub/run.py"]
    monkeypatch.setattr(sys, "argv", ["/site/orchestrator/__main__.py"])
    assert invocation.to_type() == [invocation.python(), "-m", "orchestrator"]
