"""Compare the compiled model's answers with the pickled pipeline's, row by row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

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
Row = dict[str, Any]
Answers = tuple[Any, Any]  # codes or numbers, and probabilities or None


class EquivalenceError(Exception):
    """The compiled model answers a row differently: the text says which, and how."""


class Comparison:
    """Compares ``models`` with a ``reference``, row by row.

    With a ``threshold`` the labels that it gives are compared, too. ``largest`` is the largest difference of their numbers,
    ``count`` the number of rows compared, and ``reached`` how many of these reach the threshold.
    """

    def __init__(
        self,
        reference: Model,
        models: Sequence[Model],
        report: Callable[[int], None] = lambda _: None,
        threshold: float | None = None,
    ) -> None:
        self._reference, self._models, self._report, self._threshold = reference, models, report, threshold
        self._failures = 0
        self.largest, self.count, self.reached = 0.0, 0, 0

    def add(self, tables: Sequence[Rows]) -> None:
        """Compare some more rows.

        Raises:
            EquivalenceError: a label differs, or a number by more than ``MAX_TOLERANCE``.
        """
        for rows in tables:
            step = max(1, min(SINGLES_STEP, len(rows) // MIN_SINGLES))
            for part in rows.parts():
                for answerable, columns, answers in self._answerable(rows.take(part)):
                    self._compare(answerable, columns, answers, step)
                self._report(self.count)

    def _answerable(self, rows: Rows) -> Iterator[tuple[Rows, Columns, Answers]]:
        """Yield the rows that the reference can answer, in parts, with their columns and its answers.

        Parts that it fails on are halved; after ``MAX_FAILURES`` failures they are left out as a whole.
        """
        columns = rows.columns()
        try:
            answers = self._reference.predict(columns)
        except Exception:  # noqa: BLE001  # foreign code on strange values
            self._failures += 1
            if len(rows) > 1 and self._failures <= MAX_FAILURES:
                for chosen in _halves(self._reference, rows):
                    yield from self._answerable(rows.take(chosen))
        else:
            yield rows, columns, answers

    def _compare(self, rows: Rows, columns: Columns, answers: Answers, step: int) -> None:
        labels, probabilities = answers
        singles = [(number, rows.take([number])) for number in range(0, len(rows), step)]
        for model in self._models:
            self._add(answers, model.predict(columns), rows)
            for number, row in singles:
                one = slice(number, number + 1)
                alone = labels[one], None if probabilities is None else probabilities[one]
                self._add(alone, model.predict(row.columns()), row)
        self.count += len(rows)
        self.reached += 0 if self._threshold is None else int(decide(probabilities, self._threshold).sum())

    def _add(self, expected: Answers, actual: Answers, rows: Rows) -> None:
        self.largest = max(self.largest, _difference(expected, actual, rows))
        if self._threshold is not None:
            codes, decided = (decide(numbers, self._threshold) for _, numbers in (expected, actual))
            _refuse(codes != decided, "label by the threshold", codes, decided, rows)


def _halves(model: Model, rows: Rows) -> Iterator[Any]:
    """Yield two parts of rows that a model fails on: by overflow or missing features if that divides them, else halves.

    Nothing where the features of every row overflow, which then is the reason.
    """
    pipeline = getattr(model, "pipeline", None)
    if isinstance(model, PickledModel) and pipeline is not None and len(pipeline) > 1:
        with suppress(Exception):  # where a step before the model fails, there is nothing to see
            table = pipeline[:-1].transform(model.frame(rows.columns()))
            features = np.asarray(table.toarray() if hasattr(table, "toarray") else table, dtype=np.float64)
            too_large: Any = (np.abs(features) > MAX_FLOAT32).any(axis=1)
            if too_large.all():
                return
            missing: Any = np.isnan(features).any(axis=1)
            for mask in (too_large, missing):
                if 0 < mask.sum() < len(mask):
                    yield from (np.flatnonzero(~mask), np.flatnonzero(mask))
                    return
    yield from (slice(0, len(rows) // 2), slice(len(rows) // 2, len(rows)))


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
        sample = [row for each in rows for row in each.take(slice(None, None, step)).records()]
        alone = [_bits(model, [row]) for row in sample]
        for count in range(2, MAX_ROWS + 1):
            for start in range(0, len(sample), count):
                expected = [b"".join(bits) for bits in zip(*alone[start : start + count], strict=True)]
                if _bits(model, sample[start : start + count]) != expected:
                    return False
    except Exception:  # noqa: BLE001  # foreign code on strange values
        return False
    return bool(sample)


def _bits(model: Model, rows: Sequence[Row]) -> list[bytes]:
    return [b"" if answer is None else answer.tobytes() for answer in model.predict(to_columns(rows))]


def to_columns(rows: Sequence[Row]) -> Columns:
    """Return rows as a model takes them: by column."""
    return {name: [row[name] for row in rows] for name in rows[0]}


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
