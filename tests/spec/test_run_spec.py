"""RunSpec: frozen data, absolute paths, and what of it a cached artifact depends on."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.config.compose import compose
from orchestrator.errors import SpecError
from orchestrator.spec.field_types import ROOT
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.run_spec import RunSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.spec.section import Component


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return dict(compose().values)


@pytest.fixture(scope="module")
def spec(config: dict[str, Any]) -> RunSpec:
    return RunSpec.parse(config)


def changed(config: dict[str, Any], section: str, **values: Any) -> RunSpec:
    return RunSpec.parse({**config, section: {**config[section], **values}})


def test_nothing_of_it_can_be_changed(spec: RunSpec) -> None:
    for section, name in ((spec, "seed"), (spec.data, "target"), (spec.model, "estimator"), (spec.deploy, "target")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, "other")


def test_sections_have_their_path_and_every_leaf_is_text(spec: RunSpec) -> None:
    assert spec.search.flat() == {
        "search._target_": "orchestrator.search.SharedGridSearchCV",
        "search.cv": "5",
        "search.scoring": '["roc_auc", "precision", "recall", "f1", "accuracy"]',
        "search.refit": "roc_auc",
        "search.scorers": "{}",
        "search.on_error": "stop",
        "search.fit_on": "training",
        **{f"search.{name}": "null" for name in ("n_jobs", "backend", "scheduler")},
    }
    assert not {"search.n_jobs", "search.backend", "search.scheduler"} & spec.search.cache_parts().keys()
    assert spec.model.flat()["model.param_grid.max_depth"] == "[2, 7, 10]"
    assert spec.preprocess.flat()["preprocess.steps.impute.strategy"] == "mean"
    assert spec.preprocess.flat()["preprocess.branches"] == "{}"
    assert spec.data.flat()["data.positive"] == "null"
    assert spec.data.flat()["data.stratify"] == "true"
    assert spec.data.flat()["data.separator"] == ","


def test_a_mapping_that_is_one_value_is_one_parameter(config: dict[str, Any]) -> None:
    monotonic = {"Glucose (mg/dl)": 1, "a/../b": -1}
    model = changed(config, "model", params={"monotonic_cst": monotonic, "class_weight": {0: 1}, "max_depth": 2}).model
    assert {name: value for name, value in model.flat().items() if "params" in name} == {
        "model.params.monotonic_cst": json.dumps(monotonic),
        "model.params.class_weight": '{"0": 1}',
        "model.params.max_depth": "2",
    }
    branch = {"columns": "numeric", "steps": {"encode": {"_target_": "a.B", "names": {"x y%": {"z": 1}}, "none": {}}}}
    preprocess = changed(config, "preprocess", branches={"numbers": branch}).preprocess
    flat = {name: value for name, value in preprocess.flat().items() if "branches" in name}
    assert flat == {
        "preprocess.branches.numbers.columns": "numeric",
        "preprocess.branches.numbers.steps.encode._target_": "a.B",
        "preprocess.branches.numbers.steps.encode.names": '{"x y%": {"z": 1}}',
        "preprocess.branches.numbers.steps.encode.none": "{}",
    }


def test_a_relative_path_is_looked_for_here_and_then_in_the_repository(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunSpec.parse(config).data.path == ROOT / "data" / "diabetes.csv"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "diabetes.csv").touch()
    assert RunSpec.parse(config).data.path == tmp_path / "data" / "diabetes.csv"
    assert changed(config, "data", path="~/x.csv").data.path == Path.home() / "x.csv"


def test_the_state_is_the_working_directorys(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunSpec.parse({**config, "state_dir": "here"}).state_dir == tmp_path / "here"
    assert RunSpec.parse({**config, "state_dir": str(tmp_path)}).state_dir == tmp_path


def test_the_contents_of_the_file_count_and_not_where_it_lies(config: dict[str, Any], tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("a,b\n1,2\n")
    other.write_text("a,b\n1,2\n")
    parts = [changed(config, "data", path=str(path)).data.cache_parts() for path in (one, other)]
    assert parts[0] == parts[1]
    other.write_text("a,b\n1,3\n")
    os.utime(other, (1, 1))
    differing = changed(config, "data", path=str(other)).data.cache_parts()
    assert {name for name in parts[0] if parts[0][name] != differing[name]} == {"data file"}


def test_what_a_section_depends_on(config: dict[str, Any], spec: RunSpec) -> None:
    assert changed(config, "search", n_jobs=4).search.cache_parts() == spec.search.cache_parts()
    assert changed(config, "search", cv=3).search.cache_parts() != spec.search.cache_parts()
    assert spec.model.cache_parts()["scikit-learn"]
    assert spec.preprocess.cache_parts()["code score.transforms"]
    assert spec.preprocess.cache_parts()["preprocess order"] == "cast zeros_to_missing impute"


def test_the_order_of_steps_counts(spec: RunSpec) -> None:
    turned = PreprocessSpec(steps=dict(reversed([*spec.preprocess.steps.items()])))
    assert turned.flat() == spec.preprocess.flat()
    assert turned.cache_parts() != spec.preprocess.cache_parts()
    tabular = RunSpec.parse(compose("preprocess=tabular").values).preprocess
    numeric = tabular.branches["numeric"]
    inside = numeric.model_copy(update={"steps": dict(reversed([*numeric.steps.items()]))})
    turned = tabular.model_copy(update={"branches": {**tabular.branches, "numeric": inside}})
    assert turned.cache_parts() != tabular.cache_parts()


def test_every_transformer_has_its_place() -> None:
    spec = RunSpec.parse(compose("preprocess=tabular").values)
    assert [at for at, _ in spec.preprocess.components()] == [
        "preprocess.branches.numeric.steps.impute",
        "preprocess.branches.numeric.steps.scale",
        "preprocess.branches.categorical.steps.booleans",
        "preprocess.branches.categorical.steps.encode",
        "preprocess.branches.ordered.steps.encode",
        "preprocess.branches.ordered.steps.impute",
        "preprocess.branches.ordered.steps.scale",
        "preprocess.branches.high_cardinality.steps.encode",
        "preprocess.branches.high_cardinality.steps.scale",
        "preprocess.branches.text.steps.encode",
        "preprocess.branches.dates.steps.parts",
        "preprocess.branches.dates.steps.impute",
        "preprocess.branches.dates.steps.scale",
    ]


def test_one_metric_needs_no_list() -> None:
    search = SearchSpec.model_validate({"_target_": "a.B", "cv": 2, "scoring": "f1", "refit": "f1"})
    assert search.scoring == ("f1",)


def test_a_component_is_a_path_and_options() -> None:
    component = Component.model_validate({"_target_": "a.B", "port": 1, "nested": {"key": [1]}})
    assert component.target == "a.B"
    assert component.options == {"port": 1, "nested": {"key": [1]}}


def test_a_stage_is_a_path_or_a_component_or_left_out(config: dict[str, Any]) -> None:
    stages = RunSpec.parse({**config, "stages": {"a": "x.y", "b": {"_target_": "x.Y", "n": 1}, "c": None}}).stages
    assert stages["a"] == "x.y"
    assert isinstance(stages["b"], Component)
    assert stages["b"].options == {"n": 1}
    assert stages["c"] is None


@pytest.mark.parametrize(
    ("value", "right"), [(1, True), ("yes", True), (False, True), (1.0, True), (None, True), ([1], False), ({}, False)]
)
def test_the_positive_label_is_any_single_value(config: dict[str, Any], value: Any, right: bool) -> None:
    if right:
        assert changed(config, "data", positive=value).data.positive == value
    else:
        with pytest.raises(SpecError, match="one label"):
            changed(config, "data", positive=value)


def test_types_are_not_bent(config: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        RunSpec.parse({**config, "seed": "2", "dry_run": "yes", "name": 3})
    assert [str(problem) for problem in caught.value.problems] == [
        "name: should be text, got 3; write it in quotes",
        "seed: should be a whole number, got '2'",
        "dry_run: should be true or false, got 'yes'",
    ]


def test_paths_are_formatted_as_they_are_typed(config: dict[str, Any]) -> None:
    broken = {**config, "stages": {"a": {"_target_": 5}, "b c": "x.y"}, "data": {**config["data"], "drop": ["a", 1]}}
    with pytest.raises(SpecError) as caught:
        RunSpec.parse(broken)
    assert [problem.at for problem in caught.value.problems] == ["data.drop[1]", "stages.a._target_", "stages.b c"]


def test_a_model_needs_no_grid() -> None:
    assert dict(ModelSpec(estimator="a.B").param_grid) == {}


def test_cache_parts_distinguish_a_number_from_its_text() -> None:
    grids = ((1, None, True), ("1", "null", "true"))
    one, other = (ModelSpec(estimator="a.B", param_grid={"x": values}).parts() for values in grids)
    assert one != other
    assert ModelSpec(estimator="a.B", params={"x": 1}).parts() != ModelSpec(estimator="a.B", params={"x": "1"}).parts()


def test_the_digest_is_of_what_is_made_and_not_of_where(config: dict[str, Any], spec: RunSpec) -> None:
    elsewhere = {
        "state_dir": "/elsewhere",
        "tracking": {"_target_": "a.B"},
        "deploy": {"_target_": "a.B"},
        "stages": {},
    }
    assert RunSpec.parse(config | elsewhere).digest == spec.digest
    assert (
        changed(config, "search", n_jobs=3).digest == changed(config, "data", path="/other.csv").digest == spec.digest
    )
    steps = dict(reversed(config["preprocess"]["steps"].items()))
    others = [
        RunSpec.parse(config | {"seed": 1}),
        changed(config, "preprocess", steps=steps),
        changed(config, "package", compile="never"),
        changed(config, "search", cv=4),
        changed(config, "data", target="Age"),
    ]
    assert len({other.digest for other in [*others, spec]}) == 1 + len(others)


def test_a_spec_without_a_threshold_is_what_it_was_before_there_were_any(config: dict[str, Any], spec: RunSpec) -> None:
    assert spec.evaluate.ordered() == spec.evaluate.flat() == dict(spec.evaluate.cache_parts()) == {}
    assert RunSpec.parse({**config, "evaluate": {"threshold": 0.5, "recall": 0.9}}).digest == spec.digest
    assert changed(config, "model", calibrate="none").digest == spec.digest
    assert changed(config, "model", calibrate=["none", "sigmoid"]).digest != spec.digest
    chosen = [{"threshold": 0.4}, {"threshold": "max_f1"}, {"threshold": "cost"}, {"threshold": "recall_at"}]
    chosen += [{"threshold": "cost", "cost": {"false_negative": 9}}, {"threshold": "recall_at", "recall": 0.8}]
    digests = {RunSpec.parse({**config, "evaluate": each}).digest for each in chosen}
    assert len({*digests, spec.digest}) == 1 + len(chosen)


def test_a_mapping_that_is_a_value_is_one_json_text() -> None:
    params: dict[str, Any] = {
        "monotonic_cst": {"Age (years)": 1, "a.b": -1},
        "class_weight": {0: 1, "> 50K": 2},
        "C": 1.0,
    }
    grid: dict[str, Any] = {"class_weight": [{0: 1}, None]}
    model = ModelSpec(estimator="sklearn.svm.SVC", params=params, param_grid=grid)
    assert model.flat() == {
        "model.estimator": "sklearn.svm.SVC",
        "model.params.monotonic_cst": '{"Age (years)": 1, "a.b": -1}',
        "model.params.class_weight": '{"0": 1, "> 50K": 2}',
        "model.params.C": "1.0",
        "model.param_grid.class_weight": '[{"0": 1}, null]',
        "model.early_stopping.rounds": "null",
        "model.early_stopping.share": "0.1",
        "model.calibrate": '["none"]',
    }
    step: Any = {"_target_": "a.B", "mapping": {"Age (years)": {"low": 1}}, "text": "x"}
    branch: Any = {"columns": ["a"], "steps": {"one": step}}
    found = PreprocessSpec(steps={"first": step}, branches={"some": branch}).flat()
    assert found["preprocess.steps.first.mapping"] == '{"Age (years)": {"low": 1}}'
    assert found["preprocess.branches.some.steps.one.mapping"] == '{"Age (years)": {"low": 1}}'
    assert found["preprocess.branches.some.columns"] == '["a"]'
    assert all(re.fullmatch(r"[\w.]+", name) for name in {**model.flat(), **found})


@pytest.mark.parametrize("options", [[], ["preprocess=tabular", "search=halving"], ["model/param_grid=none"]])
def test_without_such_mappings_every_leaf_has_its_own_name(options: list[str]) -> None:
    spec = RunSpec.parse(compose(*options).values)
    for section in (spec.data, spec.preprocess, spec.model, spec.search, spec.package):
        assert section.flat().keys() == section.leaves().keys()
