"""How ``mlflow.pyfunc`` loads a package: the package folder in, an object with ``predict`` out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from score.score import Predictor

if TYPE_CHECKING:
    import pandas as pd


class PackageModel:
    """A loaded package that predicts frames; a row goes the way of a request, and gets its checks and its answer."""

    def __init__(self, scorer: Predictor) -> None:
        self._scorer = scorer

    def predict(self, frame: pd.DataFrame) -> Any:
        """A label for each row (n_rows,), or a number in a regression."""
        import numpy as np

        named = frame.reindex(columns=[column.name for column in self._scorer.contract.columns])
        rows = named.astype(object).where(named.notna(), None).to_dict("records")
        return np.asarray(self._scorer.score({"data": rows}).payload["predictions"])


def _load_pyfunc(data_path: str) -> PackageModel:
    """MLflow's name for a loader, called with the package's folder."""
    return PackageModel(Predictor.load(Path(data_path)))
