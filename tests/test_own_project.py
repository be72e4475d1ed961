"""A project in a folder of its own: its transformer and its scorer work where they lie, and changes count."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import Desk, desk

pytestmark = pytest.mark.slow

FEATURES = '''"""What the model sees."""

from helpers.scaling import scaled
from sklearn.base import BaseEstimator, TransformerMixin


class Scaled(TransformerMixin, BaseEstimator):
    """Scale every column by a constant."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return scaled(X, 2)
'''
SCORERS = '''"""What a model is worth."""


def hits(estimator, X, y):
    """Return how many of a thousand are right."""
    assert "Glucose" in X
    return 1000 * float((estimator.predict(X) == y).mean())
'''
RUN = (
    "model=logistic_regression",
    "model/param_grid=none",
    "preprocess=none",
    "+preprocess.steps.own._target_=features.Scaled",
    "search.cv=2",
    "search.scoring=[accuracy,scorers.hits]",
    "search.refit=scorers.hits",
    "tracking=none",
)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        (made.cwd / "helpers").mkdir()
        (made.cwd / "helpers" / "__init__.py").touch()
        (made.cwd / "helpers" / "scaling.py").write_text("def scaled(X, by):\n    return X * by\n")
        (made.cwd / "features.py").write_text(FEATURES)
        (made.cwd / "scorers.py").write_text(SCORERS)
        yield made


def answer(result: Any) -> Any:
    golden = json.loads((Path(result["package"]["path"]) / "golden.json").read_text())
    body = next(one["body"] for one in golden if one["name"] == "records")
    request = urllib.request.Request(result["endpoint"]["url"], body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


@pytest.mark.nightly
def test_a_project_trains_serves_and_trains_again_after_a_change(at: Desk) -> None:
    first = at.run(*RUN).well()
    package = Path(first.result["package"]["path"])
    assert "not compiled: no converter for features.Scaled" in first.out
    assert json.loads((package / "code.json").read_text())["modules"].keys() == {
        "features",
        "helpers",
        "helpers.scaling",
    }
    assert not (package / "scorers.py").exists()
    assert first.result["metrics"]["mean_test_scorers.hits"] > 600
    assert "scorers.hits" in first.out
    assert len(answer(first.result)["predictions"]) == 5

    (at.cwd / "features.py").write_text(FEATURES.replace("scaled(X, 2)", "scaled(X, 3)"))
    again = at.run(*RUN, "gate=none").well()
    assert {"train", "package", "deploy"} <= set(again.ran)
    for stage in ("train", "package"):
        assert re.search(rf"^✓ {stage} .*changed: code features$", again.out, re.MULTILINE), again.out
    assert again.result["package"]["fingerprint"] != first.result["package"]["fingerprint"]
    assert len(answer(again.result)["predictions"]) == 5
