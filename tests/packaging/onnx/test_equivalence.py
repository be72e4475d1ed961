"""Comparisons that find a difference: each test here breaks one thing about a compiled model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression

from orchestrator.packaging.onnx import compile as module
from orchestrator.packaging.onnx import edge_cases, threshold_rows, trees
from orchestrator.packaging.onnx.comparison_rows import Rows, accepted_rows
from orchestrator.packaging.onnx.edge_cases import BASES, GROUPS, edge_rows
from orchestrator.packaging.onnx.equivalence import (
    MAX_FAILURES,
    Comparison,
    EquivalenceError,
    is_batch_invariant,
)
from score.contract.schema import Contract
from score.models.base import PickledModel
from score.models.onnx import Compilation
from score.payload.reader import Reader
from tests.nightly import at_night

from .conftest import Fit, Fitted, pima, split_rows, tabular

Spoil = Callable[[onnx.ModelProto], None]


@pytest.fixture
def forest(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> Fitted:
    return fit(pima(), RandomForestClassifier(5, max_depth=5, random_state=0), X, targets["two"])


@pytest.fixture
def boosting(fit: Fit, X: pd.DataFrame, targets: dict[str, Any]) -> Fitted:
    return fit([], HistGradientBoostingClassifier(max_iter=5), X, targets["two"])


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fitted, Spoil], Compilation]:
    """Compile with a graph that is changed before it is compared."""

    def spoiled(fitted: Fitted, spoil: Spoil) -> Compilation:
        graph, codes = module.convert_pipeline(fitted.pipeline, len(fitted.contract.columns))
        model = onnx.load_from_string(graph)
        spoil(model)
        assert model.SerializeToString() != graph
        monkeypatch.setattr(module, "convert_pipeline", lambda *_args: (model.SerializeToString(), codes))
        return fitted.compile().compilation

    return spoiled


def to_columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def attribute(model: onnx.ModelProto, name: str) -> Any:
    (node,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    return next(attribute for attribute in node.attribute if attribute.name == name)


def change_splits(model: onnx.ModelProto, change: Callable[[Any], Any]) -> None:
    splits = attribute(model, "nodes_splits")
    splits.t.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(splits.t))))


def one_ulp_up(model: onnx.ModelProto) -> None:
    def change(splits: Any) -> Any:
        changed = splits.copy()
        changed[1] = np.nextafter(changed[1], splits.dtype.type(np.inf))
        return changed

    change_splits(model, change)


def one_ulp_down(model: onnx.ModelProto) -> None:
    def change(splits: Any) -> Any:
        changed = splits.copy()
        changed[1] = np.nextafter(changed[1], splits.dtype.type(-np.inf))
        return changed

    change_splits(model, change)


def rounded(model: onnx.ModelProto) -> None:
    change_splits(model, lambda splits: splits.astype(np.float32).astype(splits.dtype))


def less_instead_of_at_most(model: onnx.ModelProto) -> None:
    modes = attribute(model, "nodes_modes")
    modes.t.CopyFrom(numpy_helper.from_array(np.ones_like(numpy_helper.to_array(modes.t))))


def input_in_float32(model: onnx.ModelProto) -> None:
    (node,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    casts = [
        onnx.helper.make_node("Cast", [node.input[0]], ["narrow"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Cast", ["narrow"], ["wide"], to=onnx.TensorProto.DOUBLE),
    ]
    node.input[0] = "wide"
    at = list(model.graph.node).index(node)
    for cast in reversed(casts):
        model.graph.node.insert(at, cast)


def missing_to_the_other_side(model: onnx.ModelProto) -> None:
    sides = attribute(model, "nodes_missing_value_tracks_true")
    sides.ints[:] = [1 - side for side in sides.ints]


@pytest.mark.parametrize("spoil", [one_ulp_up, one_ulp_down])
def test_a_threshold_one_ulp_off_is_caught(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any], spoiled: Callable[[Fitted, Spoil], Compilation], spoil: Spoil
) -> None:
    broken = X[["BMI", "DiabetesPedigreeFunction"]]  # between whole numbers an ulp changes no answer
    fitted = fit([], RandomForestClassifier(5, max_depth=5, random_state=0), broken, targets["two"])
    assert " rows differ: " in spoiled(fitted, spoil).reason


@pytest.mark.parametrize("spoil", [one_ulp_up, one_ulp_down, rounded, less_instead_of_at_most, input_in_float32])
def test_float64_that_boosting_needs_is_not_lost(
    boosting: Fitted, spoiled: Callable[[Fitted, Spoil], Compilation], spoil: Spoil
) -> None:
    assert " rows differ: " in spoiled(boosting, spoil).reason


def test_thresholds_of_boosting_behind_a_scaler_are_tried_too(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any], spoiled: Callable[[Fitted, Spoil], Compilation]
) -> None:
    fitted = fit(tabular(), HistGradientBoostingClassifier(max_iter=5), mixed, targets["two"])
    assert " rows differ: " in spoiled(fitted, input_in_float32).reason


def test_a_missing_value_in_the_other_branch_is_caught(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any], spoiled: Callable[[Fitted, Spoil], Compilation]
) -> None:
    fitted = fit([], HistGradientBoostingClassifier(max_iter=5), mixed[["BMI", "Age"]], targets["two"])
    assert " rows differ: " in spoiled(fitted, missing_to_the_other_side).reason


def test_forests_compare_in_float32_as_scikit_learns(forest: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    original = trees.extract_trees

    def in_float64(estimator: Any) -> Any:
        return original(estimator)[0], np.float64

    monkeypatch.setattr("orchestrator.packaging.onnx.tree_converters.extract_trees", in_float64)
    assert " rows differ: " in forest.compile().compilation.reason


def test_both_sides_of_every_threshold_are_tried(forest: Fitted) -> None:
    made, count = split_rows(forest, accepted_rows(forest.tables, forest.contract))
    rows = [row for each in made for row in each.records()]
    inner = {
        (int(feature), float(threshold))
        for tree in forest.pipeline[-1].estimators_
        for feature, threshold in zip(tree.tree_.feature, tree.tree_.threshold, strict=True)
        if feature >= 0
    }
    table = forest.pipeline[:-1].transform(Reader(forest.contract).frame(to_columns(rows)))
    for feature, threshold in inner:
        values = table[:, feature].astype(np.float32)
        assert (values <= threshold).any()
        assert (values > threshold).any()
        distance = values[values > threshold].min() - values[values <= threshold].max()
        whole = forest.contract.columns[feature].kind == "integer"
        assert distance <= (1 if whole else 2 * np.spacing(np.float32(abs(threshold))))
    assert count >= len(inner)


def test_the_rows_near_a_threshold_pass_through_its_node(forest: Fitted) -> None:
    refused = forest.tables[0].assign(BMI=lambda X: X["BMI"].where(X.index % 3 > 0, np.inf))
    rows = accepted_rows([refused, forest.tables[1]], forest.contract)
    assert len(rows) < len(rows.table["BMI"]) - 100  # rows are not numbered as in the table
    made, count = split_rows(forest, rows)
    near = pd.concat([Reader(forest.contract).frame(each.columns()) for each in made])
    table, found = forest.pipeline[:-1].transform(near).astype(np.float32), set()
    for tree in forest.pipeline[-1].estimators_:
        passed = tree.decision_path(table).toarray() != 0
        for node in np.flatnonzero(tree.tree_.feature >= 0):
            feature, threshold = int(tree.tree_.feature[node]), float(tree.tree_.threshold[node])
            values = table[passed[:, node], feature]
            if (values <= threshold).any() and (values > threshold).any():
                found.add((feature, threshold))
                distance = values[values > threshold].min() - values[values <= threshold].max()
                whole = forest.contract.columns[feature].kind == "integer"
                assert distance <= (1 if whole else 2 * np.spacing(np.float32(abs(threshold))))
    assert len(found) == count > 40


def test_a_missing_value_is_tried_at_each_node_that_it_may_reach(
    fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    table = X.assign(BMI=X["BMI"].where(X.index % 50 > 0))  # so few that most nodes see none
    fitted = fit([], HistGradientBoostingClassifier(max_iter=3), table, targets["two"])
    made, _ = split_rows(fitted, accepted_rows(fitted.tables, fitted.contract))
    near = pd.concat([Reader(fitted.contract).frame(each.columns()) for each in made])
    missing, place = near[near["BMI"].isna()].to_numpy(float), list(table).index("BMI")
    wanted = 0
    for tree in trees.extract_trees(fitted.pipeline[-1])[0]:
        reached, pending = tree.rows_by_node(missing), [0]
        while pending:
            node = pending.pop()
            sides = [] if tree.left[node] == -1 else [int(tree.left[node]), int(tree.right[node])]
            if sides and tree.feature[node] == place:
                assert reached[node] != -1
                sides, wanted = [sides[not tree.missing_left[node]]], wanted + 1
            pending += sides
    assert wanted > 5


def test_too_many_thresholds_are_sampled(forest: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threshold_rows, "MAX_SPLITS", 7)
    assert forest.compile().compilation.splits == 7


def test_edge_values_are_accepted_by_the_contract(fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    fitted = fit(tabular(), LogisticRegression(), mixed, targets["two"])
    rows = [
        row for each in edge_rows(fitted.contract, accepted_rows([mixed], fitted.contract)) for row in each.records()
    ]
    columns = to_columns(rows)
    assert Reader(fitted.contract).frame(columns).shape == (len(rows), len(fitted.contract.columns))
    assert {"Oslo", "Rome", "Kyiv", None} == set(columns["city"])
    assert None in columns["BMI"]
    assert None not in columns["Age"]
    assert {0, 1, -1, 2**63 - 1, -(2**63)} <= set(columns["Age"])
    assert {True, False} == set(columns["member"])
    assert max(value for value in columns["BMI"] if value is not None) > 3e38


def test_rows_that_requests_cannot_hold_are_left_out(fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    fitted = fit(tabular(), LogisticRegression(), mixed, targets["two"])
    strange = mixed.head(4).copy()
    strange.loc[1, "city"] = "Paris"
    strange["BMI"] = [1.0, 2.0, np.inf, None]
    assert [row["BMI"] for row in accepted_rows([strange], fitted.contract).records()] == [1.0, None]


class Fixed(PickledModel):
    """A model with fixed answers."""

    def __init__(self, labels: Any, probabilities: Any) -> None:
        self.classes = [0, 1]
        self.labels, self.probabilities = (
            np.asarray(labels),
            None if probabilities is None else np.asarray(probabilities),
        )

    def predict(self, columns: Any, *, labels: bool = True) -> tuple[Any, Any]:  # noqa: ARG002
        return self.answers(self, np.asarray(columns["row"]))

    def frame(self, columns: Any) -> Any:
        return np.asarray(columns["row"])

    def transformed(self, frame: Any) -> tuple[Any, Any]:
        return self, frame

    def answers(self, model: Any, table: Any, *, labels: bool = True) -> tuple[Any, Any]:  # noqa: ARG002
        return self.labels[table], None if self.probabilities is None else self.probabilities[table]


ROWS = Rows.of({"row": [0, 1, 2]})
NAN = float("nan")


def largest_difference(reference: Any, models: list[Any], rows: Rows = ROWS) -> float:
    comparison = Comparison(reference, models)
    comparison.add([rows])
    return comparison.largest


def test_the_largest_difference_is_returned() -> None:
    reference, model = Fixed([0, 1, 1], [[0.5], [0.25], [NAN]]), Fixed([0, 1, 1], [[0.5], [0.25 + 1e-9], [NAN]])
    assert largest_difference(reference, [model]) == pytest.approx(1e-9)
    assert largest_difference(Fixed([1e9, 1.0, 2.0], None), [Fixed([1e9 + 1, 1.0, 2.0], None)]) == 1e-9
    assert largest_difference(Fixed(["a", "b", "c"], None), [Fixed(["a", "b", "c"], None)]) == 0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Fixed([0, 0, 1], [[0.5], [0.25], [1.0]]), r'1 of 3 rows differ: label 0 instead of 1 for \{"row": 1\}'),
        (Fixed([0, 1, 1], [[0.5], [0.25], [1.1]]), r"probability \[1\.1\] instead of \[1\.0\] for .*2"),
        (Fixed([0, 1, 1], [[0.5], [NAN], [1.0]]), r"probability \[nan\] instead of \[0\.25\]"),
    ],
)
def test_a_difference_names_the_row(model: Any, message: str) -> None:
    with pytest.raises(EquivalenceError, match=message):
        largest_difference(Fixed([0, 1, 1], [[0.5], [0.25], [1.0]]), [model])


class Alone(Fixed):
    """Right in a batch, wrong alone."""

    def predict(self, columns: Any, *, labels: bool = True) -> tuple[Any, Any]:
        labels_, _ = super().predict(columns, labels=labels)
        return (labels_, None) if len(labels_) > 1 else (1 - labels_, None)


class BatchDependent(Fixed):
    """Some rows differ in the last bit when they are in a batch."""

    def predict(self, columns: Any, *, labels: bool = True) -> tuple[Any, Any]:
        codes, shares = super().predict(columns, labels=labels)
        if len(codes) == 27:
            shares[3] = np.nextafter(shares[3], 1)
        return codes, shares


def test_rows_that_a_batch_changes_are_not_predicted_together() -> None:
    rows = [Rows.of({"row": list(range(1000))})]
    shares = np.random.default_rng(0).random((1000, 2))
    shares[500] = np.nan
    codes = shares.argmax(axis=1)
    assert is_batch_invariant(Fixed(codes, shares), rows)
    assert is_batch_invariant(Fixed(codes, None), [rows[0].take([0])])
    assert not is_batch_invariant(BatchDependent(codes, shares), rows)
    assert not is_batch_invariant(Fixed(codes, None), [])
    assert not is_batch_invariant(Fixed(codes[:900], None), rows)  # which it fails on


@pytest.mark.parametrize(
    ("model", "target", "together"),
    [
        at_night(RandomForestClassifier(3, random_state=0), "two", True),
        at_night(RandomForestClassifier(3, random_state=0), "three", True),
        at_night(RandomForestClassifier(128, max_depth=2, random_state=0), "three", True),
        (RandomForestClassifier(129, max_depth=2, random_state=0), "three", False),  # see FEW_TREES
        (RandomForestRegressor(129, max_depth=2, random_state=0), "numbers", True),  # without ReduceSum
        at_night(GradientBoostingRegressor(n_estimators=3, random_state=0), "numbers", True),
        at_night(GradientBoostingClassifier(n_estimators=3, random_state=0), "two", False),  # Sigmoid
        (LogisticRegression(max_iter=300), "three", False),  # Softmax
    ],
    ids=str,
)
def test_the_graph_shows_whether_batches_may_change_rows(
    model: Any, target: str, together: bool, fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]
) -> None:
    assert fit(tabular(), model, mixed, targets[target]).compile().compilation.batchable == together


def test_labels_by_a_threshold_are_compared_on_both_sides_of_it() -> None:
    reference = Fixed([0, 0, 0], [[0.7, 0.3], [0.6, 0.4], [0.8, 0.2]])
    near = Fixed([0, 0, 0], [[0.7 + 1e-7, 0.3 - 1e-7], [0.6, 0.4], [0.8, 0.2]])
    assert largest_difference(reference, [near]) == pytest.approx(1e-7)  # the estimator's own labels are the same
    with pytest.raises(EquivalenceError, match="1 of 3 rows differ: label by the threshold 0 instead of 1"):
        Comparison(reference, [near], threshold=0.3).add([ROWS])
    rounded = Fixed([0, 0, 0], [[0.7, 0.3 - 1e-16], [0.6, 0.4], [0.8, 0.2]])
    comparison = Comparison(reference, [rounded], threshold=0.3)
    comparison.add([ROWS])
    assert (comparison.reached, comparison.count) == (2, 3)


def test_rows_are_compared_alone_too() -> None:
    with pytest.raises(EquivalenceError, match="label 1 instead of 0"):
        largest_difference(Fixed([0, 1, 1], None), [Alone([0, 1, 1], None)])


@pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")
def test_rows_that_the_pickle_fails_on_are_not_compared(fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]) -> None:
    fitted = fit(tabular(), RandomForestClassifier(3, random_state=0), mixed, targets["two"])
    pickle = PickledModel(fitted.pipeline, Reader(fitted.contract))
    row = accepted_rows([mixed.dropna().head(1)], fitted.contract)
    place = list(row.table).index("DiabetesPedigreeFunction")
    rows = row.changed([0] * 64, [place] * 64, [0.5, 3e38] * 32)  # the greater one, scaled, is beyond float32
    with pytest.raises(ValueError, match="too large"):
        pickle.predict(rows.take([1]).columns())
    comparison = Comparison(pickle, [fitted.compiled_model()])
    comparison.add([rows])
    assert (comparison.largest, comparison.count) == (0, 32)


def wide_edges(width: int) -> tuple[Contract, list[Rows]]:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, width)), columns=[f"c{i}" for i in range(width)])
    contract = Contract.describe(X, model_name="m", task="regression")
    return contract, edge_rows(contract, accepted_rows([X], contract))


@pytest.mark.parametrize("width", [GROUPS - 1, 2 * GROUPS + 1])
def test_each_column_has_each_edge_value_in_rows_whose_number_does_not_grow_with_the_columns(width: int) -> None:
    contract, made = wide_edges(width)
    common, large, _ = made
    edges = [*edge_cases._edges(contract.columns[-1])]  # of numbers, which differ in the example only
    assert len(common) + len(large) == (BASES if width <= GROUPS else 1) * min(GROUPS, width) * len(edges)
    for name in (contract.columns[0].name, contract.columns[-1].name):
        found = {value for rows in (common, large) for value in np.asarray(rows.columns()[name], dtype=float).tolist()}
        assert {float(value) for value in edges if abs(value) in (0, 1) or abs(value) > 1e30} <= found


def test_edge_rows_are_sampled_where_they_have_too_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_cases, "CELLS", 20_000)
    for width in (GROUPS, 300):
        made = wide_edges(width)[1]
        assert 10_000 < len(made[0]) * width <= 20_000
        assert [rows.at.tolist() for rows in made] == [rows.at.tolist() for rows in wide_edges(width)[1]]


@pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")
@pytest.mark.parametrize("spread", [0.5, 2.0, 100.0])
def test_values_that_overflow_behind_a_scaler_are_separated_at_once(fit: Fit, spread: float) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(0, spread, (64, 40)), columns=[f"c{i}" for i in range(40)])
    fitted = fit(tabular(), RandomForestClassifier(3, random_state=0), X, rng.integers(0, 2, 64))
    pickle, asked = PickledModel(fitted.pipeline, Reader(fitted.contract)), []

    class Counted(PickledModel):
        def answers(self, model: Any, table: Any, *, labels: bool = True) -> tuple[Any, Any]:
            asked.append(len(table))
            return super().answers(model, table, labels=labels)

    rows = edge_rows(fitted.contract, accepted_rows(fitted.tables, fitted.contract))
    comparison = Comparison(Counted(pickle.pipeline, Reader(fitted.contract)), [fitted.compiled_model()])
    comparison.add(rows)
    total = sum(map(len, rows))
    assert len(asked) <= 2 * MAX_FAILURES + 10
    assert sum(asked) <= 8 * total
    assert comparison.count >= 0.6 * total


def test_unseen_levels_are_among_the_edges_and_answered_alike(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any]
) -> None:
    fitted = fit(tabular(), RandomForestClassifier(5, random_state=0), mixed, targets["two"])
    columns = [replace(c, unseen="accept") if c.kind == "category" else c for c in fitted.contract.columns]
    opened = replace(fitted, contract=replace(fitted.contract, columns=columns))
    rows = edge_rows(opened.contract, accepted_rows([mixed], opened.contract))
    assert {"unseen text", ""} <= {row["city"] for each in rows for row in each.records()}
    compilation = opened.compile().compilation
    assert (compilation.reason, compilation.tolerance) == ("", 1e-12)


def test_an_unseen_level_with_another_answer_is_caught(
    fit: Fit, mixed: pd.DataFrame, targets: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit(tabular(), LogisticRegression(max_iter=300), mixed[["Age", "city"]], targets["two"])
    columns = [replace(c, unseen="accept") if c.kind == "category" else c for c in fitted.contract.columns]
    opened = replace(fitted, contract=replace(fitted.contract, columns=columns))
    monkeypatch.setattr("score.models.onnx.UNKNOWN", 0.0)  # the code of the first level
    assert " rows differ: " in opened.compile().compilation.reason
