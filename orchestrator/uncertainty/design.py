"""HoldOutDesign: how the rows that were held out depend on each other, which decides how they are drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HoldOutDesign:
    """How rows were held out: with the ``stratified`` shares of the classes, or as whole ``groups`` (n_test,) of codes.

    ``ordered``: they are the newest ones, so neighbours may depend on each other.
    """

    stratified: bool = False
    groups: Any = None
    ordered: bool = False
