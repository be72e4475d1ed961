"""Fit the pipeline that ships: the search's own, or once more on all rows (``search.fit_on=all``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PackageError
from orchestrator.events import Progress
from orchestrator.spec.messages import one_line

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.artifacts import Split, Trained


@dataclass(frozen=True)
class Shipped:
    """A pipeline, the rows that it was ``fitted`` on (n_rows, n_columns), and the ``others`` of the table."""

    pipeline: Any
    fitted: pd.DataFrame
    others: pd.DataFrame

    @property
    def tables(self) -> list[pd.DataFrame]:
        """All rows, without empty tables."""
        return [table for table in (self.fitted, self.others) if len(table)]


def fit_again(trained: Trained, split: Split, progress: Progress) -> Shipped:
    """Return an unfitted copy of the best pipeline, fitted on the training rows and then the hold-out rows.

    Parameters and seeds are the same, and the last step gets the rows' weights if it takes some. Boosting that stopped early
    gets as many trees as it had then, and no rows are set aside.

    Raises:
        PackageError: the estimator refuses the rows.
    """
    import pandas as pd

    from orchestrator.modeling import calibration
    from orchestrator.modeling.early_stopping import set_trees

    X, y = pd.concat([split.X_train, split.X_test]), pd.concat([split.y_train, split.y_test])
    progress.note(f"fitting again on all {len(y):,} rows")
    try:
        unfitted = calibration.wrap(_with_columns_of(trained.pipeline), trained.unfitted)
        if trained.trees is not None:
            set_trees(unfitted[-1], trained.pipeline[-1], trained.trees)
        fitted = unfitted.fit(X, y, **(split.weights.fit_params(all_rows=True) if split.weights else {}))
    except Exception as error:  # whatever an estimator raises
        raise PackageError(
            f"search.fit_on: the fit on all {len(y):,} rows failed with {type(error).__name__}: {one_line(error)}; "
            "search.fit_on=training ships the fit on the training rows"
        ) from error
    calibration.unwrap(fitted)
    return Shipped(fitted, X, split.X_test.iloc[:0])


def _with_columns_of(pipeline: Any) -> Any:
    """Return an unfitted copy whose branches take the columns of the fitted ones: more rows may change a column's kind."""
    from sklearn.base import clone
    from sklearn.compose import ColumnTransformer

    copy = clone(pipeline)
    for (_, new), (_, old) in zip(copy.steps, pipeline.steps, strict=True):
        if isinstance(old, ColumnTransformer):
            chosen = dict(zip((name for name, *_ in old.transformers), old._columns, strict=True))  # noqa: SLF001 - each branch's, also an empty one's
            new.transformers = [(name, each, chosen[name]) for name, each, _ in new.transformers]
    return copy
