"""The same pipeline for a table of numbers without names: texts are codes in it, and columns positions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from score.models.onnx import UNKNOWN


def recoded(pipeline: Any) -> tuple[Any, dict[str, int]]:
    """A copy of the fitted pipeline, and the code of each text that its steps know.

    Raises:
        NotImplementedError: a column transformer was fitted on a table without names.
    """
    result = copy.deepcopy(pipeline)
    steps = list(_steps(result))
    known = [value for step in steps for values in _knowledge(step) for value in values]
    codes = {text: code for code, text in enumerate(sorted({value for value in known if isinstance(value, str)}))}
    for step in steps:
        if hasattr(step, "categories_"):
            step.categories_ = [_coded(values, codes) for values in step.categories_]
        if hasattr(step, "statistics_"):
            step.statistics_ = _coded(step.statistics_, codes)
            step.missing_values = float(_coded([step.missing_values], codes)[0])
        if hasattr(step, "transformers_"):
            step.transformers_ = [(name, inner, _positions(step, held)) for name, inner, held in step.transformers_]
    return result, codes


def _steps(estimator: Any) -> Iterator[Any]:
    """The estimator and every fitted one inside of it."""
    yield estimator
    inner = [step for _, step in getattr(estimator, "steps", ())]
    inner += [step for _, step, _ in getattr(estimator, "transformers_", ())]
    inner += [step for _, step in getattr(estimator, "transformer_list", ())]
    for step in inner:
        if not isinstance(step, str):  # "drop" and "passthrough"
            yield from _steps(step)


def _knowledge(step: Any) -> list[Any]:
    missing = [[step.missing_values]] if hasattr(step, "statistics_") else []
    return [*getattr(step, "categories_", ()), getattr(step, "statistics_", ()), *missing]


def _coded(values: Any, codes: dict[str, int]) -> Any:
    """Float64 (n_values,): a text's code, NaN for what is missing, numbers and booleans as they are."""
    held = [codes.get(value, UNKNOWN) if isinstance(value, str) else value for value in values]
    return np.array([np.nan if pd.isna(value) else float(value) for value in held], dtype=np.float64)


def _positions(transformer: Any, held: Any) -> list[int]:
    """The columns of one branch as positions: they may be given as names, positions, a slice or a mask."""
    names = getattr(transformer, "feature_names_in_", None)
    if names is None:
        raise NotImplementedError("no converter for a ColumnTransformer fitted on a table without names")
    positions = pd.Series(range(len(names)), index=names)
    if isinstance(held, str) or (not isinstance(held, slice) and len(held) and isinstance(next(iter(held)), str)):
        return [int(position) for position in positions.loc[[held] if isinstance(held, str) else list(held)]]
    return [int(position) for position in np.atleast_1d(positions.to_numpy()[held])]
