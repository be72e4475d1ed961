"""Tables as the stages hand them to the checks."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from orchestrator.artifacts import Dataset, Search, Split
from orchestrator.checks.table import check_table
from orchestrator.findings import TableFinding, TableFindings
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.named_code import NamedCode
from orchestrator.spec.search import SearchSpec
from orchestrator.stages.train import build_search

TABULAR: dict[str, Any] = {
    "branches": {
        "categorical": {
            "columns": "categorical",
            "steps": {"encode": {"_target_": "sklearn.preprocessing.OneHotEncoder", "handle_unknown": "ignore"}},
        }
    }
}


class Checker:
    """Checks a frame whose target is the column y; keys are those of ``data``."""

    def data(self, **keys: Any) -> DataSpec:
        return DataSpec(**{"path": "t.csv", "format": "csv", "target": "y", "test_size": 0.25, **keys})

    def search(self, preprocess: PreprocessSpec) -> Search:
        spec: dict[str, Any] = {
            "_target_": "sklearn.model_selection.GridSearchCV",
            "cv": 2,
            "scoring": ["r2"],
            "refit": "r2",
        }
        model = ModelSpec(estimator="sklearn.dummy.DummyRegressor")
        return build_search(preprocess, model, SearchSpec(**spec), NamedCode(), self.data())

    def parts(self, table: pd.DataFrame) -> tuple[Dataset, Split]:
        X, y = table.drop(columns="y"), table["y"]
        classes = None if y.dtype.kind == "f" else tuple(sorted(y.unique()))
        if classes:
            y = y.map({label: code for code, label in enumerate(classes)}).astype("int64")
        a, b, c, d = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y if classes else None)
        return Dataset(X, y, classes, ""), Split(a, b, c, d, classes, "")

    def check(self, table: pd.DataFrame, *, encoded: bool = False, **keys: Any) -> TableFindings:
        preprocess = PreprocessSpec(**TABULAR if encoded else {})
        return check_table(*self.parts(table), self.search(preprocess), self.data(**keys), preprocess)

    def find(self, table: pd.DataFrame, **keys: Any) -> list[TableFinding]:
        return list(self.check(table, **keys).findings)

    def codes(self, table: pd.DataFrame, **keys: Any) -> list[tuple[str, ...]]:
        """Return the code and the columns of each finding."""
        return [(finding.code, *finding.columns) for finding in self.find(table, **keys)]


@pytest.fixture(scope="session")
def checker() -> Checker:
    return Checker()
