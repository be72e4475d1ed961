"""What init writes holds whatever a column or a file is called, and keeps to the schema that an editor sees beside it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf

from orchestrator.bundled import CONF
from orchestrator.errors import DataError
from orchestrator.project.experiment import _scalar
from orchestrator.project.scaffold import make_files, reference_table, write_files
from orchestrator.project.survey import survey_table
from orchestrator.project.task import choose_task
from orchestrator.schema.document import FILE, schema_line
from tests.project.tables import TABLES, write_table


@pytest.mark.parametrize(
    "text", ["\U000e0001tag", "\x85", "\u2028", "\x07", "on", "NaN", "1e5", "a: b #c", "\U0001f600"]
)
def test_a_text_is_read_as_it_was(text: str) -> None:
    assert OmegaConf.create(f"at: {_scalar(text)} # why").at == text


def test_backslashes_before_what_looks_like_an_interpolation_stay() -> None:
    draw = random.Random(3)
    for _ in range(500):
        text = "".join(draw.choice("\\${}ab'\"") for _ in range(draw.randint(1, 9)))
        assert OmegaConf.create(f"at: {_scalar(text)} # why").at == text


def test_a_file_whose_name_no_text_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data: the name .*l\\udce4.csv is not written in UTF-8; rename it"):
        reference_table(tmp_path / "l\udce4.csv", tmp_path)


@pytest.mark.parametrize("table", TABLES)
def test_each_yaml_names_the_schema_and_keeps_to_it(table: str, tmp_path: Path) -> None:
    survey = survey_table(write_table(tmp_path, table), "y", None)
    write_files(tmp_path, make_files("mine", table, survey, choose_task(survey.target, None), inside=True))
    conf = tmp_path / "conf"
    schema = json.loads((conf / FILE).read_text(encoding="utf-8"))
    assert schema == json.loads((CONF / FILE).read_text(encoding="utf-8"))
    files = sorted(conf.rglob("*.yaml"))
    assert [file.parent.name for file in files] == ["experiment", "model"]
    for file in files:
        text = file.read_text(encoding="utf-8")
        first = next(line for line in text.splitlines()[:2] if line != "# @package _global_")
        assert first == schema_line(file, conf)
        checker = Draft202012Validator({**schema, "$ref": f"#/definitions/{first.rpartition('/')[2]}"})
        assert [error.message for error in checker.iter_errors(yaml.safe_load(text))] == []


def test_the_example_that_is_commented_out_keeps_to_the_schema(tmp_path: Path) -> None:
    survey = survey_table(write_table(tmp_path, "two_ints.csv"), "y", None)
    files = make_files("mine", "two_ints.csv", survey, choose_task(survey.target, None), inside=True)
    _, _, example = files["conf/experiment/mine.yaml"].partition("# preprocess:\n")
    values = yaml.safe_load("preprocess:\n" + example.replace("#   ", "  "))
    checker = Draft202012Validator({**json.loads(files["conf/schema.json"]), "$ref": "#/definitions/config"})
    assert values["preprocess"]["steps"]["clip"]["_target_"] == "features.ClipOutliers"
    assert checker.is_valid(values)
    assert not checker.is_valid({"preprocess": {"stepps": values["preprocess"]["steps"]}})
