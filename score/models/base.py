"""What predicts: the boundary between a request's checked columns and a model, and the pickled pipeline behind it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from score.contract.columns import Columns

if TYPE_CHECKING:
    import pandas as pd

    from score.payload.reader import Reader

FILE = "model.pkl"


class Model(Protocol):
    """Predicts the columns that ``Reader.columns`` gives, at least one row of them; threads may share it."""

    @property
    def classes(self) -> Sequence[int] | None:
        """The code that each column of the probabilities stands for; None for a model without probabilities."""

    @property
    def together(self) -> bool:
        """Whether a row is predicted alike to the last bit, whatever other rows are predicted with it."""

    def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """Codes or numbers (n_rows,), and probabilities (n_rows, n_classes) or None.

        Without ``labels`` a model that has probabilities may give None for the codes.
        """


class PickledModel:
    """The pipeline as it was trained: slow for one row, and the answer that every other model is measured by."""

    together = False  # which nobody has proven

    def __init__(self, pipeline: Any, reader: Reader) -> None:
        self.pipeline = pipeline
        self._reader = reader
        probable = hasattr(pipeline, "predict_proba")
        self.classes = [int(code) for code in pipeline.classes_] if probable else None

    @classmethod
    def load(cls, folder: Path, reader: Reader) -> PickledModel:
        """Unpickle a package's pipeline.

        Raises:
            ImportError, ValueError or whatever unpickling raises; a pipeline of another scikit-learn is a warning
            raised.
        """
        import joblib
        from sklearn.exceptions import InconsistentVersionWarning

        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)  # a model.pkl that is not this contract's
            return cls(joblib.load(folder / FILE), reader)

    def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """See ``Model``."""
        frame = self.frame(columns)
        probabilities = None if self.classes is None else self.pipeline.predict_proba(frame)
        if not labels and probabilities is not None:
            return None, probabilities
        return predicted(self.pipeline, frame), probabilities

    def frame(self, columns: Columns) -> pd.DataFrame:
        """The rows (n_rows, n_columns) as the pipeline takes them."""
        return self._reader.frame(columns)


def predicted(pipeline: Any, frame: pd.DataFrame) -> Any:
    """One label or number for each row (n_rows,), also where the estimator gives a column of them (n_rows, 1)."""
    found = pipeline.predict(frame)
    return found[:, 0] if getattr(found, "shape", ())[1:] == (1,) else found
