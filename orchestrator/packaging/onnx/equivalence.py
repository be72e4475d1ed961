"""Whether a twin gives the pickled pipeline's answers, row by row."""

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

TOLERANCE = 1e-6  # the most that a probability or a number (relative above 1) may differ by
SINGLES, EACH = (
    50,
    200,
)  # so many rows, or one in so many, are compared alone, too: a runtime may go another way for one row
MAX_FAILURES = 50  # of the pickle, on values at the edges
LARGEST = float(np.finfo(np.float32).max)  # that trees take
SOME = 256  # rows that are predicted among others, and
COMPANY = 60_000  # cells that these have, in a wide table
# What gives a row the same bits whatever rows are beside it: it moves numbers, compares them, or rounds each result as
# IEEE 754 demands. Not so Exp, Sigmoid and Softmax, which in ONNX Runtime take several numbers at once and the last few
# of a table another way; and nobody promises it of MatMul. ReduceSum, which adds up the trees of a classifier, goes
# another way for one row than for several, but not for so few trees.
FEW_TREES = 128  # with ONNX Runtime 1.32 it began at 130 trees of 33 classes or more, at 514 of two
ROWWISE = frozenset(
    "Abs Add And ArgMax ArrayFeatureExtractor Cast Concat Div Equal Gather Greater Identity IsInf IsNaN Less Mul"  # noqa: SIM905
    " Neg Not Or ReduceSum Reshape Sub TreeEnsemble Where".split()
)
Row = dict[str, Any]
Answers = tuple[Any, Any]  # codes or numbers, and probabilities or None


class EquivalenceError(Exception):  # a finding, and no error of ours
    """The twin answers a row differently: the text says which, and how."""


class Comparison:
    """Compares ``given`` models with the one that is ``wanted``, row by row.

    ``largest`` is how far their numbers were apart at most, and ``count`` how many rows were compared.
    """

    def __init__(self, wanted: Model, given: Sequence[Model], report: Callable[[int], None] = lambda _: None) -> None:
        self._wanted, self._given, self._report = wanted, given, report
        self._failures = 0
        self.largest, self.count = 0.0, 0

    def add(self, tables: Sequence[Rows]) -> None:
        """Compare some more rows.

        Raises:
            Unequal: a label differs, or a number by more than ``TOLERANCE``.
        """
        for rows in tables:
            step = max(1, min(EACH, len(rows) // SINGLES))
            for part in rows.parts():
                for some, answers in self._answerable(rows.take(part)):
                    self._compare(some, answers, step)
                self._report(self.count)

    def _answerable(self, rows: Rows) -> Iterator[tuple[Rows, Answers]]:
        """The rows in parts and the answers to them, without those that the wanted model fails on: no other need answer.

        After ``MAX_FAILURES`` failures, parts that it fails on are left out as a whole.
        """
        try:
            answers = self._wanted.predict(rows.columns())
        except Exception:  # noqa: BLE001  # foreign code on strange values
            self._failures += 1
            if len(rows) > 1 and self._failures <= MAX_FAILURES:
                for chosen in _halves(self._wanted, rows):
                    yield from self._answerable(rows.take(chosen))
        else:
            yield rows, answers

    def _compare(self, rows: Rows, answers: Answers, step: int) -> None:
        labels, probabilities = answers
        columns = rows.columns()
        singles = [(number, rows.take([number])) for number in range(0, len(rows), step)]
        for model in self._given:
            self.largest = max(self.largest, _difference(answers, model.predict(columns), rows))
            for number, row in singles:
                one = slice(number, number + 1)
                alone = labels[one], None if probabilities is None else probabilities[one]
                self.largest = max(self.largest, _difference(alone, model.predict(row.columns()), row))
        self.count += len(rows)


def _halves(model: Model, rows: Rows) -> Iterator[Any]:
    """Two parts of rows that a model fails on: those with features that overflow or are missing, if that parts them."""
    pipeline = getattr(model, "pipeline", None)
    if isinstance(model, PickledModel) and pipeline is not None and len(pipeline) > 1:
        with suppress(Exception):  # where a step before the model fails, there is nothing to see
            found = pipeline[:-1].transform(model.frame(rows.columns()))
            features = np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float64)
            for odd in (np.abs(features) > LARGEST, np.isnan(features)):
                mask: Any = odd.any(axis=1)
                if 0 < mask.sum() < len(mask):
                    yield from (np.flatnonzero(~mask), np.flatnonzero(mask))
                    return
    yield from (slice(0, len(rows) // 2), slice(len(rows) // 2, len(rows)))


def rowwise(graph: bytes) -> bool:
    """Whether a graph holds nothing that is known to, or might, give a row other bits for the rows beside it."""
    import onnx

    nodes = onnx.load_from_string(graph).graph.node
    kinds = {node.op_type for node in nodes}
    trees = max((kept.i for node in nodes for kept in node.attribute if kept.name == "n_targets"), default=0)
    return kinds <= ROWWISE and ("ReduceSum" not in kinds or 0 < trees <= FEW_TREES)


def same_together(model: Model, rows: Sequence[Rows]) -> bool:
    """Whether some of the rows are predicted alike to the last bit, alone and among others of every count.

    A sample shows no more than that: what it cannot meet by chance is for ``rowwise`` to refuse.
    """
    total, width = sum(map(len, rows)), max((len(each.table) for each in rows), default=1)
    step = max(1, -(-total // max(MAX_ROWS, min(SOME, COMPANY // width))))
    try:
        some = [row for each in rows for row in each.take(slice(None, None, step)).records()]
        alone = [_bits(model, [row]) for row in some]
        for count in range(2, MAX_ROWS + 1):
            for start in range(0, len(some), count):
                wanted = [b"".join(bits) for bits in zip(*alone[start : start + count], strict=True)]
                if _bits(model, some[start : start + count]) != wanted:
                    return False
    except Exception:  # noqa: BLE001  # foreign code on strange values
        return False
    return bool(some)


def _bits(model: Model, rows: Sequence[Row]) -> list[bytes]:
    return [b"" if found is None else found.tobytes() for found in model.predict(columns_of(rows))]


def columns_of(rows: Sequence[Row]) -> Columns:
    """Rows as a model takes them."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _difference(wanted: tuple[Any, Any], given: tuple[Any, Any], rows: Rows) -> float:
    """The largest difference of the numbers; labels of a classifier must be the same."""
    labels, numbers = wanted
    if numbers is None and np.issubdtype(np.asarray(labels).dtype, np.floating):
        labels, numbers, given = None, labels, (None, given[0])
    if labels is not None:
        _refuse(np.asarray(labels) != np.asarray(given[0]), "label", labels, given[0], rows)
    if numbers is None:
        return 0.0
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        gaps = np.abs(given[1] - numbers) / np.maximum(1.0, np.abs(numbers))
    gaps = np.where((given[1] == numbers) | (np.isnan(given[1]) & np.isnan(numbers)), 0.0, gaps)
    each = np.nan_to_num(gaps, nan=np.inf).reshape(len(rows), -1).max(axis=1)
    _refuse(each > TOLERANCE, "probability" if wanted[1] is not None else "number", numbers, given[1], rows)
    return float(each.max())


def _refuse(wrong: Any, what: str, wanted: Any, given: Any, rows: Rows) -> None:
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    told = json.dumps(rows.take([first]).records()[0], default=str)
    found, right = (np.asarray(values[first]).tolist() for values in (given, wanted))
    where = f"{told[:300]}..." if len(told) > 300 else told
    raise EquivalenceError(
        f"{int(wrong.sum())} of {len(rows)} rows differ: {what} {found} instead of {right} for {where}"
    )
