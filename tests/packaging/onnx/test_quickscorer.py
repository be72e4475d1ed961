"""Sums by QuickScorer equal those of walking the trees, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from orchestrator.packaging.onnx import quickscorer
from orchestrator.packaging.onnx.compile import convert_pipeline
from orchestrator.packaging.onnx.trees import Tree, ensemble_attributes
from score.models.onnx import FOREST_ROWS, Compilation, CompiledModel, OnnxGraph
from score.models.quickscorer import BITS, Forest, SplitGraph
from score.payload.typed_reader import LONG
from tests.nightly import at_night

from .conftest import Fit, pima

SEED: dict[str, Any] = {"random_state": 0}
FORESTS = {
    "of two classes": (RandomForestClassifier(20, max_depth=5, **SEED), "two"),
    "of three classes": (RandomForestClassifier(20, max_depth=5, **SEED), "three"),
    "of large trees": (RandomForestClassifier(40, **SEED), "two"),  # several words each, and several blocks
    "of numbers": (RandomForestRegressor(10, **SEED), "numbers"),
    "of random splits": (ExtraTreesClassifier(20, **SEED), "two"),
    "of one tree": (DecisionTreeClassifier(**SEED), "three"),
    "of votes": (AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=20, **SEED), "three"),
    "boosted": (GradientBoostingClassifier(n_estimators=20, **SEED), "two"),
    "boosted for three classes": (GradientBoostingClassifier(n_estimators=20, **SEED), "three"),
    "boosted for numbers": (GradientBoostingRegressor(n_estimators=20, **SEED), "numbers"),
    "of histograms": (HistGradientBoostingClassifier(max_iter=20, **SEED), "two"),
    "of histograms for three classes": (HistGradientBoostingClassifier(max_iter=20, **SEED), "three"),
    "of histograms for numbers": (HistGradientBoostingRegressor(max_iter=20, **SEED), "numbers"),
}


def strange(table: Any) -> Any:
    """Return the rows, and rows of rare values."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.ravel(table), size=(2000, table.shape[1])) * rng.choice([1, 1, -1, 1e-3, 1e30], (2000, 1))
    drawn[rng.random(drawn.shape) < 0.1] = 0.0
    drawn[rng.random(drawn.shape) < 0.05] = -0.0
    for value in (np.nan, np.inf, -np.inf, 1e300, -1e300):
        drawn[rng.random(drawn.shape) < 0.02] = value
    return np.concatenate([table, drawn])


def both(graph: bytes, table: Any) -> tuple[list[Any], list[Any]]:
    """Return the outputs of a graph, and of its parts."""
    parts = quickscorer.split_graph(graph, always=True)
    assert parts is not None
    values = OnnxGraph(parts.before).run(table)[0] if parts.before else table
    return OnnxGraph(graph).run(table), OnnxGraph(parts.after).run(parts.forest.sums(values))


@pytest.mark.parametrize("name", FORESTS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_sums_are_those_of_the_walked_trees(name: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    model, target = FORESTS[name]
    graph, _ = convert_pipeline(fit([], model, X, targets[target]).pipeline, X.shape[1])
    walked, looked_up = both(graph, strange(X.to_numpy(float)))
    for expected, actual in zip(walked, looked_up, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_missing_values_take_the_branch_of_training(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    missing = X.where(np.random.default_rng(0).random(X.shape) > 0.3)
    for model in (HistGradientBoostingClassifier(max_iter=20), RandomForestClassifier(20, **SEED)):
        graph, _ = convert_pipeline(fit([], model, missing, targets["two"]).pipeline, X.shape[1])
        walked, looked_up = both(graph, strange(missing.to_numpy(float)))
        np.testing.assert_array_equal(looked_up[1], walked[1])


def graph_of(trees: list[Tree]) -> bytes:
    attributes = ensemble_attributes(trees, [0] * len(trees), [tree.value[:, 0] for tree in trees], np.float64)
    node = helper.make_node("TreeEnsemble", ["table"], ["sums"], domain="ai.onnx.ml", **attributes)
    source = helper.make_tensor_value_info("table", onnx.TensorProto.DOUBLE, [None, 1])
    sums = helper.make_tensor_value_info("sums", onnx.TensorProto.DOUBLE, [None, 1])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(helper.make_graph([node], "trees", [source], [sums]), opset_imports=opsets, ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def chain(thresholds: list[float], *, missing_left: bool) -> Tree:
    """Build a tree that compares one column at every node and grows to the right."""
    count = len(thresholds)
    left = np.array([*range(count + 1, 2 * count + 1), *[-1] * (count + 1)])
    right = np.array([*range(1, count + 1), *[-1] * (count + 1)])
    values = np.arange(2.0 * count + 1)[:, None]
    return Tree(
        np.zeros(len(left), dtype=np.int64),
        np.array([*thresholds, *[0.0] * (count + 1)]),
        left,
        right,
        np.full(len(left), missing_left),
        values,
    )


@pytest.mark.parametrize("missing_left", [False, True])
@pytest.mark.parametrize(
    "thresholds",
    [
        [0.0],
        [-0.0],
        [-1.5, -0.0, 1.5],
        [-np.inf, -1e300, -1.0, -1e-300, 1e-300, 1.0, 1e300, np.inf],
        np.linspace(1, 1 + 1e-12, 300).tolist(),  # all of them near one float32
        np.arange(3.0 * BITS).tolist(),
        np.geomspace(1e-30, 1e30, BITS - 1).tolist(),
    ],
)
def test_each_threshold_is_kept_to_the_bit(thresholds: list[float], *, missing_left: bool) -> None:
    beside = [np.nextafter(value, towards) for value in thresholds for towards in (-np.inf, np.inf)]
    table = np.array([*thresholds, *beside, 0.0, -0.0, np.nan, np.inf, -np.inf])[:, None]
    trees = [chain(thresholds, missing_left=missing_left), chain(thresholds[::-1], missing_left=not missing_left)]
    (walked,), (looked_up,) = both(graph_of(trees), table)
    np.testing.assert_array_equal(looked_up, walked)


def test_parts_are_kept_in_the_same_bytes(fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Any) -> None:
    model = RandomForestClassifier(20, max_depth=5, **SEED)
    graph, _ = convert_pipeline(fit(pima(), model, X, targets["two"]).pipeline, X.shape[1])
    parts, again = quickscorer.split_graph(graph), quickscorer.split_graph(graph)
    assert parts is not None
    assert again is not None
    parts.write(tmp_path / "one.npz")
    again.write(tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    kept = SplitGraph.read(tmp_path / "one.npz")
    assert (kept.before, kept.after) == (parts.before, parts.after)
    values = OnnxGraph(kept.before).run(X.to_numpy(float))[0]
    np.testing.assert_array_equal(kept.forest.sums(values), parts.forest.sums(values))


def test_a_package_uses_quickscorer_for_many_rows_only(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit(pima(), RandomForestClassifier(20, max_depth=5, **SEED), X, targets["two"])
    fitted.compile().write(tmp_path)
    model = CompiledModel.load(tmp_path, fitted.contract, Compilation.read(tmp_path))
    looked_up: list[int] = []
    sums = Forest.sums

    def counted(self: Forest, table: Any) -> Any:
        looked_up.append(len(table))
        return sums(self, table)

    monkeypatch.setattr(Forest, "sums", counted)
    for rows, wanted in ((1, []), (LONG - 1, []), (LONG, [LONG]), (2 * FOREST_ROWS + 2, [FOREST_ROWS, FOREST_ROWS, 2])):
        table = pd.concat([X] * (rows // len(X) + 1))[:rows]
        labels, probabilities = model.predict({str(name): table[name].to_numpy() for name in table})
        np.testing.assert_array_equal(labels, fitted.pipeline.predict(table))
        np.testing.assert_allclose(probabilities, fitted.pipeline.predict_proba(table), rtol=0, atol=1e-15)
        assert looked_up == wanted
        looked_up.clear()


@pytest.mark.parametrize("what", ["leaves", at_night("values"), at_night("thresholds")])
def test_a_wrong_forest_is_caught(
    what: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit(pima(), RandomForestClassifier(20, max_depth=5, **SEED), X, targets["two"])
    assert fitted.compile().parts is not None

    def wrong(graph: bytes) -> SplitGraph | None:
        parts = split_graph(graph)
        assert parts is not None
        arrays = parts.forest.arrays()
        for name in arrays:
            if name.endswith(what):
                arrays[name] = arrays[name] + 1 if what == "thresholds" else np.roll(arrays[name], 1, axis=-2)
        return replace(parts, forest=Forest.of(arrays))

    split_graph = quickscorer.split_graph
    monkeypatch.setattr(quickscorer, "split_graph", wrong)
    compiled = fitted.compile()
    assert (compiled.compilation.reason, compiled.compilation.forest, compiled.parts) == ("", False, None)


def test_a_damaged_forest_is_named(fit: Fit, X: pd.DataFrame, targets: dict[str, Any], tmp_path: Any) -> None:
    fitted = fit(pima(), RandomForestClassifier(20, max_depth=5, **SEED), X, targets["two"])
    fitted.compile().write(tmp_path)
    whole = (tmp_path / "model.npz").read_bytes()
    for damaged in (b"", whole[:-500], whole[:2000] + b"x" + whole[2001:], b"garbage", None):
        (tmp_path / "model.npz").unlink()
        if damaged is not None:
            (tmp_path / "model.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.npz is missing or damaged"):
            CompiledModel.load(tmp_path, fitted.contract, Compilation.read(tmp_path))
        (tmp_path / "model.npz").touch()


def test_one_row_alone_sums_as_in_a_batch(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    model = GradientBoostingRegressor(n_estimators=40, **SEED)
    graph, _ = convert_pipeline(fit([], model, X, targets["numbers"]).pipeline, X.shape[1])
    parts = quickscorer.split_graph(graph, always=True)
    assert parts is not None
    values = OnnxGraph(parts.before).run(X.to_numpy(float))[0]
    together = parts.forest.sums(values)
    np.testing.assert_array_equal(np.concatenate([parts.forest.sums(values[[row]]) for row in range(len(X))]), together)


def test_a_forest_that_is_as_fast_to_walk_is_not_split(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> None:
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(len(X), 200)), columns=[f"c{i}" for i in range(200)])
    stacked = StackingClassifier([(str(depth), DecisionTreeClassifier(max_depth=depth)) for depth in (8, 9)], cv=2)
    for model, table in [
        (LogisticRegression(max_iter=50), X),
        (RandomForestClassifier(2, max_depth=2), X),
        (RandomForestClassifier(20, max_depth=5), wide),
        (make_pipeline(StandardScaler(), stacked), X),
    ]:
        graph, _ = convert_pipeline(fit([], model, table, targets["two"]).pipeline, table.shape[1])
        assert quickscorer.split_graph(graph) is None
