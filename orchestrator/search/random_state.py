"""NumPy's global random state: whoever draws from it depends on all that was fitted before, in order.

scikit-learn's search, in one process, fits candidate by candidate; sharing fits fold by fold. That is no difference for
who draws nothing. Where somebody does, the search starts again from the same state, fit by fit in scikit-learn's order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.svm import SVC, NuSVC


def state() -> Any:
    """As it is now."""
    return np.random.get_state()  # noqa: NPY002 - the one that scikit-learn draws from


def has_moved(since: Any) -> bool:
    """Whether anybody has drawn."""
    now = state()
    return bool(now[2:] != since[2:] or not np.array_equal(now[1], since[1]))


def restore(former: Any) -> None:
    """As if nobody had."""
    np.random.set_state(former)  # noqa: NPY002


@contextlib.contextmanager
def unmoved_by(estimator: Any) -> Iterator[None]:
    """Undo the draw of an estimator that makes nothing of it: libsvm needs its seed for probabilities only."""
    before = state() if type(estimator) in (SVC, NuSVC) and estimator.probability in (False, "deprecated") else None
    try:
        yield
    finally:
        if before is not None:
            restore(before)
