"""The groups: every option composes, parses, says what it is, and raises no false alarm."""

from __future__ import annotations

import contextlib
import re
import shlex
import sqlite3
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.bundled import CONF, SCHEMA_LINE
from orchestrator.config.compose import compose
from orchestrator.spec.components import locate
from orchestrator.spec.run_spec import RunSpec
from tests.found import found
from tests.nightly import at_night

FILES = sorted(CONF.rglob("*.yaml"))
OPTIONS = [
    str(file.relative_to(CONF).with_suffix("")) for file in FILES if file.parent not in {CONF, CONF / "hydra/help"}
]

# what must be typed with an option that is not right by itself
DATA: Mapping[str, str] = {
    "pima": "data=pima",
    "csv": "data=csv data.path={tmp}/people.csv data.target=paid",
    "parquet": "data=parquet data.path={tmp}/people.parquet data.target=paid",
}
SUITED: Mapping[str, str] = {
    "data/csv": f"{DATA['csv']} preprocess=tabular",
    "data/parquet": f"{DATA['parquet']} preprocess=tabular",
    "data/sql": "data=sql data.table=people data.target=paid preprocess=tabular",
    "data/delta": "data=delta data.path={tmp}/people data.target=paid preprocess=tabular",
    **{
        f"data/split/{rule}": f"{DATA['csv']} preprocess=tabular data/split={rule} {keys}"
        for rule, keys in {
            "group": "data.split.by=job",
            "time": "data.split.by=age data.split.gap=1",
            "column": "data.split.by=job data.split.test=cook",
            "file": "data.split.file={tmp}/bom.csv",
        }.items()
    },
    "preprocess/native": f"{DATA['csv']} preprocess=native model=hist_gradient_boosting",
    "deploy/aks": "deploy=aks deploy.compute=aks",
    "stages/batch": "stages=batch batch.input={tmp}/people.csv batch.output={tmp}/scored.csv",
    "search/grid_regression": "search=grid_regression model.estimator=sklearn.ensemble.RandomForestRegressor",
}
MODELS = [option.removeprefix("model/") for option in OPTIONS if re.fullmatch(r"model/\w+", option)]
LIBRARIES = ("lightgbm", "xgboost", "catboost")  # of the models of that name; their checks do not depend on the table
PAIRS = [
    f"{DATA[data]} preprocess={preprocess} model={model} {grid}"
    for data, preprocess, model in product(DATA, ["pima", "tabular", "none"], MODELS)
    if model not in LIBRARIES
    if preprocess != "pima" or data == "pima"  # its steps name columns of that data set
    for grid in (["", "model/param_grid=none"] if data == "pima" else [""])
]


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small table in several formats, and a transformer of another library."""
    folder = tmp_path_factory.mktemp("data")
    people = pd.DataFrame({"age": [30, 40], "job": ["cook", "smith"], "paid": [0, 1]})
    people.to_csv(folder / "people.csv", index=False)
    people.to_csv(folder / "people.csv.gz", index=False)
    people.to_csv(folder / "tabs.csv", index=False, sep="\t")
    people.to_csv(folder / "tabs.TSV", index=False, sep="\t")
    (folder / "packed").write_bytes((folder / "people.csv.gz").read_bytes())
    people.to_csv(folder / "indexed.csv")
    people.set_axis([3, 9]).to_parquet(folder / "indexed.parquet")
    people.to_csv(folder / "spaces.csv", index=False, sep=" ")
    people.to_csv(folder / "bom.csv", index=False, encoding="utf-8-sig")
    people.to_parquet(folder / "people.parquet")
    with contextlib.closing(sqlite3.connect(folder / "people.db")) as database:
        people.to_sql("people", database, index=False)
    with contextlib.suppress(ImportError):
        from deltalake import write_deltalake

        write_deltalake(folder / "people", people)
    (folder / "outside_steps.py").write_text(
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        "class AddRatio(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, X, y=None):\n        return self\n"
        "    def transform(self, X):\n        return X.assign(ratio=1.0)\n"
    )
    return folder


def typed(option: str) -> str:
    group, _, name = option.rpartition("/")
    own_model = f"model={name} " if group == "model/param_grid" and name in MODELS else ""
    return SUITED.get(option, f"{own_model}{group}={name}")


def overrides(line: str, tmp: Path) -> list[str]:
    return shlex.split(line.replace("{tmp}", str(tmp)))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_composes_and_raises_no_false_alarm(
    option: str, tmp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = option.rpartition("/")[2]
    if option == "preprocess/skrub" or (option.startswith("model/") and library in LIBRARIES):
        pytest.importorskip(library)
    if option == "data/delta":
        pytest.importorskip("deltalake")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp}/people.db")
    assert found(f"state_dir={tmp_path}", *overrides(typed(option), tmp)) == []


@pytest.mark.parametrize(
    "line", [at_night(line) if re.search("data=parquet|param_grid=none", line) else line for line in PAIRS]
)
def test_options_that_suit_each_other_raise_no_false_alarm(line: str, tmp: Path, tmp_path: Path) -> None:
    assert found(f"state_dir={tmp_path}", *overrides(line, tmp)) == []


@pytest.mark.parametrize(
    "line",
    [
        "'preprocess.steps.extra={_target_: outside_steps.AddRatio}' 'model.param_grid={n_estimators: [5]}'",
        # the column is made by the step before
        (
            "'+preprocess.steps.x={_target_: outside_steps.AddRatio}' preprocess.branches.some.columns=[ratio] "
            "preprocess.branches.some.steps.scale._target_=sklearn.preprocessing.StandardScaler"
        ),
        "data=csv data.path={tmp}/tabs.csv 'data.separator=\"\t\"' data.target=paid preprocess=tabular",
        r"""data=csv data.path={tmp}/spaces.csv 'data.separator="\s+"' data.target=paid preprocess=tabular""",
        r"""data=csv data.path={tmp}/tabs.csv data.separator="\t" data.target=paid preprocess=tabular""",
        r"""data=csv data.path={tmp}/tabs.csv 'data.separator="\t"' data.target=paid preprocess=tabular""",
        r"""data=csv data.path={tmp}/tabs.csv 'data.separator="\\t"' data.target=paid preprocess=tabular""",
        "data=csv data.path={tmp}/tabs.TSV data.target=paid preprocess=tabular",
        "data=csv data.path={tmp}/people.csv.gz data.target=paid preprocess=tabular",
        "data=csv data.path={tmp}/packed data.target=paid preprocess=tabular",
        "data=csv data.path={tmp}/indexed.csv data.target=paid 'data.drop=[\"Unnamed: 0\"]' preprocess=tabular",
        "data=csv data.path={tmp}/indexed.csv data.target=paid 'data.drop=[\"\"]' preprocess=tabular",
        "data=parquet data.path={tmp}/indexed.parquet data.target=paid data.drop=[__index_level_0__] preprocess=tabular",
        "-v",
        "data=csv data.path={tmp}/bom.csv data.target=age preprocess=tabular",
        "model.estimator=xgboost.XGBClassifier model/param_grid=none model.params.any_name_it_may_know=1",
        "model.estimator=lightgbm.LGBMClassifier 'model.param_grid={num_leaves: [7, 15]}' model/param_grid=none",
        "model=lightgbm model.early_stopping.rounds=20 model.param_grid.n_estimators=2000 preprocess=none",
        "'model.param_grid.class_weight=[null,balanced,{0: 1.0, 1: 2.0}]' model.param_grid.max_depth=[null,3]",
        "search.scoring=f1 search.refit=f1",
        "search.n_jobs=-1",
        "model.param_grid.max_depth=5",
        "data.positive=0",
        "'package.model_name=${name}-${seed}' name=my-own_name2 deploy.service_name=abc",
        "~model.param_grid.max_depth ~preprocess.steps.cast",
        "~stages.deploy ~stages.probe ~stages.promote",
        "stages.promote=null",
    ],
)
def test_what_is_right_raises_no_alarm(line: str, tmp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp)  # the project, in which own code lies
    monkeypatch.syspath_prepend(tmp)
    assert found(f"state_dir={tmp_path}", *overrides(line, tmp)) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_what_it_is(file: Path) -> None:
    lines = file.read_text().splitlines()
    said = next(line for line in lines if not line.startswith(("# @package", SCHEMA_LINE)))
    assert said.startswith("# ") or file.parent.name == "param_grid"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_path_into_this_project_leads_to_something(file: Path) -> None:
    for path in re.findall(r"\b(?:orchestrator|score)(?:\.\w+){2,}", file.read_text()):
        locate(path, "here")


@pytest.mark.parametrize("model", MODELS)
def test_a_model_picks_its_own_grid(model: str) -> None:
    spec = RunSpec.parse(compose(f"model={model}").values)
    assert (
        spec.model.param_grid
        == RunSpec.parse(compose(f"model={model}", f"model/param_grid={model}").values).model.param_grid
    )
    assert spec.model.param_grid


def test_the_article_is_an_experiment() -> None:
    spec = RunSpec.parse(compose("experiment=article").values)
    assert (spec.data.test_size, spec.data.stratify) == (0.25, False)
    assert dict(spec.model.param_grid) == {"n_estimators": (10, 20, 30), "max_depth": (2, 7, 10)}
    assert spec.search.refit in spec.search.scoring


def test_no_target_means_that_nothing_is_deployed() -> None:
    stages = RunSpec.parse(compose("deploy=none").values).stages
    assert [name for name, stage in stages.items() if stage is None] == ["deploy", "probe", "promote"]


def test_the_seed_reaches_the_estimator_and_the_name_reaches_model_and_service() -> None:
    spec = RunSpec.parse(compose("seed=7", "name=mine").values)
    assert spec.model.params["random_state"] == 7
    assert spec.package.model_name == "mine_model"
    assert spec.deploy.options["service_name"] == "mine-prediction-service"
