"""The boosting libraries whose models are stopped early, given categories, and compiled."""

from __future__ import annotations

LIBRARIES = ("catboost", "lightgbm", "xgboost")


def library_of(kind: type) -> str:
    """Return which of the libraries a class is of, or is derived from; "" if it is of none."""
    modules = (each.__module__.partition(".")[0] for each in kind.__mro__)
    return next((module for module in modules if module in LIBRARIES), "")
