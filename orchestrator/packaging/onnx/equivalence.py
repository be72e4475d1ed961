"""Compare the compiled model's answers with the pickled pipeline's, row by row."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from orchestrator.packaging.onnx.comparison_rows import Rows
from score.contract.columns import Columns
from score.models.base import Model, PickledModel
from score.predict.batching import MAX_ROWS
from score.predict.decision import decide

MAX_TOLERANCE = 1e-6  # the largest difference of a probability or a number (relative above 1)
# at least 50 rows, or one in 200, are also compared alone: a runtime may compute a single row differently
MIN_SINGLES, SINGLES_STEP = 50, 200
MAX_FAILURES = 50  # of the pickle, on edge values
MAX_FLOAT32 = float(np.finfo(np.float32).max)  # the largest number that trees accept
BATCHED_ROWS = 256  # that are predicted in batches of every size
BATCHED_CELLS = 60_000  # of these rows, in a wide table
# Operators that compute each row independently of the other rows: they move numbers, compare them, or round each result
# as IEEE 754 demands. Not so Exp, Sigmoid and Softmax, which ONNX Runtime vectorises, with another path for the last
# few numbers of a table; MatMul guarantees nothing. ReduceSum, which sums the trees of a classifier, computes one row
# differently from several, but not for so few trees.
FEW_TREES = 128  # with ONNX Runtime 1.32 it differed from 130 trees of 33 classes or more, from 514 of two
ROWWISE = frozenset(
    "Abs Add And ArgMax ArrayFeatureExtractor Cast Concat Div Equal Floor Gather Greater Identity IsInf IsNaN Less"  # noqa: SIM905
    " Mul Neg Not Or ReduceMax ReduceSum Reshape Sub TreeEnsemble Where".split()
)
Answers = tuple[Any, Any]  # codes or numbers, and probabilities or None
See = Callable[[Rows, Any], None]  # rows, and what the steps before the model make of them


class EquivalenceError(Exception):
    """The compiled model answers a row differently: the text says which, and how."""


class Comparison:
    """Compares ``models`` with a ``reference``, row by row.

    With a ``threshold`` the labels that it gives are compared, too. Rows have ``width`` features, if that is more than they
    have columns: as many are transformed at once as fit into memory. ``largest`` is the largest difference of their numbers,
    ``count`` the number of rows compared, and ``reached`` how many of these reach the threshold.
    """

    def __init__(
        self,
        reference: PickledModel,
        models: Sequence[Model],
        report: Callable[[int], None] = lambda _: None,
        threshold: float | None = None,
        width: int = 0,
    ) -> None:
        self._reference, self._models, self._report, self._threshold = reference, models, report, threshold
        self._width = width
        self._failures = 0
        self.largest, self.count, self.reached = 0.0, 0, 0

    def add(self, tables: Sequence[Rows], see: See = lambda _rows, _table: None) -> None:
        """Compare some more rows, and show those that the reference answers with their features.

        Raises:
            EquivalenceError: a label differs, or a number by more than ``MAX_TOLERANCE``.
        """
        for rows in tables:
            step = max(1, min(SINGLES_STEP, len(rows) // MIN_SINGLES))
            for part in rows.parts(self._width):
                for answerable, answers in self._answered(rows.take(part), see):
                    self._compare(answerable, answers, step)
                self._report(self.count)

    def _answered(self, rows: Rows, see: See) -> list[tuple[Rows, Answers]]:
        """Return the rows that the reference can answer, in parts, with its answers.

        Parts that it fails on are halved; after ``MAX_FAILURES`` failures they are left out as a whole.
        """
        try:
            model, table = self._reference.transformed(self._reference.frame(rows.columns()))
        except Exception:  # noqa: BLE001  # foreign code on strange values
            halves = self._parts_of_failed(rows, None)
            return [found for half in halves for found in self._answered(rows.take(half), see)]
        return self._answered_by(model, table, rows, see)

    def _answered_by(self, model: Any, table: Any, rows: Rows, see: See) -> list[tuple[Rows, Answers]]:
        """Return as ``_answered`` does, for rows that the steps before the model made a table of."""
        try:
            answers = self._reference.answers(model, table)
        except Exception:  # noqa: BLE001
            return [
                found
                for part in self._parts_of_failed(rows, table)
                for found in self._answered_by(model, _safe_indexing(table, part), rows.take(part), see)
            ]
        see(rows, table)
        return [(rows, answers)]

    def _parts_of_failed(self, rows: Rows, table: Any) -> Sequence[Any]:
        self._failures += 1
        return _divide(len(rows), table) if len(rows) > 1 and self._failures <= MAX_FAILURES else []

    def _compare(self, rows: Rows, answers: Answers, step: int) -> None:
        labels, probabilities = answers
        columns = rows.columns()
        for model in self._models:
            self._add(answers, model.predict(columns), rows)
            for number in range(0, len(rows), step):
                one = slice(number, number + 1)
                alone = labels[one], None if probabilities is None else probabilities[one]
                self._add(alone, model.predict(_sliced(columns, one)), rows.take(one))
        self.count += len(rows)
        self.reached += 0 if self._threshold is None else int(decide(probabilities, self._threshold).sum())

    def _add(self, expected: Answers, actual: Answers, rows: Rows) -> None:
        self.largest = max(self.largest, _difference(expected, actual, rows))
        if self._threshold is not None:
            codes, decided = (decide(numbers, self._threshold) for _, numbers in (expected, actual))
            _refuse(codes != decided, "label by the threshold", codes, decided, rows)


def _divide(count: int, table: Any) -> Sequence[Any]:
    """Return the positions of two parts of rows (n_rows,): divided by overflow or missing features, if they are, else halves.

    Nothing where the features of every row overflow, which then is the reason.
    """
    with suppress(Exception):  # without features, or where they are no numbers, there is nothing to see
        features = np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype=np.float64)
        too_large: Any = (np.abs(features) > MAX_FLOAT32).any(axis=1)
        if too_large.all():
            return []
        missing: Any = np.isnan(features).any(axis=1)
        for mask in (too_large, missing):
            if 0 < mask.sum() < len(mask):
                return np.flatnonzero(~mask), np.flatnonzero(mask)
    return np.arange(count // 2), np.arange(count // 2, count)


def is_rowwise(graph: bytes) -> bool:
    """Return whether every operator of a graph is known to compute a row independently of the rows beside it."""
    import onnx

    nodes = onnx.load_from_string(graph).graph.node
    kinds = {node.op_type for node in nodes}
    trees = max((each.i for node in nodes for each in node.attribute if each.name == "n_targets"), default=0)
    return kinds <= ROWWISE and ("ReduceSum" not in kinds or 0 < trees <= FEW_TREES)


def is_batch_invariant(model: Model, rows: Sequence[Rows]) -> bool:
    """Return whether a sample of the rows is predicted alike to the last bit, alone and in batches of every size.

    A sample proves nothing about other rows, which is why ``is_rowwise`` is asked, too.
    """
    total, width = sum(map(len, rows)), max((len(each.table) for each in rows), default=1)
    step = max(1, -(-total // max(MAX_ROWS, min(BATCHED_ROWS, BATCHED_CELLS // width))))
    try:
        parts = [each.take(slice(None, None, step)).columns() for each in rows]
        sample = {name: [value for part in parts for value in part[name]] for name in parts[0]} if parts else {}
        size = len(next(iter(sample.values()), ()))
        alone = [_bits(model, _sliced(sample, slice(number, number + 1))) for number in range(size)]
        for count in range(2, MAX_ROWS + 1):
            for start in range(0, size, count):
                together = slice(start, start + count)
                expected = [b"".join(bits) for bits in zip(*alone[together], strict=True)]
                if _bits(model, _sliced(sample, together)) != expected:
                    return False
    except Exception:  # noqa: BLE001  # foreign code on strange values
        return False
    return size > 0


def _bits(model: Model, columns: Columns) -> list[bytes]:
    return [b"" if answer is None else answer.tobytes() for answer in model.predict(columns)]


def _sliced(columns: Columns, rows: slice) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def _difference(expected: Answers, actual: Answers, rows: Rows) -> float:
    """Return the largest difference of the numbers; labels of a classifier must be the same."""
    labels, numbers = expected
    if numbers is None and np.issubdtype(np.asarray(labels).dtype, np.floating):
        labels, numbers, actual = None, labels, (None, actual[0])
    if labels is not None:
        _refuse(np.asarray(labels) != np.asarray(actual[0]), "label", labels, actual[0], rows)
    if numbers is None:
        return 0.0
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        errors = np.abs(actual[1] - numbers) / np.maximum(1.0, np.abs(numbers))
    errors = np.where((actual[1] == numbers) | (np.isnan(actual[1]) & np.isnan(numbers)), 0.0, errors)
    by_row = np.nan_to_num(errors, nan=np.inf).reshape(len(rows), -1).max(axis=1)
    _refuse(by_row > MAX_TOLERANCE, "probability" if expected[1] is not None else "number", numbers, actual[1], rows)
    return float(by_row.max())


def _refuse(wrong: Any, what: str, expected: Any, actual: Any, rows: Rows) -> None:
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    text = json.dumps(rows.take([first]).records()[0], default=str)  # dates are seconds here
    got, right = (np.asarray(values[first]).tolist() for values in (actual, expected))
    row = f"{text[:300]}..." if len(text) > 300 else text
    raise EquivalenceError(f"{int(wrong.sum())} of {len(rows)} rows differ: {what} {got} instead of {right} for {row}")
