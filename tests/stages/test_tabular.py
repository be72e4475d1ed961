"""preprocess=tabular on tables with every kind of column: each model fits at the first guess and is served."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator import compose
from orchestrator.artifacts import Package
from orchestrator.caching.cache import CheckpointDir
from orchestrator.events import Progress
from orchestrator.modeling.one_hot import one_hot_widths
from orchestrator.spec.named_code import NamedCode
from orchestrator.spec.run_spec import RunSpec
from orchestrator.stages.train import build_search, train
from score.models.onnx import Compilation
from score.predict.predictor import Predictor
from tests.nightly import at_night

from .conftest import Kit

ROWS = 240


def people(target: str) -> pd.DataFrame:
    """Return a table with a column of each kind; each says something about the target."""
    rng = np.random.default_rng(0)
    skill = rng.normal(size=ROWS)
    towns = rng.integers(0, 60, ROWS)
    sizes = pd.CategoricalDtype(["low", "middle", "high"], ordered=True)
    y: Any = {
        "two": (skill > 0).astype(int),
        "three": np.digitize(skill, [-0.5, 0.5]),
        "numbers": np.round(skill * 100).astype(int),  # whole numbers that are no classes
    }[target]
    table = pd.DataFrame(
        {
            "age": np.where(rng.random(ROWS) < 0.2, np.nan, skill + rng.normal(size=ROWS)),
            "plan": rng.choice(["basic", "full"], ROWS),
            "member": rng.random(ROWS) < 0.5,
            "maybe": pd.Series(skill > 0.2, dtype="boolean").mask(rng.random(ROWS) < 0.3),
            "level": pd.Categorical.from_codes(np.digitize(skill, [-0.5, 0.5]), dtype=sizes),
            "town": [f"town {town}" for town in towns],
            "y": y,
        }
    )
    table.loc[::11, ["plan", "level"]] = None
    return table


def settings(*typed: str) -> RunSpec:
    chosen = () if any(each.startswith("preprocess=") for each in typed) else ("preprocess=tabular",)
    return RunSpec.parse(compose(*chosen, "search=grid", "model/param_grid=none", *typed).values)


def packaged(kit: Kit, table: pd.DataFrame, *typed: str) -> Package:
    """Train and package; the table goes through Parquet, which keeps dtypes."""
    spec = settings(*typed)
    search = build_search(spec.preprocess, spec.model, spec.search, NamedCode(), spec.data)
    parts = kit.split(table, search, format="parquet")
    return kit.package(parts, train(parts, search, spec.search, Progress(), CheckpointDir()))


FAST = {
    "linear": (),
    "random_forest": ("+model.params.n_estimators=10",),
    "hist_gradient_boosting": ("+model.params.max_iter=10",),
}


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (model, target) if model == "linear" or target == "two" else at_night(model, target)
        for model in FAST
        for target in ("two", "three", "numbers")
    ],
)
def test_every_model_takes_every_kind_of_column_and_is_compiled(kit: Kit, model: str, target: str) -> None:
    task = {"two": "binary", "three": "multiclass", "numbers": "regression"}[target]
    made = packaged(kit, people(target), f"model={model}", f"data.task={task}", *FAST[model])
    assert Compilation.read(made.path).reason == ""
    scorer = Predictor.load(made.path)
    row = {"age": None, "plan": None, "member": True, "maybe": None, "level": None, "town": "another town"}
    assert scorer.answer(json.dumps({"data": [row]})).status == 200
    assert {column.unseen for column in scorer.contract.columns if column.kind == "category"} == {"accept"}


@pytest.mark.parametrize(
    ("model", "target", "typed"),
    [
        ("hist_gradient_boosting", "two", "+model.params.max_iter=10"),
        at_night("lightgbm", "numbers", "+model.params.n_estimators=10"),
        at_night("xgboost", "three", "+model.params.n_estimators=10"),
        at_night("catboost", "two", "+model.params.iterations=10"),
    ],
)
def test_categories_are_passed_on_to_models_that_split_on_them(kit: Kit, model: str, target: str, typed: str) -> None:
    if model == "catboost":
        pytest.importorskip(model)
    task = {"two": "binary", "three": "multiclass", "numbers": "regression"}[target]
    made = packaged(kit, people(target), "preprocess=native", f"model={model}", f"data.task={task}", typed)
    assert Compilation.read(made.path).reason == ""
    assert ("catboost==" in (made.path / "requirements.txt").read_text()) == (model == "catboost")
    scorer = Predictor.load(made.path)
    row = {"age": None, "plan": None, "member": True, "maybe": None, "level": None, "town": "another town"}
    assert scorer.answer(json.dumps({"data": [row]})).status == 200


@pytest.mark.nightly
def test_a_stack_of_regressors_is_compiled(kit: Kit) -> None:
    fast = [f"{'+' if name == 'random_forest' else ''}model.params.estimators.{name}.{key}=8" for name, key in
            (("random_forest", "n_estimators"), ("hist_gradient_boosting", "max_iter"))]  # fmt: skip
    made = packaged(kit, people("numbers"), "model=stacking", "data.task=regression", *fast)
    assert Compilation.read(made.path).reason == ""


def test_free_text_is_scored_by_the_pickle(kit: Kit) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, ROWS)
    words = np.where(y == 1, "late and broken", "on time")
    notes = [f"parcel {number} came {word}" for number, word in zip(rng.permutation(ROWS), words, strict=True)]
    made = packaged(kit, pd.DataFrame({"note": notes, "age": rng.normal(size=ROWS), "y": y}), "model=linear")
    assert Compilation.read(made.path).reason == "no converter for score.column_transforms.WordWeights"
    answer = Predictor.load(made.path).score({"data": [{"note": "it is broken", "age": 0.0}]})
    assert answer.payload["predictions"] == [1]


def test_skrub_takes_a_messy_table_and_is_scored_by_the_pickle(kit: Kit) -> None:
    pytest.importorskip("skrub")
    rng = np.random.default_rng(0)
    title = rng.choice(["Police Officer", "Fire Fighter", "Bus Operator"], ROWS)
    grade = rng.integers(1, 20, ROWS)
    table = people("two").assign(
        title=[f"{each} {number}" for each, number in zip(title, grade, strict=True)],
        hired=pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, ROWS), "D"),
        empty=np.nan,
    )
    table.loc[::7, ["title", "hired"]] = None
    spec = settings("preprocess=skrub", "model=linear", "data.task=binary")
    search = build_search(spec.preprocess, spec.model, spec.search, NamedCode(), spec.data)
    parts = kit.split(table, search, format="parquet")
    made = kit.package(parts, train(parts, search, spec.search, Progress(), CheckpointDir()))
    assert Compilation.read(made.path).reason == "no converter for skrub._table_vectorizer.TableVectorizer"
    assert "\nskrub==" in (made.path / "requirements.txt").read_text()
    scorer = Predictor.load(made.path)
    row = dict.fromkeys(column.name for column in scorer.contract.columns)
    row |= {"member": True, "town": "another town", "title": "police oficer 3", "hired": "2030-01-31T00:00:00"}
    assert scorer.answer(json.dumps({"data": [row]})).status == 200
    assert all(column.unseen != "refuse" for column in scorer.contract.columns if column.kind == "category")


@pytest.mark.parametrize(("levels", "width"), [(39, 39), (40, None)])
def test_of_skrubs_encoders_the_one_hot_one_counts(levels: int, width: int | None) -> None:
    table = pd.DataFrame({"code": [f"c{i % levels}" for i in range(400)]})
    vectorizer = pytest.importorskip("skrub").TableVectorizer(cardinality_threshold=40)
    assert one_hot_widths(table, vectorizer).get("code") == width
    if width is None:
        assert vectorizer.fit_transform(table).shape[1] < levels


def test_the_preset_bounds_what_one_hot_encoding_makes() -> None:
    table = pd.DataFrame({"code": [f"c{i % 41}" for i in range(410)], "y": [0, 1] * 205})
    for typed, width in ((), 1), (("preprocess.max_levels=41",), 41):
        spec = settings("model=linear", *typed)
        search = build_search(spec.preprocess, spec.model, spec.search, NamedCode(), spec.data)
        steps = search.estimator.estimator[:-1].fit(table[["code"]], table["y"])
        assert steps.transform(table[["code"]]).shape == (410, width)
