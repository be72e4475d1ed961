"""Compiled calibration by each method, of one fit as ``model.calibrate`` ships it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tests.nightly import at_night

from .conftest import Fit, pima

FOREST = RandomForestClassifier(5, max_depth=3, random_state=0)
LOGISTIC = LogisticRegression(max_iter=50)
CASES = [
    *(("temperature", model, target) for model in (FOREST, LOGISTIC) for target in ("two", "three")),
    *((method, FOREST, "two") for method in ("isotonic", "sigmoid")),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("method", "model", "target"), [CASES[0], *(at_night(*case) for case in CASES[1:])])
def test_it_gives_the_pickles_answers(
    method: str, model: Any, target: str, fit: Fit, X: pd.DataFrame, targets: dict[str, Any]
) -> None:
    calibrated = CalibratedClassifierCV(model, method=method, cv=3, ensemble=False)
    fitted = fit(pima(), calibrated, X.head(200), targets[target][:200])
    assert fitted.compile().compilation.reason == ""
