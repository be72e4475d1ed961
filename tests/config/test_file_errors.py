"""What is wrong in a file of options is reported with the file, the line and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import compose
from orchestrator.config.compose import _hydra_compose, compose_without, isolated_hydra
from orchestrator.config.validate import validate
from orchestrator.errors import SpecError

HEADER = "# @package _global_\n"


def problems(folder: Path, text: str | bytes) -> list[str]:
    """Return what a run of an experiment with this text reports."""
    file = folder / "conf" / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as wrong:
        validate(compose("experiment=mine", "deploy=none"))
    return [str(problem) for problem in wrong.value.problems]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{HEADER}name churn\nseed: 1\n", 3, "is a ':' missing above"),
        (f"{HEADER}seed: 1\nname churn\nsearch: {{}}\n", 3, "could not find expected ':'"),
        (f"{HEADER}data:\n\ttarget: x\n", 3, "that cannot start any token; indent with blanks"),
        (f"{HEADER}data:\n  target: x\n path: y\n", 4, "is it indented as the lines above?"),
        (f"{HEADER}name: a\nname: b\n", 3, "found duplicate key name"),
        (f'{HEADER}name: "abc\nseed: 1\n', 2, "unexpected end of stream"),
    ],
)
def test_yaml_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = problems(tmp_path, text)
    assert found.startswith(f"conf/experiment/mine.yaml, line {line}: cannot be read: ")
    assert said in found


def test_a_file_that_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert problems(tmp_path, b"name: caf\xe9\n") == ["conf/experiment/mine.yaml: is not written in UTF-8; save it so"]


@pytest.mark.parametrize(
    "text", ["defaults:\n  - override /data: csv\n", "name: abc\n"], ids=["a defaults list", "a key"]
)
def test_an_experiment_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = problems(tmp_path, text)
    assert "its file should begin with the line '# @package _global_'" in found


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["override /data: csv", "model: random_forest"], "by '- override /model: random_forest'"),
        (["model: random_forest"], "by '- override /model: random_forest'"),
        (["override model: random_forest"], "by '- override /model: OPTION'"),
        (["override /modell: random_forest"], "there is no group 'modell'; did you mean 'model'?"),
        (["override /model:random_forest"], "with a blank behind :"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_experiment_whose_defaults_cannot_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = problems(tmp_path, HEADER + "defaults:\n" + "".join(f"  - {entry}\n" for entry in entries))
    assert found.startswith("experiment/mine: ")
    assert said in found


def test_an_option_that_is_chosen_twice_and_a_file_that_holds_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = problems(tmp_path / ".", f"{HEADER}defaults:\n  - /model: random_forest\n")
    assert found.startswith("model/param_grid: is chosen twice; a file that replaces a choice writes '- override")
    (tmp_path / "conf" / "experiment" / "list.yaml").write_text(f"{HEADER}- a\n- b\n")
    with pytest.raises(SpecError, match="experiment/list: its file should hold keys with values"):
        compose("experiment=list")


def test_a_primary_config_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        isolated_hydra(),
        pytest.raises(SpecError, match=r"--config-name: there is no file confg.yaml; did you mean 'config'"),
    ):
        compose_without(_primary_error(), [], [])


def _primary_error() -> Exception:
    try:
        _hydra_compose([], (), "confg")
    except Exception as error:  # noqa: BLE001 - whatever Hydra raises
        return error
    raise AssertionError("Hydra composed it")
