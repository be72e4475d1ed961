"""Custom converters for skl2onnx: encoders of categories, whose texts are codes (see ``category_codes``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestrator.packaging.onnx.graph_builder import GraphBuilder

MOST = 1_000_000  # entries of a lookup table


def one_hot(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    """Convert ``OneHotEncoder``; infrequent categories of a column share its last output."""
    infrequent = getattr(step, "_infrequent_indices", None) if step.min_frequency or step.max_categories else None
    infrequent = infrequent or [None] * len(step.categories_)
    grouped = any(each is not None for each in infrequent)
    if grouped and step.drop_idx_ is not None:
        raise NotImplementedError("no converter for OneHotEncoder with infrequent categories and drop")
    drop = step.drop_idx_ if step.drop_idx_ is not None else [None] * len(step.categories_)
    missing = any(np.isnan(np.asarray(levels, dtype=np.float64)).any() for levels in step.categories_)
    if missing:  # NaN equals nothing, so infinity takes its place: no request holds it
        table = graph.node("Where", graph.node("IsNaN", table), graph.constant(np.array([np.inf])), table)
    levels_of = [np.nan_to_num(np.asarray(levels, dtype=np.float64), nan=np.inf) for levels in step.categories_]
    kept = [
        np.delete(levels, [] if dropped is None else [dropped]) for levels, dropped in zip(levels_of, drop, strict=True)
    ]
    if not grouped:
        return [_equal(graph, table, np.repeat(np.arange(len(kept)), [*map(len, kept)]), np.concatenate(kept))]
    parts = []
    for place, (levels, rare) in enumerate(zip(levels_of, infrequent, strict=True)):
        if rare is None:
            parts.append(_equal(graph, table, np.full(len(levels), place), levels))
            continue
        frequent = np.delete(levels, rare)
        others = step.handle_unknown in ("infrequent_if_exist", "warn")  # unknown values are infrequent, too
        if not len(frequent):
            raise NotImplementedError("no converter for OneHotEncoder with a column of infrequent categories only")
        known = _equal(graph, table, np.full(len(frequent), place), frequent)
        shared = known if others else _equal(graph, table, np.full(len(rare), place), levels[rare])
        any_of = graph.node("ReduceMax", shared, graph.constant(np.array([1], np.int64)), keepdims=1)
        if others:
            any_of = graph.node("Sub", graph.constant(np.array([[1.0]])), any_of)
        parts += [known, any_of]
    return [graph.node("Concat", *parts, axis=1)]


def _equal(graph: GraphBuilder, table: str, places: Any, levels: Any) -> str:
    """Return whether the columns at some places equal these levels, as numbers (n_rows, n_levels)."""
    repeated = graph.node("Gather", table, graph.constant(np.asarray(places, np.int64)), axis=1)
    return graph.cast(graph.node("Equal", repeated, graph.constant(levels[None, :])), np.float64)


def target_means(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    """Convert ``TargetEncoder``: of several classes each column becomes one for each class."""
    classes = len(step.classes_) if step.target_type_ == "multiclass" else 1
    others = np.asarray(step.target_mean_, dtype=np.float64).reshape(classes)
    parts = [
        look_up(
            graph,
            table,
            place,
            levels,
            np.column_stack(step.encodings_[place * classes : (place + 1) * classes]),
            others,
        )
        for place, levels in enumerate(step.categories_)
    ]
    return [graph.node("Concat", *parts, axis=1)]


def ordered_to_numbers(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    """Convert ``score.column_transforms.OrderedToNumbers``."""
    parts = [
        look_up(graph, table, place, levels, np.arange(len(levels), dtype=np.float64)[:, None], np.array([np.nan]))
        for place, levels in enumerate(step.categories_)
    ]
    return [graph.node("Concat", *parts, axis=1)]


def known_codes(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    """Convert ``score.column_transforms.CodesToCategories``: codes stay numbers, and what is none of them is missing."""
    counts = graph.constant(np.array([step.counts_], dtype=np.float64))
    below = graph.node("Less", table, graph.constant(np.array([0.0])))
    inside = graph.node("And", graph.node("Not", below), graph.node("Less", table, counts))
    known = graph.node("And", inside, graph.node("Equal", table, graph.node("Floor", table)))
    return [graph.node("Where", known, table, graph.constant(np.array([np.nan])))]


def ordinal_codes(graph: GraphBuilder, step: Any, table: str) -> list[str]:
    """Convert ``OrdinalEncoder``; infrequent categories of a column share its last code."""
    mappings = (
        getattr(step, "_default_to_infrequent_mappings", None) if step.min_frequency or step.max_categories else None
    )
    parts = []
    for place, levels in enumerate(step.categories_):
        known = np.asarray(levels, dtype=np.float64)
        mapping = mappings[place] if mappings is not None else None
        codes = np.full(len(known), float(step.encoded_missing_value))
        present = ~np.isnan(known)
        codes[present] = np.arange(present.sum()) if mapping is None else mapping  # which has no missing value
        other = np.nan if step.unknown_value is None else float(step.unknown_value)
        parts.append(look_up(graph, table, place, levels, codes[:, None], np.array([other])))
    return [graph.node("Concat", *parts, axis=1)]


def look_up(graph: GraphBuilder, table: str, place: int, levels: Any, values: Any, others: Any) -> str:
    """Return the ``values`` (n_levels, n_columns) of the levels in one column, and ``others`` (n_columns,) elsewhere.

    The codes of texts are small whole numbers, so that a level is the position of a row in one array.
    """
    known = np.asarray(levels, dtype=np.float64)
    missing = np.isnan(known)
    numbers = known[~missing]
    size = int(numbers.max(initial=-1)) + 1
    if (numbers < 0).any() or (numbers != np.floor(numbers)).any() or size > MOST:
        raise NotImplementedError("no converter for an encoder of numbers that are no small whole ones")
    rows = np.tile(np.asarray(others, dtype=np.float64), (size + 2, 1))  # the last two: another level, a missing value
    rows[numbers.astype(np.int64)] = values[~missing]
    if missing.any():
        rows[size + 1] = values[missing][0]
    column = graph.node("Gather", table, graph.constant(np.array([place])), axis=1)
    last = graph.constant(np.array([float(size)]))
    below = graph.node("Less", column, graph.constant(np.array([0.0])))
    inside = graph.node("And", graph.node("Not", below), graph.node("Less", column, last))  # NaN is not
    bounded = graph.node("Where", inside, column, last)
    position = graph.cast(bounded, np.int64)
    whole = graph.node("Equal", graph.cast(position, np.float64), bounded)
    position = graph.node("Where", whole, position, graph.constant(np.array([size])))
    position = graph.node("Where", graph.node("IsNaN", column), graph.constant(np.array([size + 1])), position)
    return graph.node(
        "Gather", graph.constant(rows), graph.node("Reshape", position, graph.constant(np.array([-1]))), axis=0
    )
