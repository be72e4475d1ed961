"""Lending data to estimators that share it, so that none of them can spoil it for the next."""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np
from scipy import sparse


class Unshareable(Exception):  # noqa: N818 - no error: the way back to plain fitting
    """Equality cannot be promised here: the fits concerned are done plainly."""


def read_only_view(value: Any) -> Any:
    """The same values in the same layout, with nothing that is done to them coming back.

    Arrays are lent read-only: who writes into one raises, and is then fitted plainly. What has copy-on-write is lent
    by it, and the rest is copied.

    Raises:
        Unshareable: nothing is known of such data.
    """
    if value is None:
        return None
    if type(value) in (np.ndarray, np.memmap):
        view = value.view()
        view.flags.writeable = False
        return view
    if sparse.issparse(value):
        return value.copy()
    if is_of("pandas", value, "DataFrame", "Series"):
        return value.copy(deep=int(sys.modules["pandas"].__version__.partition(".")[0]) < 3)
    if is_of("polars", value, "DataFrame", "Series"):
        return value.clone()
    raise Unshareable(f"data of {type(value).__name__}")


def tracked_copy(value: Any) -> Any:
    """The same, for borrowers that ``is_unmodified`` will look after: arrays are copied, in a layout that can be kept.

    A step of preprocessing may write into its input, or copy it first if it must not: the next to look at that input
    would see the difference.

    Raises:
        Unshareable: nothing is known of such data.
    """
    if type(value) not in (np.ndarray, np.memmap):
        return read_only_view(value)
    if not (value.flags.c_contiguous or value.flags.f_contiguous):
        raise Unshareable("a view of parts of an array")
    return value.copy(order="K")


def is_of(library: str, value: Any, *names: str) -> bool:
    """Whether a value is of exactly one of these classes; a library that is not loaded made no value."""
    module = sys.modules.get(library)
    return module is not None and type(value) in [getattr(module, name) for name in names]


def is_unmodified(lent: Any, original: Any) -> bool:
    """Whether a borrower left its loan as it was: plain fitting would have changed the next one's data too."""
    if lent is None or (isinstance(lent, np.ndarray) and not lent.flags.writeable):
        return True
    if isinstance(lent, np.ndarray):
        if lent.dtype.hasobject:  # a copy holds the same objects
            return bool(np.all(np.frompyfunc(operator.is_, 2, 1)(lent, original)))
        return np.array_equal(lent, original, equal_nan=lent.dtype.kind in "fc")
    if sparse.issparse(lent):
        same = lent.shape == original.shape and lent.dtype == original.dtype
        return same and all(
            np.array_equal(getattr(lent, part), getattr(original, part), equal_nan=part == "data")
            for part in ("data", "indices", "indptr")
            if hasattr(original, part)
        )
    return bool(lent.equals(original))
