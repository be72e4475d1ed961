"""The service's OpenAPI 3.1 document, made from the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from score.api import v2
from score.contract.columns import rule_for
from score.payload.errors import MAX_PROBLEMS, PROBLEM
from score.predict import explaining
from score.predict.response import FLAGS

if TYPE_CHECKING:
    from score.contract.schema import Column, Contract

JSON = "application/json"
Schema = dict[str, Any]


def document(
    contract: Contract, *, probable: bool, keyed: bool, explains: bool = True, version: str | None = None
) -> Schema:
    """Return the OpenAPI 3.1 document of a service of this contract; ``keyed`` if it asks for a key.

    ``explains`` if the package can explain answers. ``version`` is the deployed one, None where it is not known.
    """
    description: Schema = {
        "openapi": "3.1.0",
        "info": {"title": contract.model_name, "version": contract.fingerprint[:16] or "0"},
        "servers": [{"url": "./"}],  # wherever this document was found
        "paths": _paths(contract, version, explains=explains),
        "components": {"schemas": _schemas(contract, probable=probable)},
    }
    if keyed:
        description["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, operations in description["paths"].items():
            for operation in operations.values() if path not in OPEN else ():
                operation["security"] = [{"key": []}]
                operation["responses"]["401"] = _failure(path, "There is no key of the service in the request.")
    return description


OPEN = frozenset({"/", "/docs", "/v2/health/live", "/v2/health/ready"})  # these need no key


def example(contract: Contract) -> dict[str, Any]:
    """Return a row that the contract accepts."""
    return {column.name: column.example for column in contract.columns}


def _paths(contract: Contract, version: str | None, *, explains: bool) -> Schema:
    model = f"/v2/models/{quote(contract.model_name, safe='')}"
    paths = {
        "/": _get("Whether the service is up; for a browser, a page about the model.", _home()),
        "/score": {"post": _score(contract, explains=explains)},
        "/openapi.json": _get("This document.", _content(JSON, {"type": "object"})),
        "/swagger.json": _get("This document for older tools.", _content(JSON, {"type": "object"})),
        "/docs": _get("This document for people.", _content("text/html", {"type": "string"})),
        "/v2": _get("The server, as the Open Inference Protocol describes it.", _content(JSON, {"type": "object"})),
        "/v2/health/live": _get("Whether the server is up.", _content(JSON, {"const": {"live": True}})),
        "/v2/health/ready": _get("Whether the model is loaded.", _content(JSON, {"const": {"ready": True}})),
    }
    for base in (model, *([f"{model}/versions/{quote(version, safe='')}"] if version else [])):
        paths |= {
            base: _get("The tensors that go in and come out.", _content(JSON, {"type": "object"})),
            f"{base}/ready": _get("Whether the model is loaded.", _content(JSON, {"type": "object"})),
            f"{base}/infer": {"post": _infer(contract)},
        }
    versions = {"enum": ["2", "2.0", "3", "3.1"], "default": "2"}
    swagger = paths["/swagger.json"]["get"]
    swagger["parameters"] = [{"name": "version", "in": "query", "description": "of Swagger", "schema": versions}]
    swagger["responses"]["404"] = _failure("/swagger.json", "There is no such version.")
    return paths


def _home() -> Schema:
    plain, page = _content("text/plain", {"const": "Healthy"}), _content("text/html", {"type": "string"})
    return {"content": plain["content"] | page["content"]}


def _get(summary: str, content: Schema) -> Schema:
    return {"get": {"summary": summary, "responses": {"200": {"description": summary} | content}}}


def _score(contract: Contract, *, explains: bool) -> Schema:
    row = example(contract)
    requests = {
        "rows": {"data": [row]},
        "split": {"columns": list(row), "data": [list(row.values())]},
        "article": {"input": [row]},
    }
    return {
        "summary": "Score rows.",
        "parameters": [explain_parameter()] if explains else [],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _ref("Request"), "examples": {k: {"value": v} for k, v in requests.items()}}},
        },
        "responses": {
            "200": {"description": "An answer for each row.", "headers": _flags()} | _content(JSON, _ref("Reply")),
            "400": _failure("/score", "The rows are not as the contract says."),
            "default": _failure("/score", "The service is busy, the request is too long, or the model failed."),
        },
    }


def explain_parameter() -> Schema:
    """Return the parameter of the query that asks for explanations."""
    description = (
        f"says what each column adds to the answers, for at most {explaining.MAX_ROWS} rows that are not in 'input'"
    )
    values = {"type": "string", "enum": list(explaining.VALUES), "default": "false"}
    return {"name": explaining.PARAMETER, "in": "query", "description": description, "schema": values}


def _explanations(contract: Contract) -> Schema:
    """Return the schema of a reply's explanations: one of each explained class, or of a regression."""
    numbers = {column.name: {"type": "number"} for column in contract.columns}
    by_column = {"type": "array", "items": _object(numbers), "description": "of each row"}
    explained: Schema = {"space": _text(), "base": {"type": "number"}, "values": by_column}
    explained |= {} if contract.classes is None else {"class": {"enum": list(contract.classes)}}
    items = _object(explained)
    items["properties"] = explained | {
        "errors": by_column | {"description": "standard errors, where values are estimates"}
    }
    return {"type": "array", "items": items}


def _infer(contract: Contract) -> Schema:
    tensors = [
        {"name": tensor["name"], "datatype": tensor["datatype"], "shape": [1], "data": [column.example]}
        for tensor, column in zip(v2.metadata(contract, probable=False)["inputs"], contract.columns, strict=True)
    ]
    body = _content(JSON, _ref("InferenceRequest"))
    body["content"][JSON]["examples"] = {"row": {"value": {"inputs": tensors}}}
    return {
        "summary": "Score rows, by the Open Inference Protocol.",
        "requestBody": {"required": True} | body,
        "responses": {
            "200": {"description": "The tensors that were asked for.", "headers": _flags()}
            | _content(JSON, _ref("InferenceReply")),
            "400": _failure("/v2", "The tensors are not as the contract says."),
            "default": _failure("/v2", "The service is busy, the request is too long, or the model failed."),
        },
    }


def _missing(column: Column, contract: Contract) -> Schema:
    """Exclude the strings that mean a missing value from a text column without missing values."""
    words = sorted(contract.table.words) if contract.table and column.kind == "string" and not column.missing else []
    return {"not": {"enum": words}} if words else {}


def _flags() -> Schema:
    return {name: {"description": description, "schema": _text()} for name, description in FLAGS.items()}


def _schemas(contract: Contract, *, probable: bool) -> Schema:
    columns = {column.name: rule_for(column).schema | _missing(column, contract) for column in contract.columns}
    rows = {"type": "array", "items": _ref("Row")}
    table = {"columns": {"const": list(columns)}, "data": {"type": "array", "items": _tuple(list(columns.values()))}}
    label = {"type": "number"} if contract.classes is None else {"enum": list(contract.classes)}
    probabilities = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}}
    plain: Schema = {"predictions": {"type": "array", "items": label}}
    plain |= {"probabilities": {"type": "array", "items": probabilities}} if probable else {}
    plain |= {"classes": {"const": list(contract.classes)}} if contract.classes is not None else {}
    reply = _object(plain) | {"properties": plain | {"explanations": _explanations(contract)}}
    article = _text() | {"contentMediaType": JSON}
    place: Schema = {"row": {"type": ["integer", "null"]}, "column": {"type": ["string", "null"]}}
    problem = _object(place | {"problem": _text(), "expected": _text()})
    document: Schema = {"type": _text(), "title": _text(), "status": {"type": "integer"}, "detail": _text()}
    listed: Schema = {
        "problems": {"type": "array", "items": problem, "maxItems": MAX_PROBLEMS},
        "more": {"type": "integer"},
    }
    return {
        "Row": _object(columns) | {"additionalProperties": contract.extra_columns == "ignore"},
        "Request": {
            "oneOf": [
                _object({"data": rows}) | {"title": "Rows"},
                _object(table) | {"title": "A table, its columns in any order"},
                _object({"input": rows}) | {"title": "The article's rows, which may be JSON in text, too"},
            ]
        },
        "Reply": {"oneOf": [reply, article | {"description": "to 'input': JSON in text"}]},
        "Problem": _object(document) | {"properties": document | listed},
        "Error": _object({"error": _text()}),
        **_tensors(contract),
    }


def _tensors(contract: Contract) -> Schema:
    shape = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2}
    tensor = {"datatype": {"enum": list(v2.DATATYPES)}, "shape": shape, "data": {"type": "array"}}
    inputs = _open({"name": {"enum": [column.name for column in contract.columns]}} | tensor)
    output = {"enum": ["predictions", "probabilities"]}
    wanted = {"outputs": {"type": "array", "items": _open({"name": output})}, "id": _text()}
    request = {"inputs": {"type": "array", "items": inputs}}
    reply = {"model_name": _text(), "outputs": {"type": "array", "items": _object({"name": output} | tensor)}}
    optional = {"model_version": _text(), "id": _text()}
    return {
        "InferenceRequest": _open(request) | {"properties": request | wanted},
        "InferenceReply": _object(reply) | {"properties": reply | optional},
    }


def _failure(path: str, description: str) -> Schema:
    content = _content(JSON, _ref("Error")) if path.startswith("/v2") else _content(PROBLEM, _ref("Problem"))
    return {"description": description} | content


def _content(media: str, schema: Schema) -> Schema:
    return {"content": {media: {"schema": schema}}}


def _open(properties: Schema) -> Schema:
    """Return an object with all of these, and maybe more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _object(properties: Schema) -> Schema:
    """Return an object with exactly these."""
    return _open(properties) | {"additionalProperties": False}


def _tuple(items: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _text() -> Schema:
    return {"type": "string"}
