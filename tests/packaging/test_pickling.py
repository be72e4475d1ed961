"""What a pickle needs: its globals, local code, pinned distributions."""

from __future__ import annotations

import collections
import importlib.metadata
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from orchestrator.errors import PackageError
from orchestrator.packaging.pickling import dump, imported_modules, pin_versions, round_trip
from score.transforms import ToFloat

ROOT = Path(__file__).parents[2]


class Unloadable:
    """Pickles, but does not load."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("no\nnumber",))


def test_every_global_is_found_and_nothing_else() -> None:
    copy, names = round_trip(make_pipeline(ToFloat(), LogisticRegression()))
    assert names == {
        "score.transforms.ToFloat",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.pipeline.Pipeline",
    }
    assert isinstance(copy[0], ToFloat)
    assert round_trip([1, "x", None, {"a": (1.5,)}])[1] == set()
    assert round_trip(collections.OrderedDict(a=np.float64))[1] == {"collections.OrderedDict", "numpy.float64"}


def dumped(value: Any, folder: Path) -> bytes:
    dump(value, folder / "model.pkl")
    return (folder / "model.pkl").read_bytes()


def with_other_strings(estimator: Any) -> Any:
    """Return the estimator with attribute names that equal the interned strings, but are other objects."""
    estimator.__dict__ = {"".join(list(name)): value for name, value in vars(estimator).items()}
    return estimator


def test_a_copy_is_dumped_to_the_same_bytes_whatever_ran_before(tmp_path: Path) -> None:
    X, y = np.arange(20.0).reshape(-1, 1), np.arange(20) % 2
    forest = RandomForestClassifier(2, random_state=0).fit(X, y)
    first = dumped(round_trip(forest)[0], tmp_path)
    assert dumped(round_trip(round_trip(forest)[0])[0], tmp_path) == first
    for tree in forest.estimators_[1:]:
        with_other_strings(tree)
    assert dumped(round_trip(with_other_strings(forest))[0], tmp_path) == first
    np.testing.assert_array_equal(joblib.load(tmp_path / "model.pkl").predict_proba(X), forest.predict_proba(X))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            lambda: 1,
            r"cannot be pickled: .*lambda.*; use functions and classes at the top level of a module .*, no lambdas",
        ),
        (Unloadable(), r"cannot be pickled: invalid literal for int\(\) with base 10: 'no\\nnumber'; use"),
        (iter(lambda: 1, 2), r"cannot be pickled: .*; use"),
    ],
)
def test_what_does_not_pickle_or_load_is_an_error_of_one_line(value: Any, message: str) -> None:
    with pytest.raises(PackageError, match=message) as caught:
        round_trip(value)
    assert "\n" not in str(caught.value)


def test_pins_name_distributions_and_not_modules() -> None:
    version = importlib.metadata.version
    assert pin_versions({"sklearn", "json", "yaml"}) == {
        "PyYAML": version("PyYAML"),
        "scikit-learn": version("scikit-learn"),
    }
    assert pin_versions({"os", "nowhere"}) == {}


def test_imports_inside_functions_of_shipped_code_are_found() -> None:
    modules = imported_modules(ROOT / "score")
    assert {"joblib", "numpy", "pandas", "sklearn", "starlette", "uvicorn"} <= modules
    assert not {"score", "orchestrator", "mlflow", "azureml", "__future__", ""} & modules
