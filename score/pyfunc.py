"""The loader of ``mlflow.pyfunc``: takes a package's folder, returns an object with ``predict``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from score.predict import explaining
from score.predict.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd


class PackageModel:
    """A loaded package that predicts frames, with the checks and the answers of requests."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> Any:
        """Predict a label for each row (n_rows,), or a number in a regression.

        With ``params={"probabilities": True}`` return a frame (n_rows, n_classes) of probabilities, with the labels as
        its columns; the signature has this parameter where the model gives them. With ``params={"explain": True}``
        return a frame of what each column adds, as batch scoring writes it: ``explain_base``, and ``explain_<column>``
        for each column. Of both, the one beside the other.

        Raises:
            BadRequest: the frame does not keep the contract, or the package explains no answers.
        """
        import numpy as np

        wanted = params or {}
        if wanted.get("explain"):
            explaining.check_explains(self._predictor)
        named = frame.reindex(columns=[column.name for column in self._predictor.contract.columns])
        records = named.astype(object).where(named.notna(), None).to_dict("records")
        rows = [{name: _plain(value) for name, value in record.items()} for record in records]
        request = self._predictor.parse({"data": rows})
        payload = self._predictor.respond(request, self._predictor.predict(request.columns)).payload
        if not (wanted.get("probabilities") or wanted.get("explain")):
            return np.asarray(payload["predictions"])
        import pandas as pd

        parts = []
        if wanted.get("probabilities"):
            parts.append(pd.DataFrame(payload["probabilities"], columns=payload["classes"]))
        if wanted.get("explain"):
            values = explaining.table_values(self._predictor, request.columns, payload["predictions"])
            names = explaining.table_columns(self._predictor)  # of which two are equal where a column is called "base"
            parts.append(pd.DataFrame(np.column_stack(values), columns=names))
        return pd.concat(parts, axis=1)


def _plain(value: Any) -> Any:
    """Return a cell as a request could hold it: a decimal, as Arrow and Spark have them, is a number."""
    return float(value) if isinstance(value, Decimal) else value


def _load_pyfunc(data_path: str) -> PackageModel:
    """Load the package in a folder; the name is MLflow's."""
    return PackageModel(Predictor.load(Path(data_path)))
