"""The command: what it does before Hydra composes, and Hydra's own flags; ``test_commands.py`` runs whole commands."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator import invocation
from orchestrator.cli import command

MODEL = "defaults:\n  - param_grid: none\n  - _self_\nestimator: sklearn.svm.SVC\nparams: {}\n"
TINY = ("model=mine", "stages=train", "tracking=none", "search.cv=2")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with an option of its own, and a process that is set back."""
    model = tmp_path / "conf" / "model"
    model.mkdir(parents=True)
    (model / "mine.yaml").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(command, "keep_running_without_output", lambda: None)  # pytest has replaced the streams
    monkeypatch.setattr(logging, "raiseExceptions", False)  # of handlers whose streams an earlier test's capture closed
    command.mistakes.clear()
    before = dict(os.environ)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)
    command.mistakes.clear()


def run(monkeypatch: pytest.MonkeyPatch, *typed: str) -> int:
    monkeypatch.setattr(sys, "argv", ["/venv/bin/orchestrate", *typed])
    try:
        return command.main()
    except SystemExit as error:
        return int(error.code or 0)


def printed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *typed: str, code: int = 0) -> str:
    assert run(monkeypatch, *typed) == code
    return "".join(capfd.readouterr())


@pytest.mark.usefixtures("project")
def test_help_lists_the_options_of_the_project(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shown = printed(monkeypatch, capfd, "--help")
    assert (
        "model: catboost, hist_gradient_boosting, lightgbm, linear, logistic_regression, mine, random_forest, " in shown
    )
    assert "orchestrate, alone or followed by:" in shown
    assert "python run.py" not in shown


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["--cfg", "job", "--package", "model", "model=mine"], ["# @package model", "estimator: sklearn.svm.SVC"]),
        (["seed=7", "--cfg", "job", "-p", "model", "--resolve"], ["random_state: 7"]),
        (["--info", "searchpath"], ["| project  | file://", "| main "]),
        (["--info", "defaults", "model=mine"], ["| model/mine"]),
        (["--config-dir", "conf", "--cfg", "job", "model=mine"], ["estimator: sklearn.svm.SVC"]),
        (["-sc", "install=bash"], ["complete -o nospace -o default -F hydra_bash_completion orchestrate"]),
        (["-sc", "install=zsh"], ["orchestrate"]),
        (["-sc", "install=fish"], ["orchestrate"]),
        (["--hydra-help"], ["Hydra", "--config-dir"]),
        (["--version"], ["sklearn-orchestrator "]),
    ],
)
def test_hydras_flags_work(
    typed: Sequence[str], shown: Sequence[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = printed(monkeypatch, capfd, *typed)
    for text in shown:
        assert text in found


def test_another_primary_config_is_composed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "conf" / "nightly.yaml").write_text("defaults: [config, _self_]\nname: every_night\n")
    shown = printed(monkeypatch, capfd, "--config-name", "nightly", "--cfg", "job", "model=mine")
    assert "name: every_night" in shown
    wrong = printed(monkeypatch, capfd, "-cn", "nightly", "~nothing", "sead=1", code=1)
    assert "nothing: cannot be removed" in wrong
    assert "sead: there is no such key; did you mean 'seed'?" in wrong


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["--config-dir", "nowhere"], "--config-dir: there is no folder nowhere"),
        (["--experimental-rerun", "nowhere"], "--experimental-rerun: there is no file nowhere"),
        (["search=optuna"], "search: Optuna runs a sweep of jobs: write orchestrate -m"),
        (["typo"], "'typo' changes nothing; write key=value or group=option"),
    ],
)
def test_a_wrong_flag_is_one_line(
    typed: Sequence[str], shown: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = printed(monkeypatch, capfd, *typed, code=1)
    assert shown in found
    assert "Traceback" not in found


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("orchestrate mod", {"model", "model."}),
        ("orchestrate model=", {"model=mine", "model=random_forest"}),
        ("orchestrate --config-dir other model=", {"model=guest", "model=mine"}),
        ("orchestrate data.te", {"data.test_size="}),
        ("orchestrate model=mine model.est", {"model.estimator="}),
        ("python run.py model/param_grid=n", {"model/param_grid=none"}),
        ("orchestrate model.params={a: [", set()),
    ],
)
def test_completion_offers_groups_options_and_keys(
    line: str,
    offered: set[str],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (project / "other" / "model").mkdir(parents=True)
    (project / "other" / "model" / "guest.yaml").write_text(MODEL)
    monkeypatch.setenv("COMP_LINE", line)
    run(monkeypatch, "-sc", "query=bash")
    out, err = capfd.readouterr()
    assert offered <= set(out.split())
    assert err == ""
    if not offered:
        assert out.strip() == ""


def test_a_run_can_be_repeated_from_its_pickle(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pickled = "+hydra.callbacks.pickle._target_=hydra.experimental.callbacks.PickleJobInfoCallback"
    first = printed(monkeypatch, capfd, *TINY, pickled, "hydra.run.dir=first")
    assert "✓ train" in first
    (project / "first" / "result.json").unlink()
    with pytest.warns(UserWarning, match="other command line args are ignored"):
        again = printed(monkeypatch, capfd, "--experimental-rerun", "first/.hydra/config.pickle")
    assert "train" in again
    assert (project / "first" / "result.json").exists()


def test_a_sub_command_gets_the_other_words(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[tuple[Sequence[str], bool]] = []

    def main(words: Sequence[str]) -> int:
        got.append((words, str(project) in sys.path))
        return 3

    module = ModuleType("orchestrator.cli.init")
    module.__dict__["main"] = main
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert run(monkeypatch, "init", "there", "--data", "x.csv") == 3
    assert got == [(["there", "--data", "x.csv"], True)]


@pytest.mark.usefixtures("project")
def test_a_flag_of_init_without_init_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    heading, line = printed(monkeypatch, capfd, "--data", "x.csv", code=1).splitlines()
    assert heading == "The configuration is wrong; nothing was run:"
    assert line.startswith("  --data: there is no such flag; a project for a table is written by `orchestrate init")


def test_what_is_printed_names_the_command_that_was_typed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.is_dir()
    run(monkeypatch, "--version")
    assert invocation.called_as() == "orchestrate"


@pytest.mark.parametrize("sweep", [(), ("-m", "seed=0,1")])
def test_credentials_in_a_file_are_copied_into_no_other(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], sweep: Sequence[str]
) -> None:
    (project / "conf/experiment").mkdir()
    mine = project / "conf/experiment/mine.yaml"
    mine.write_text("# @package _global_\ndata:\n  path: https://host/x.csv?sig=c0ffee\n")
    shown = printed(monkeypatch, capfd, "data=csv", "data.target=y", "experiment=mine", *TINY, *sweep, code=1)
    assert "data.path: holds credentials" in shown
    written = [path for path in project.rglob("*") if path.is_file() and b"c0ffee" in path.read_bytes()]
    assert (written, "c0ffee" in shown) == ([mine], False)
    assert list(project.rglob(".hydra")) == []
