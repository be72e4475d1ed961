"""Rewrite a fitted pipeline for an unnamed float64 table: texts become codes, column names become positions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.packaging.onnx.nested_parts import members_of
from score.models.onnx import UNKNOWN


def encode_categories(pipeline: Any) -> tuple[Any, dict[str, int]]:
    """Return a copy of the fitted pipeline that takes codes for texts, and the code of each text that its steps know.

    Raises:
        NotImplementedError: a column transformer was fitted on a table without names.
    """
    result = copy.deepcopy(pipeline)
    steps = list(iterate_steps(result))
    known = [value for step in steps for values in _fitted_values(step) for value in values]
    codes = {text: code for code, text in enumerate(sorted({value for value in known if isinstance(value, str)}))}
    for step in steps:
        if hasattr(step, "steps"):  # skl2onnx takes no text for a step
            step.steps = [each for each in step.steps if each[1] is not None and each[1] != "passthrough"] or step.steps
        if hasattr(step, "categories_"):
            step.categories_ = [_encode(values, codes) for values in step.categories_]
        if hasattr(step, "statistics_"):
            step.statistics_ = _encode(step.statistics_, codes)
            step.missing_values = float(_encode([step.missing_values], codes)[0])
        if isinstance(getattr(step, "transformers_", None), list):
            step.transformers_ = [
                (name, inner, branch_positions(step, keys)) for name, inner, keys in step.transformers_
            ]
    return result, codes


def iterate_steps(estimator: Any) -> Iterator[Any]:
    """Yield the estimator and every fitted one inside of it."""
    yield estimator
    inner = [step for _, step in getattr(estimator, "steps", ())]
    transformers = getattr(estimator, "transformers_", ())
    inner += [step for _, step, _ in transformers] if isinstance(transformers, list) else []  # skrub's are a mapping
    inner += [step for _, step in getattr(estimator, "transformer_list", ())]
    inner += members_of(estimator)
    inner += [estimator.final_estimator_] if hasattr(estimator, "final_estimator_") else []
    for step in inner:
        if not isinstance(step, str):  # "drop" and "passthrough"
            yield from iterate_steps(step)


def _fitted_values(step: Any) -> list[Any]:
    missing = [[step.missing_values]] if hasattr(step, "statistics_") else []
    return [*getattr(step, "categories_", ()), getattr(step, "statistics_", ()), *missing]


def _encode(values: Any, codes: dict[str, int]) -> Any:
    """Return float64 (n_values,): codes for texts, NaN for missing values, numbers and booleans unchanged."""
    numbers = [codes.get(value, UNKNOWN) if isinstance(value, str) else value for value in values]
    return np.array([np.nan if pd.isna(value) else float(value) for value in numbers], dtype=np.float64)


def branch_positions(transformer: Any, keys: Any) -> list[int]:
    """Return the positions of one branch's columns, given as names, positions, a slice or a mask."""
    names = getattr(transformer, "feature_names_in_", None)
    if names is None:
        raise NotImplementedError("no converter for a ColumnTransformer fitted on a table without names")
    positions = pd.Series(range(len(names)), index=names)
    if isinstance(keys, str) or (not isinstance(keys, slice) and len(keys) and isinstance(next(iter(keys)), str)):
        return [int(position) for position in positions.loc[[keys] if isinstance(keys, str) else list(keys)]]
    return [int(position) for position in np.atleast_1d(positions.to_numpy()[keys])]
