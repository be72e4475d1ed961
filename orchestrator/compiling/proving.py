"""Whether a twin gives the pickled pipeline's answers, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from score.contract import Contract
from score.models import Columns, Model
from score.together import MOST
from score.values import rule_for

TOLERANCE = 1e-6  # the most that a probability or a number (relative above 1) may differ by
CHUNK = 10_000  # rows compared at a time; of these
SINGLES = 50  # are compared alone, too: a runtime may go another way for one row
SOME = 256  # rows that are predicted among others
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


class Unequal(Exception):  # noqa: N818  # a finding, and no error of ours
    """The twin answers a row differently: the text says which, and how."""


def accepted(frame: pd.DataFrame, contract: Contract) -> list[Row]:
    """The rows of a table that requests may hold, as checked values; a category that training never saw is none."""
    columns: dict[str, list[Any]] = {}
    fits = np.ones(len(frame), dtype=bool)
    for column in contract.columns:
        values = frame[column.name]
        held = [None if gap else value for value, gap in zip(values.tolist(), values.isna(), strict=True)]
        rule = rule_for(column)
        if not rule.plain(held):
            for row, value in enumerate(held):
                try:
                    held[row] = rule.convert(value)
                except ValueError:
                    fits[row] = False
        columns[column.name] = held
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row, good in zip(rows, fits, strict=True) if good]


def largest_difference(wanted: Model, given: Sequence[Model], rows: Sequence[Row]) -> float:
    """How far the numbers of the ``given`` models are from those that are ``wanted``, at most.

    Raises:
        Unequal: a label differs, or a number by more than ``TOLERANCE``.
    """
    largest = 0.0
    for start in range(0, len(rows), CHUNK):
        for part in _answerable(wanted, rows[start : start + CHUNK]):
            largest = max(largest, _compared(wanted, given, part))
    return largest


def rowwise(graph: bytes) -> bool:
    """Whether a graph holds nothing that is known to, or might, give a row other bits for the rows beside it."""
    import onnx

    nodes = onnx.load_from_string(graph).graph.node
    kinds = {node.op_type for node in nodes}
    trees = max((kept.i for node in nodes for kept in node.attribute if kept.name == "n_targets"), default=0)
    return kinds <= ROWWISE and ("ReduceSum" not in kinds or 0 < trees <= FEW_TREES)


def same_together(model: Model, rows: Sequence[Row]) -> bool:
    """Whether some of the rows are predicted alike to the last bit, alone and among others of every count.

    A sample shows no more than that: what it cannot meet by chance is for ``rowwise`` to refuse.
    """
    some = rows[:: max(1, -(-len(rows) // SOME))]
    try:
        alone = [_bits(model, [row]) for row in some]
        for count in range(2, MOST + 1):
            for start in range(0, len(some), count):
                wanted = [b"".join(bits) for bits in zip(*alone[start : start + count], strict=True)]
                if _bits(model, some[start : start + count]) != wanted:
                    return False
    except Exception:  # noqa: BLE001  # foreign code on strange values
        return False
    return bool(some)


def _bits(model: Model, rows: Sequence[Row]) -> list[bytes]:
    return [b"" if found is None else found.tobytes() for found in model.predict(columns_of(rows))]


def _answerable(model: Model, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in parts, without those that the model itself fails on: its twin need not."""
    try:
        model.predict(columns_of(rows))
    except Exception:  # noqa: BLE001  # foreign code on strange values
        if len(rows) > 1:
            yield from _answerable(model, rows[: len(rows) // 2])
            yield from _answerable(model, rows[len(rows) // 2 :])
    else:
        yield rows


def columns_of(rows: Sequence[Row]) -> Columns:
    """Rows as a model takes them."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _compared(wanted: Model, given: Sequence[Model], rows: Sequence[Row]) -> float:
    labels, probabilities = wanted.predict(columns_of(rows))
    largest = 0.0
    for model in given:
        largest = max(largest, _difference((labels, probabilities), model.predict(columns_of(rows)), rows))
        for index in range(0, len(rows), -(-len(rows) // SINGLES)):
            one = slice(index, index + 1)
            alone = labels[one], None if probabilities is None else probabilities[one]
            largest = max(largest, _difference(alone, model.predict(columns_of(rows[one])), rows[one]))
    return largest


def _difference(wanted: tuple[Any, Any], given: tuple[Any, Any], rows: Sequence[Row]) -> float:
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


def _refuse(wrong: Any, what: str, wanted: Any, given: Any, rows: Sequence[Row]) -> None:
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    told = json.dumps(rows[first], default=str)
    found, right = (np.asarray(values[first]).tolist() for values in (given, wanted))
    where = f"{told[:300]}..." if len(told) > 300 else told
    raise Unequal(f"{int(wrong.sum())} of {len(rows)} rows differ: {what} {found} instead of {right} for {where}")
