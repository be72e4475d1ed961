"""Read-only views and checked copies, so that one estimator cannot mutate what the next one sees."""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np
from scipy import sparse


class NotShareableError(Exception):
    """Equal results cannot be guaranteed with shared work; the candidates concerned are fitted individually."""


def read_only_view(value: Any) -> Any:
    """Return the same values in the same layout, protected from changes.

    Arrays become read-only: an estimator that writes into one raises, and is then fitted individually. Data frames
    with copy-on-write are copied by it, everything else is copied.

    Raises:
        NotShareableError: the type of the data is unknown.
    """
    if value is None:
        return None
    if type(value) in (np.ndarray, np.memmap):
        view = value.view()
        view.flags.writeable = False
        return view
    if sparse.issparse(value):
        return value.copy()
    if is_exactly("pandas", value, "DataFrame", "Series"):
        return value.copy(deep=int(sys.modules["pandas"].__version__.partition(".")[0]) < 3)
    if is_exactly("polars", value, "DataFrame", "Series"):
        return value.clone()
    raise NotShareableError(f"data of {type(value).__name__}")


def tracked_copy(value: Any) -> Any:
    """Return a copy that may be written to, in the same layout, for :func:`is_unmodified` to check afterwards.

    A preprocessing step may write into its input, or copy it first if it is read-only; the two can differ in what the
    next reader of that input sees.

    Raises:
        NotShareableError: the type or the layout of the data is unknown.
    """
    if type(value) not in (np.ndarray, np.memmap):
        return read_only_view(value)
    if not (value.flags.c_contiguous or value.flags.f_contiguous):
        raise NotShareableError("a view of parts of an array")
    return value.copy(order="K")


def is_exactly(library: str, value: Any, *names: str) -> bool:
    """Return whether a value is of exactly one of these classes, without importing their library."""
    module = sys.modules.get(library)
    return module is not None and type(value) in [getattr(module, name) for name in names]


def is_unmodified(copy: Any, original: Any) -> bool:
    """Return whether a copy still equals its original: a plain fit would have changed the next candidate's data too."""
    if copy is None or (isinstance(copy, np.ndarray) and not copy.flags.writeable):
        return True
    if isinstance(copy, np.ndarray):
        if copy.dtype.hasobject:  # the copy holds the same objects
            return bool(np.all(np.frompyfunc(operator.is_, 2, 1)(copy, original)))
        return np.array_equal(copy, original, equal_nan=copy.dtype.kind in "fc")
    if sparse.issparse(copy):
        same = copy.shape == original.shape and copy.dtype == original.dtype
        return same and all(
            np.array_equal(getattr(copy, part), getattr(original, part), equal_nan=part == "data")
            for part in ("data", "indices", "indptr")
            if hasattr(original, part)
        )
    return bool(copy.equals(original))
