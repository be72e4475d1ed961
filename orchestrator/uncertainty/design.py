"""HoldOutDesign: how the rows that were held out depend on each other, which decides how they are drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RARE = 5  # rows of a class, below which a free resample may have none of it


@dataclass(frozen=True)
class HoldOutDesign:
    """How rows were held out: with the ``stratified`` shares of the classes, or as whole ``groups`` (n_test,) of codes.

    ``ordered``: they are the newest ones, so neighbours may depend on each other.
    """

    stratified: bool = False
    groups: Any = None
    ordered: bool = False

    def strata(self, codes: Any) -> Any:
        """Return the classes ``codes`` (n_test,) that rows are drawn within; None: they are drawn freely, or by groups.

        A class with very few rows is drawn within itself in any case: else it would be missing in many resamples.
        """
        if self.groups is not None or not (self.stratified or is_rare(codes)):
            return None
        return codes


def is_rare(codes: Any) -> bool:
    """Return whether one of the classes ``codes`` (n,) has very few rows."""
    import numpy as np

    return bool(np.unique(codes, return_counts=True)[1].min() < RARE)
