"""``search.fit_on=all``: what ships is fitted on all rows, and what the hold-out rows are to show is of the honest fit."""

from __future__ import annotations

import json
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from orchestrator.cli.descriptions import describe
from orchestrator.config.compose import compose
from orchestrator.errors import PackageError
from orchestrator.spec.search import SearchSpec
from score.contract import distribution, golden, training_info
from score.models.onnx import Compilation
from score.predict.predictor import Predictor
from tests.stages.conftest import TABULAR, Kit

FOREST = {"n_estimators": 3, "random_state": 0}


@pytest.fixture
def kit(tmp_path: Any) -> Kit:
    return Kit(tmp_path)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two columns and their weights; the last quarter, which is held out, has a town and a range of its own."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    table = pd.DataFrame({"a": y + rng.normal(0, 0.6, 80), "town": np.where(rng.random(80) < 0.5, "Oslo", "Rome")})
    table.loc[65:, "town"] = "Bonn"
    table.loc[70, "a"] = 99.0
    part = np.where(np.arange(80) < 60, "train", "test")
    return table.assign(part=part, w=rng.uniform(0.1, 5, 80), y=np.where(y == 1, "yes", "no"))


def prepared(kit: Kit, table: pd.DataFrame, **keys: Any) -> Any:
    split = {"rule": "column", "by": "part"}
    search = kit.search(params=FOREST, grid={"max_depth": [2, 3]}, preprocess=TABULAR, split=split)
    return kit.train(table, search, split=split, **keys)


@pytest.mark.parametrize("weight", [None, "w"])
def test_what_ships_is_fitted_on_all_rows_with_the_best_parameters(
    kit: Kit, table: pd.DataFrame, weight: str | None
) -> None:
    frame = table if weight else table.drop(columns="w")
    parts, trained = prepared(kit, frame, weight=weight)
    before = trained.pipeline.predict_proba(parts.X_test)
    made = kit.package(parts, trained, fit_on="all", compile="required")
    shipped = joblib.load(made.path / "model.pkl")
    X, y = pd.concat([parts.X_train, parts.X_test]), pd.concat([parts.y_train, parts.y_test])
    weights = {"model__sample_weight": frame["w"].loc[X.index]} if weight else {}
    wanted = clone(trained.pipeline).fit(X, y, **weights)
    np.testing.assert_array_equal(shipped.predict_proba(X), wanted.predict_proba(X))
    np.testing.assert_array_equal(trained.pipeline.predict_proba(parts.X_test), before)  # the honest fit stays
    assert not np.array_equal(before, shipped.predict_proba(parts.X_test))
    scorer = Predictor.load(made.path)
    for request in golden.read(made.path):
        answer = scorer.answer(request.body)
        assert request.difference(answer.status, json.loads(answer.body)) == "", request.name
    records = next(item for item in golden.read(made.path) if item.name == golden.RECORDS)
    np.testing.assert_allclose(records.reply["probabilities"], wanted.predict_proba(parts.X_test[:3]), atol=1e-6)
    assert Compilation.read(made.path).rows == 80  # each row once


def test_contract_and_profile_are_of_all_rows_and_the_training_says_so(kit: Kit, table: pd.DataFrame) -> None:
    parts, trained = prepared(kit, table.drop(columns="w"))
    honest, made = (kit.package(parts, trained, fit_on=rows, compile="never") for rows in ("training", "all"))
    columns = [
        {each.name: each for each in Predictor.load(package.path).contract.columns} for package in (honest, made)
    ]
    assert [list(each["town"].held_out) for each in columns] == [["Bonn"], []]
    assert columns[0]["town"].categories == columns[1]["town"].categories == ["Bonn", "Oslo", "Rome"]
    assert [columns[0]["a"].maximum == 99, columns[1]["a"].maximum == 99] == [False, True]
    assert columns[0]["town"].decided.partition(";")[0] == columns[1]["town"].decided.partition(";")[0]
    profiles = [distribution.read(package.path)["town"] for package in (honest, made)]
    assert ['"Bonn"' in profile.bins for profile in profiles] == [True, True]
    assert profiles[0].shares != profiles[1].shares
    about = [training_info.read(package.path) or {} for package in (honest, made)]
    assert [each["fit_on"] for each in about] == ["training", "all"]
    assert {**about[0], "fit_on": "all"} == about[1]  # metrics and rows are those of the honest fit
    assert describe(made).endswith("; fitted again on all 80 rows (search.fit_on=all)")
    assert "fitted again" not in describe(honest)


def test_max_refused_is_measured_by_the_fit_that_had_not_seen_the_rows(kit: Kit, table: pd.DataFrame) -> None:
    parts, trained = prepared(kit, table.drop(columns="w"))
    with pytest.raises(PackageError, match=r"would refuse 15 of 20 hold-out rows .*\"town\", 15 rows"):
        kit.package(parts, trained, fit_on="all", compile="never", unseen="refuse")
    made = kit.package(parts, trained, fit_on="all", compile="never", unseen="refuse", max_refused=0.8)
    assert (made.refusals and made.refusals.refused) == 15
    row = json.dumps({"data": [{"a": 1.0, "town": "Bonn"}]})
    assert Predictor.load(made.path).answer(row).status == 200  # which the shipped model was fitted on


def test_a_failed_fit_names_the_key(kit: Kit, table: pd.DataFrame) -> None:
    parts, trained = prepared(kit, table.drop(columns="w"))
    trained.pipeline.set_params(model__max_depth=-1)
    with pytest.raises(
        PackageError, match=r"search\.fit_on: the fit on all 80 rows failed with .*max_depth.*=training"
    ):
        kit.package(parts, trained, fit_on="all", compile="never")


def test_the_search_is_the_same_and_what_is_made_is_not() -> None:
    keys: dict[str, Any] = {
        "_target_": "orchestrator.search.SharedGridSearchCV",
        "cv": 3,
        "scoring": "r2",
        "refit": "r2",
    }
    default, again = SearchSpec(**keys), SearchSpec(**keys, fit_on="all")
    assert default.cache_parts() == again.cache_parts()
    assert again.ordered().items() - default.ordered().items() == {("search.fit_on", '"all"')}
    assert not again.options


def test_more_rows_change_no_columns_kind(kit: Kit) -> None:
    rng = np.random.default_rng(0)
    town = [f"town {i % 40}" for i in range(160)] + [f"town {i % 44}" for i in range(160, 200)]  # 40 levels, and 44
    y = rng.integers(0, 2, 200)
    frame = pd.DataFrame({"town": town, "a": rng.random(200) + y, "part": ["train"] * 160 + ["test"] * 40, "y": y})
    split = {"rule": "column", "by": "part"}
    preset = dict(compose("preprocess=tabular").values)["preprocess"]
    search = kit.search(params=FOREST, grid={"max_depth": [2]}, preprocess=preset, split=split)
    parts, trained = kit.train(frame, search, split=split)
    shipped = joblib.load(kit.package(parts, trained, fit_on="all").path / "model.pkl")
    honest, again = (each["branches"] for each in (trained.pipeline, shipped))
    assert {n: list(c) for n, _, c in honest.transformers_} == {n: list(c) for n, _, c in again.transformers_}
    assert "town" in {name: list(names) for name, _, names in again.transformers_}["categorical"]
