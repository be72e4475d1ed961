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
    """Convert the contract to an MLflow signature; a model with probabilities has a parameter to ask for them."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    def type_of(column: Mapping[str, Any]) -> Any:
        if column["kind"] == "category":
            return _common_type(column["categories"], AnyType())
        if column["kind"] == "datetime" and is_aware(column["dtype"]):
            return AnyType()  # MLflow's datetime has no time zone
        if column["missing"]:  # MLflow has no missing values in integer and boolean columns
            return {"integer": "double", "boolean": AnyType()}.get(column["kind"], CONTRACT_TYPES[column["kind"]])
        return CONTRACT_TYPES[column["kind"]]

    inputs = [ColSpec(type_of(one), one["name"], required=not one["missing"]) for one in contract["columns"]]
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([ColSpec(_common_type(contract["classes"] or [0.0], "string"))]),
        params=ParamSchema([ParamSpec("probabilities", "boolean", False)]) if probable else None,
    )


def _common_type(values: Sequence[Any], otherwise: Any) -> Any:
    """Return MLflow's type of values that all have one type, else ``otherwise``."""
    kinds = {type(value) for value in values}
    return PYTHON_TYPES.get(kinds.pop(), otherwise) if len(kinds) == 1 else otherwise
