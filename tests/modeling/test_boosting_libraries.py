"""Which boosting library a class is of."""

from __future__ import annotations

import pytest

from orchestrator.modeling.boosting_libraries import library_of

xgboost = pytest.importorskip("xgboost")


class Mine(xgboost.XGBClassifier):  # type: ignore[name-defined,misc]  # untyped base
    """A class of the user's."""


def test_a_derived_class_is_of_its_library() -> None:
    assert library_of(xgboost.XGBClassifier) == library_of(Mine) == "xgboost"


def test_other_classes_are_of_none() -> None:
    assert library_of(dict) == ""
