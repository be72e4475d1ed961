"""Settle what a TargetEncoder leaves open: folds that are the same in every fit, and the kind of the target."""

from __future__ import annotations

import inspect
from typing import Any

SEED = 0  # of the folds in which an encoder computes the means for its own training rows


def settle_target_encoders(part: Any, *, regression: bool) -> None:
    """Set the folds and the target's kind of every TargetEncoder in an unfitted pipeline, where they are left open.

    ``part`` may also be a value of a grid.

    Folds that are drawn anew in each fit would make the scores of a search depend on chance, and keep candidates from
    sharing the encoded table. From whole numbers the encoder concludes on classes, which a regression does not have.
    """
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    if isinstance(part, type) or not hasattr(part, "get_params"):
        return
    inside = {id(each): each for each in (part, *part.get_params(deep=True).values())}.values()
    for encoder in [each for each in inside if isinstance(each, TargetEncoder)]:
        if encoder.target_type == "auto" and regression:
            encoder.target_type = "continuous"
        if encoder.shuffle is False:  # its folds depend on no chance
            continue
        seed = inspect.signature(type(encoder)).parameters.get("random_state")
        if seed is not None and seed.default is None:  # before scikit-learn 1.9
            encoder.random_state = SEED if encoder.random_state is None else encoder.random_state
        elif isinstance(encoder.cv, int) and getattr(encoder, "random_state", "deprecated") == "deprecated":
            folds = KFold if encoder.target_type == "continuous" else StratifiedKFold
            encoder.cv = folds(encoder.cv, shuffle=True, random_state=SEED)
