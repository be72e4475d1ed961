"""Shapley values of trees, compared with their definition over all coalitions, and with shap's."""

from __future__ import annotations

import importlib
import importlib.util
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from orchestrator.packaging.explanation_check import shapley_values, worth
from orchestrator.packaging.explanation_model import describe_model
from score.explain import trees as module
from score.explain.trees import TreeArrays, TreeExplainer


def random_trees(rng: np.random.Generator, features: int, depth: int, count: int, values: int) -> TreeArrays:
    """Grow trees of random splits, in which a feature may stand several times on a path, and some sides saw no row."""
    nodes: list[tuple[int, float, bool, int, int, float]] = []
    roots = []

    def grow(level: int, cover: float) -> int:
        place = len(nodes)
        nodes.append((0, 0.0, False, -1, -1, cover))
        if level and rng.random() < 0.85:
            share = rng.uniform(0.05, 0.95) if rng.random() < 0.85 else 0.0
            below = cover or 1.0
            left, right = grow(level - 1, below * share), grow(level - 1, below * (1 - share))
            split = int(rng.integers(features)), float(rng.normal()), bool(rng.random() < 0.5)
            nodes[place] = (*split, left, right, cover)
        return place

    for _ in range(count):
        roots.append(len(nodes))
        grow(depth, 100.0)
    feature, threshold, missing_left, left, right, cover = map(np.array, zip(*nodes, strict=True))
    value, target = rng.normal(size=(len(nodes), values)), rng.integers(0, 2, count) * (values == 1)
    return TreeArrays(feature, threshold, missing_left, left, right, cover, value, np.array(roots), target)


def random_rows(rng: np.random.Generator, features: int) -> Any:
    rows = rng.normal(size=(2, features))
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 5), st.integers(0, 6), st.sampled_from([1, 3]))
def test_values_are_those_of_all_coalitions(seed: int, features: int, columns: int, depth: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    trees = random_trees(rng, features, depth, 3, values)
    owner, outputs = rng.integers(0, columns, features), max(values, 2)
    explainer = TreeExplainer(trees, owner, columns, np.ones(outputs))
    rows = random_rows(rng, features)
    for row, found in zip(rows, explainer.explain(rows), strict=True):
        game = partial(worth, trees, owner, row, outputs)
        np.testing.assert_allclose(found, shapley_values(game, columns), atol=1e-12)
        np.testing.assert_allclose(explainer.base, 1 + game(()), atol=1e-12)


def test_blocks_and_tables_made_anew_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    trees, rows = random_trees(rng, 5, 5, 20, 2), random_rows(rng, 5)
    whole = TreeExplainer(trees, np.arange(5), 5, np.zeros(2))
    monkeypatch.setattr(module, "BLOCK_EDGES", 50)
    monkeypatch.setattr(module, "KEPT_NUMBERS", 0)
    parts = TreeExplainer(trees, np.arange(5), 5, np.zeros(2))
    assert len(parts._blocks) > 3
    for _ in range(2):
        np.testing.assert_allclose(parts.explain(rows), whole.explain(rows), atol=1e-13)
    np.testing.assert_allclose(parts.base, whole.base)


def test_a_deep_forest_adds_up(X: Any, diabetes: Any) -> None:
    forest = RandomForestRegressor(5, random_state=0).fit(X.to_numpy(), diabetes["Outcome"])
    trees = TreeArrays.of(describe_model(forest).arrays)
    explainer = TreeExplainer(trees, np.arange(8), 8, np.zeros(1))
    rows = X.to_numpy()[:20]
    sums = explainer.base + explainer.explain(rows.astype(np.float32).astype(np.float64)).sum(axis=2)
    np.testing.assert_allclose(sums[:, 0], forest.predict(rows), rtol=0, atol=1e-12)


@pytest.mark.nightly
def test_shap_gives_the_same(X: Any, diabetes: Any) -> None:
    shap = pytest.importorskip("shap", reason="pip install shap, in an environment of its own")
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

    table, target = X.to_numpy(), diabetes["Outcome"]
    holes = np.where(np.random.default_rng(0).random(table.shape) < 0.1, np.nan, table)
    further = []
    if importlib.util.find_spec("catboost"):
        catboost = importlib.import_module("catboost")
        further = [(catboost.CatBoostClassifier(20, verbose=False, allow_writing_files=False), holes)]
    for model, rows in (
        (RandomForestClassifier(20, max_depth=7, random_state=0), table),
        (RandomForestClassifier(3, random_state=0), table),
        (GradientBoostingClassifier(n_estimators=20, random_state=0), table),
        (HistGradientBoostingClassifier(max_iter=20, random_state=0), holes),
        *further,
    ):
        model.fit(rows, target)
        arrays = describe_model(model).arrays
        explainer = TreeExplainer(TreeArrays.of(arrays), np.arange(8), 8, arrays["start"])
        judged = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent").shap_values(rows[:50])
        expected = judged[..., 1] if np.ndim(judged) == 3 else judged
        narrow = rows[:50].astype(np.float32).astype(np.float64) if arrays["narrow"] else rows[:50]
        np.testing.assert_allclose(explainer.explain(narrow)[:, 0], expected, rtol=0, atol=1e-6)  # shap's own precision


@pytest.mark.parametrize("outputs", [1, 3])
def test_catboost_gives_the_same_of_trees_with_empty_leaves(outputs: int, X: Any, diabetes: Any) -> None:
    catboost = pytest.importorskip("catboost")
    target = diabetes["Outcome"] if outputs == 1 else np.digitize(diabetes["Glucose"], [100, 140])
    rows = X.mask(np.random.default_rng(0).random(X.shape) < 0.1)
    model = catboost.CatBoostClassifier(20, depth=6, thread_count=1, verbose=False, allow_writing_files=False)
    model.fit(rows, target)
    arrays = describe_model(model).arrays
    assert (arrays["cover"] == 0).any()
    explainer = TreeExplainer(TreeArrays.of(arrays), np.arange(8), 8, arrays["start"])
    asked = rows[:40]
    found = explainer.explain(asked.to_numpy().astype(np.float32).astype(np.float64))
    judged = model.get_feature_importance(catboost.Pool(asked), type="ShapValues").reshape(40, outputs, 9)
    np.testing.assert_allclose(found, judged[..., :-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(explainer.base, judged[0, :, -1], rtol=0, atol=1e-12)
    assert (
        describe_model(
            catboost.CatBoostRegressor(2, verbose=False, allow_writing_files=False).fit(rows, target)
        ).outputs
        is None
    )
