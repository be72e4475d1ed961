"""The service's Swagger 2.0 document, with the names of Azure ML's inference server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from score.api.openapi import example, explain_parameter
from score.contract import dates
from score.payload.errors import PROBLEM

if TYPE_CHECKING:
    from score.contract.schema import Column, Contract

_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "string", "datetime": "string"}


def document(contract: Contract, *, keyed: bool, explains: bool = True) -> dict[str, Any]:
    """Return the Swagger 2.0 document: health and scoring, explained if the package can."""
    score: dict[str, Any] = {
        "operationId": "RunMLService",
        "description": "Run web service's model and get the prediction output",
        "parameters": [{"name": "serviceInputPayload", "in": "body", "required": True, "schema": _ref("ServiceInput")}],
        "responses": {
            "200": {"description": "An answer for each row.", "schema": _ref("ServiceOutput")},
            "default": {"description": "Why there is no answer.", "schema": _ref("ErrorResponse")},
        },
    }
    if explains:
        parameter = explain_parameter()
        schema = parameter.pop("schema")  # whose fields Swagger 2 has one level up
        score["parameters"].append(parameter | schema)
    health = {
        "operationId": "ServiceHealthCheck",
        "description": "Simple health check endpoint to ensure the service is up at any given point.",
        "produces": ["text/plain"],
        "responses": {"200": {"description": "Healthy", "schema": {"type": "string"}}},
    }
    description: dict[str, Any] = {
        "swagger": "2.0",
        "info": {"title": contract.model_name, "version": contract.fingerprint[:16] or "0"},
        "consumes": ["application/json"],
        "produces": ["application/json", PROBLEM],
        "paths": {"/": {"get": health}, "/score": {"post": score}},
        "definitions": _definitions(contract),
    }
    if keyed:
        score["security"] = [{"Bearer": []}]
        key = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123"}
        description["securityDefinitions"] = {"Bearer": key}
    return description


def _definitions(contract: Contract) -> dict[str, Any]:
    columns = {column.name: _schema(column) for column in contract.columns}
    row = {"type": "object", "properties": columns, "required": list(columns)}
    rows = {"type": "object", "properties": {"data": {"type": "array", "items": row}}, "required": ["data"]}
    label = {"type": "number"} if contract.classes is None else _enumerated(contract.classes)
    probabilities = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    explanations = {"type": "array", "items": {"type": "object"}, "description": "where the query has explain=true"}
    outputs: dict[str, Any] = {"predictions": {"type": "array", "items": label}, "explanations": explanations}
    if contract.classes is not None:
        outputs |= {"probabilities": probabilities, "classes": {"type": "array", "items": label}}
    return {
        "ServiceInput": rows | {"example": {"data": [example(contract)]}},
        "ServiceOutput": {"type": "object", "properties": outputs},
        "ErrorResponse": {"type": "object", "properties": {"title": {"type": "string"}, "detail": {"type": "string"}}},
    }


def _schema(column: Column) -> dict[str, Any]:
    schema = _enumerated(column.categories or ()) if column.kind == "category" else {"type": _TYPES[column.kind]}
    if column.kind == "datetime":
        schema["format"] = "date-time" if dates.is_aware(column.dtype) else "date-time-local"
    if column.unseen != "refuse":  # only categories are
        schema.pop("enum")
    return schema | ({"x-nullable": True} if column.missing else {})


def _enumerated(values: Any) -> dict[str, Any]:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number"}
    types = {kinds[type(value)] for value in values}
    return {"enum": list(values)} | ({"type": types.pop()} if len(types) == 1 else {})


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}
