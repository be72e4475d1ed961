"""Successive halving: recognise searches that drop the worse candidates after each round."""

from __future__ import annotations

from orchestrator.spec.components import locate

ROWS = "n_samples"  # the resource that a halving search increases, unless it is a parameter of the estimator


def is_halving(search: str) -> bool:
    """Return whether the class of this dotted path is a halving search, whose number of fits is not known beforehand."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # makes the two importable
    from sklearn.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV

    located = locate(search, "search._target_")
    return isinstance(located, type) and issubclass(located, (HalvingGridSearchCV, HalvingRandomSearchCV))
