"""The ``Model`` protocol, from checked columns to predictions, and the pickled pipeline as a model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from score.contract.columns import Columns
from score.models import own_code

if TYPE_CHECKING:
    import pandas as pd

    from score.payload.reader import Reader

FILE = "model.pkl"


class Model(Protocol):
    """Predicts at least one row of checked columns; threads may share it."""

    @property
    def classes(self) -> Sequence[int] | None:
        """The class code of each column of the probabilities; None for a model without probabilities."""

    @property
    def batchable(self) -> bool:
        """Whether a row's prediction is the same to the last bit in any batch."""

    def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """Predict class codes or numbers (n_rows,), and probabilities (n_rows, n_classes) or None.

        Without ``labels`` a model that has probabilities may give None for the codes.
        """


class PickledModel:
    """The trained pipeline: slow for one row, and the reference for every compiled model."""

    batchable = False  # it is not known to be

    def __init__(self, pipeline: Any, reader: Reader) -> None:
        self.pipeline = pipeline
        self._reader = reader
        probable = hasattr(pipeline, "predict_proba")
        self.classes = [int(code) for code in pipeline.classes_] if probable else None

    @classmethod
    def load(cls, folder: Path, reader: Reader) -> PickledModel:
        """Unpickle a package's pipeline.

        Raises:
            OwnCodeError: this process has loaded other code under the names of the package's own modules.
            Exception: whatever unpickling raises, and InconsistentVersionWarning for another scikit-learn.
        """
        import joblib
        from sklearn.exceptions import InconsistentVersionWarning

        own_code.import_modules(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)  # a model.pkl that is not this contract's
            return cls(joblib.load(folder / FILE), reader)

    def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """See ``Model``."""
        return self.answers(*self.transformed(self.frame(columns)), labels=labels)

    def answers(self, model: Any, table: Any, *, labels: bool = True) -> tuple[Any, Any]:
        """Predict as ``predict`` does from what ``transformed`` returned, or from some of its rows."""
        probabilities = None if self.classes is None else model.predict_proba(table)
        if not labels and probabilities is not None:
            return None, probabilities
        return predicted(model, table), probabilities

    def transformed(self, frame: pd.DataFrame) -> tuple[Any, Any]:
        """Return the last step and its table, which labels and probabilities share; of other kinds of pipelines, all as is."""
        from sklearn.pipeline import Pipeline

        if type(self.pipeline) is not Pipeline:
            return self.pipeline, frame
        table: Any = frame
        for _, step in self.pipeline.steps[:-1]:
            if step is not None and step != "passthrough":
                table = step.transform(table)
        return self.pipeline.steps[-1][1], table

    def frame(self, columns: Columns) -> pd.DataFrame:
        """Return the rows (n_rows, n_columns) as the pipeline takes them."""
        return self._reader.frame(columns)


def predicted(pipeline: Any, frame: pd.DataFrame) -> Any:
    """Predict one label or number for each row (n_rows,), also where the estimator returns a column (n_rows, 1)."""
    values = pipeline.predict(frame)
    return values[:, 0] if getattr(values, "shape", ())[1:] == (1,) else values
