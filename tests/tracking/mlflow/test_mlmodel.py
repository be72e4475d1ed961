"""The MLmodel of a version: one pickle for both flavors, and a parameter for probabilities where there are any."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.artifacts import BESIDE_PACKAGE, Package
from orchestrator.tracking.mlflow.mlmodel import _signature, write_mlmodel
from score.contract import golden


@pytest.fixture
def written(package: Package, tmp_path: Path) -> Path:
    return Path(shutil.copytree(package.path, tmp_path / "model"))


def mlmodel_of(folder: Path) -> dict[str, Any]:
    write_mlmodel(folder, "diabetes_model", "0" * 32, None)
    content: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text())
    return content


def test_both_flavors_share_the_packages_pickle(written: Path, package: Package) -> None:
    content = mlmodel_of(written)
    flavors = content["flavors"]
    assert flavors["python_function"]["loader_module"] == "score.pyfunc"
    assert {key: flavors["sklearn"][key] for key in ("pickled_model", "serialization_format", "code")} == {
        "pickled_model": "model.pkl",
        "serialization_format": "pickle",
        "code": ".",
    }
    assert f"scikit-learn=={flavors['sklearn']['sklearn_version']}" in (written / "requirements.txt").read_text()
    assert content["metadata"] == {"contract": package.fingerprint, "classes": ["no", "yes"]}
    added = {path.name for path in written.iterdir()} - {path.name for path in package.path.iterdir()}
    assert added == {*BESIDE_PACKAGE} - {"report.html"}


def test_only_a_model_with_probabilities_has_their_parameter(written: Path) -> None:
    from mlflow.models import Model

    mlmodel_of(written)
    first, second = Model.load(written).signature.params
    assert (first.name, first.dtype.name, first.default) == ("probabilities", "boolean", False)
    assert (second.name, second.dtype.name, second.default) == ("explain", "boolean", False)
    golden.write(written, [golden.Golden(golden.RECORDS, "{}", 200, {"predictions": [1.5]})])
    mlmodel_of(written)
    assert [param.name for param in Model.load(written).signature.params] == ["explain"]


def test_columns_have_the_types_whose_values_mlflow_hands_over_unchanged() -> None:
    day, late = (
        {"kind": "datetime", "minimum": "1990-01-01", "maximum": last} for last in ("2024-12-31", "9999-12-31")
    )
    columns: dict[str, tuple[dict[str, Any], str]] = {
        "day": (day | {"missing": True}, "datetime"),
        "ends": (late, "Any"),  # beyond nanoseconds
        "at": (day | {"dtype": "datetime64[us, UTC]"}, "Any"),
        "count": ({"kind": "integer"}, "long"),
        "partial": ({"kind": "integer", "missing": True}, "Any"),  # a batch has integers, floats or pandas' Int64
        "whole": ({"kind": "number", "minimum": 1.0, "maximum": 9.0, "missing": True}, "Any"),
        "mass": ({"kind": "number", "minimum": 1.5, "maximum": 9.0, "missing": True}, "double"),
        "level": ({"kind": "category", "categories": [1, 2], "missing": True}, "Any"),
        "city": ({"kind": "category", "categories": ["Oslo"], "missing": True}, "string"),
    }
    plain = {"dtype": "datetime64[us]", "missing": False}
    described = [plain | column | {"name": name} for name, (column, _) in columns.items()]
    inputs = _signature({"columns": described, "classes": None}, probable=False).inputs
    assert {one.name: repr(one.type) for one in inputs} == {name: kind for name, (_, kind) in columns.items()}
    assert all(one.required for one in inputs)
