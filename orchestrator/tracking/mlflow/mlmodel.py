"""Write ``MLmodel``: what makes a package's folder a model of MLflow's ``python_function`` and ``sklearn`` flavors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from score.contract.dates import is_aware

PICKLE = "model.pkl"
PYTHON_TYPES: dict[type, str] = {bool: "boolean", int: "long", float: "double", str: "string"}
CONTRACT_TYPES = {
    "integer": "long",
    "number": "double",
    "boolean": "boolean",
    "string": "string",
    "datetime": "datetime",
}


def write_mlmodel(folder: Path, name: str, run_id: str, model_id: str | None) -> None:
    """Add to a package's files what makes the folder an MLflow model: ``MLmodel`` and its input example."""
    from mlflow import pyfunc
    from mlflow.models import Model

    contract = json.loads((folder / "contract.json").read_text())
    columns = contract["columns"]
    frame = {"columns": [one["name"] for one in columns], "data": [[one.get("example") for one in columns]]}
    (folder / "input_example.json").write_text(json.dumps(frame))
    (folder / "serving_input_example.json").write_text(json.dumps({"dataframe_split": frame}))
    example = {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }
    model = Model(
        artifact_path=name,
        run_id=run_id,
        model_id=model_id,
        signature=_signature(contract, probable=_gives_probabilities(folder)),
        saved_input_example_info=example,
        metadata={"contract": contract["fingerprint"], "classes": contract["classes"]},
    )
    pyfunc.add_to_model(model, loader_module="score.pyfunc", data=".", code=".", conda_env="conda.yaml")
    # The package's one pickle, which predicts codes: metadata["classes"][code] is the label
    trained_with = contract["versions"]["scikit-learn"]
    model.add_flavor(
        "sklearn", pickled_model=PICKLE, sklearn_version=trained_with, serialization_format="pickle", code="."
    )
    model.save(str(folder / "MLmodel"))


def _gives_probabilities(folder: Path) -> bool:
    """Return whether the package's golden replies hold probabilities: not every classifier has them."""
    replies = [request["reply"] for request in json.loads((folder / "golden.json").read_text(encoding="utf-8"))]
    return any(isinstance(reply, dict) and "probabilities" in reply for reply in replies)


def _signature(contract: Mapping[str, Any], *, probable: bool) -> Any:
    """Convert the contract to an MLflow signature, with parameters that ask for explanations and, if any, probabilities.

    MLflow ignores a parameter that is not in the signature: a package that explains nothing refuses its own.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    def type_of(column: Mapping[str, Any]) -> Any:
        kind, missing = column["kind"], column["missing"]
        if kind == "datetime" and (is_aware(column["dtype"]) or not _fits_nanoseconds(column)):
            return AnyType()  # MLflow's datetime has no time zone
        named = _common_type(column["categories"], AnyType()) if kind == "category" else CONTRACT_TYPES[kind]
        # MLflow makes no integers of what pandas and Spark have for those with missing values, and no doubles of integers
        return AnyType() if missing and (named in ("long", "boolean") or _is_whole(column)) else named

    # all required, as by the endpoint: a column that is absent is a mistake, and no column of missing values
    inputs = [ColSpec(type_of(one), one["name"]) for one in contract["columns"]]
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([ColSpec(_common_type(contract["classes"] or [0.0], "string"))]),
        params=ParamSchema([ParamSpec(name, "boolean", False) for name in ["probabilities"] * probable + ["explain"]]),
    )


def _fits_nanoseconds(column: Mapping[str, Any]) -> bool:
    """Return whether training's dates are in the years of MLflow's datetime, which is ``datetime64[ns]``."""
    return "1678" <= (column.get("minimum") or "1678") <= (column.get("maximum") or "1678") < "2262"


def _is_whole(column: Mapping[str, Any]) -> bool:
    """Return whether a column of numbers may hold integers in other tables: its least and its largest number are some."""
    return column["kind"] == "number" and all(
        float(column.get(end) or 0).is_integer() for end in ("minimum", "maximum")
    )


def _common_type(values: Sequence[Any], otherwise: Any) -> Any:
    """Return MLflow's type of values that all have one type, else ``otherwise``."""
    kinds = {type(value) for value in values}
    return PYTHON_TYPES.get(kinds.pop(), otherwise) if len(kinds) == 1 else otherwise
