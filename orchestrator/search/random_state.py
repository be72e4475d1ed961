"""NumPy's global random state: an estimator that draws from it depends on every fit before it, in order.

scikit-learn's search, in one process, fits candidate by candidate; sharing fits fold by fold. That makes no difference
unless an estimator draws from the global state. If one does, the search restores the state and repeats all fits in
scikit-learn's order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.svm import SVC, NuSVC


def get_state() -> Any:
    """Return the global state that scikit-learn draws from."""
    return np.random.get_state()  # noqa: NPY002 - scikit-learn draws from it


def has_changed(since: Any) -> bool:
    """Return whether numbers were drawn since that state."""
    now = get_state()
    return bool(now[2:] != since[2:] or not np.array_equal(now[1], since[1]))


def set_state(state: Any) -> None:
    """Restore a former state."""
    np.random.set_state(state)  # noqa: NPY002


@contextlib.contextmanager
def preserve_state(estimator: Any) -> Iterator[None]:
    """Undo the draw of an estimator whose result does not depend on it: libsvm needs a seed for probabilities only."""
    before = get_state() if type(estimator) in (SVC, NuSVC) and estimator.probability in (False, "deprecated") else None
    try:
        yield
    finally:
        if before is not None:
            set_state(before)
