"""The columns that ``batch.explain`` adds: what each column of a row adds to its prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.errors import DataError
from score.contract.columns import Columns
from score.predict.predictor import Predictor

BASE = "explain_base"


def explanation_columns(predictor: Predictor) -> list[str]:
    """Return the names: the base, what each column adds to it, and where that is an estimate its standard errors.

    Raises:
        DataError: the package explains no answers.
    """
    record = predictor.explanation
    if record.method == "none":
        raise DataError(f"batch.explain: the package explains no answers ({record.reason}); build it again")
    names = [f"explain_{column.name}" for column in predictor.contract.columns]
    return [BASE, *names, *([f"{name}_error" for name in names] if record.method == "permutation" else [])]


def explanation_values(predictor: Predictor, columns: Columns, predictions: Sequence[Any]) -> list[list[float]]:
    """Return their values (n_rows,): of several classes those of the predicted one, of two of the second one.

    Raises:
        ScoringError: the model failed.
    """
    import numpy as np

    base, values, errors = predictor.explain(columns)
    outputs, classes = predictor.explanation.outputs, predictor.contract.classes
    if outputs is not None and classes is not None and len(outputs) > 1:
        place_of = {classes[code]: place for place, code in enumerate(outputs)}
        chosen = np.array([place_of[label] for label in predictions], dtype=np.intp)
    else:
        chosen = np.zeros(len(predictions), dtype=np.intp)
    rows = np.arange(len(chosen))
    parts = [base[chosen][:, None], values[rows, chosen], *([] if errors is None else [errors[rows, chosen]])]
    found: list[list[float]] = np.hstack(parts).T.tolist()
    return found
