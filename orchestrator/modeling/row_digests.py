"""Identify rows and folds: a hold-out set is the same if its rows are, folds only in the same order, too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.modeling.splitting.folds import Folds

LENGTH = 32  # hexadecimal digits of a digest


@dataclass(frozen=True)
class FoldScores:
    """The scores of one candidate on each fold, by metric; folds with one ``digest`` hold the same rows.

    ``test_share`` is the ratio of a fold's test rows to its training rows, ``rows`` the number of rows in all.
    """

    digest: str
    test_share: float
    rows: int
    scores: Mapping[str, Sequence[float]]


def rows_digest(X: pd.DataFrame, y: pd.Series) -> str:
    """Return the digest of rows (n_rows, n_columns) with their target (n_rows,), in whatever order they are."""
    import numpy as np

    return hashlib.sha256(np.sort(_row_hashes(X, y)).tobytes()).hexdigest()[:LENGTH]


def places_digest(table: str, y: pd.Series) -> str:
    """Return the digest of the rows at these places, the index of ``y``, of a table with this digest, whatever their columns."""
    import numpy as np
    from pandas.util import hash_pandas_object

    places = np.sort(hash_pandas_object(y.index).to_numpy())
    return hashlib.sha256(table.encode() + b"|" + places.tobytes()).hexdigest()[:LENGTH]


def folds_digest(X: pd.DataFrame, y: pd.Series, folds: Folds) -> str:
    """Return the digest of folds, which are positions among these rows."""
    import numpy as np

    sha = hashlib.sha256(_row_hashes(X, y).tobytes())
    for part in folds:
        for positions in part:
            sha.update(np.asarray(positions, dtype=np.int64).tobytes() + b"|")
    return sha.hexdigest()[:LENGTH]


def score_folds(estimator: Any, X: pd.DataFrame, y: pd.Series, names: Mapping[str, str]) -> FoldScores | None:
    """Return the best candidate's scores on the folds of a fitted search; None where folds are not the same for all.

    ``names`` are those in the search's results by metric.
    """
    from sklearn.base import is_classifier
    from sklearn.model_selection import check_cv

    results, best = estimator.cv_results_, int(estimator.best_index_)
    if "iter" in results:  # a halving search scores on a part of the rows
        return None
    try:
        folds = list(check_cv(estimator.cv, y, classifier=is_classifier(estimator)).split(X, y))
    except (TypeError, ValueError):  # a splitter that needs more than that, such as groups
        return None
    scores = {
        metric: tuple(float(results[f"split{place}_test_{name}"][best]) for place in range(len(folds)))
        for metric, name in names.items()
        if f"split{len(folds) - 1}_test_{name}" in results
    }
    share = sum(len(test) for _, test in folds) / sum(len(train) for train, _ in folds)
    return FoldScores(folds_digest(X, y, folds), share, len(y), scores)


def _row_hashes(X: pd.DataFrame, y: pd.Series) -> Any:
    """Return one number (n_rows,) a row."""
    import numpy as np
    from pandas.util import hash_pandas_object

    of_target = hash_pandas_object(y, index=False).to_numpy()
    try:
        of_features = hash_pandas_object(X, index=False).to_numpy()
    except TypeError:  # cells that hold lists or mappings
        of_features = hash_pandas_object(X.astype(str), index=False).to_numpy()
    return of_features * np.uint64(31) + of_target
