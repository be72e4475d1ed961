"""docs/reference/http_api.md: the service's requests and replies, from the OpenAPI document of a small model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generators.markdown import NOTE, json_block, prose, table
from score.api.openapi import OPEN, document
from score.contract.schema import Column, Contract

CONTRACT = Contract(
    model_name="churn_model",
    task="classification",
    columns=(
        Column("age", "integer", "int64", minimum=18, maximum=92, example=44),
        Column("income", "number", "float64", missing=True, minimum=0.0, maximum=250000.0, example=51000.0),
        Column("plan", "category", "str", categories=("basic", "plus"), example="plus"),
    ),
    classes=(0, 1),
)
INTRO = f"""# HTTP API

Each service describes itself at `/openapi.json`, with the columns of its own model. This is the document of a small
example: the model `{CONTRACT.model_name}` with three columns, deployed as version 3 with `deploy.auth_enabled=true`.
`/metrics` (Prometheus) and `/meta` are beside it; [call the service](../how_to/call_the_service.md) explains them, the errors and the limits.

"""


def page() -> str:
    """Return the text of the page."""
    described = document(CONTRACT, probable=True, keyed=True, version="3")
    rows = [
        [f"`{method.upper()} {path}`", prose(operation["summary"]), "no" if path in OPEN else "yes"]
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    parts = [NOTE, INTRO, table(["request", "what it gives", "needs a key"], rows)]
    for path, operations in described["paths"].items():
        if "/versions/" not in path:
            parts += [text for method, operation in operations.items() for text in _operation(path, method, operation)]
    schemas = described["components"]["schemas"]
    parts += ["\n## Schemas\n", *(f"\n### {name}\n\n{json_block(schema)}" for name, schema in schemas.items())]
    return "".join(parts)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of a request that has a body or parameters; the table says the rest."""
    if not {"requestBody", "parameters"} & set(operation):
        return
    yield f"\n## {method.upper()} {path}\n\n{prose(operation['summary'])}\n"
    for parameter in operation.get("parameters", ()):
        allowed = ", ".join(f"`{value}`" for value in parameter["schema"]["enum"])
        yield f"\nParameter `{parameter['name']}` ({parameter['in']}), {parameter['description']}: {allowed}.\n"
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"\nThe body is `{media}`: {_schema(body['schema'])}. Examples:\n\n"
        yield "\n".join(json_block(example["value"]) for example in body["examples"].values())
    yield "\n" + table(["status", "meaning", "body"], map(_reply, operation["responses"].items()))
    headers = operation["responses"]["200"].get("headers", {})
    if headers:
        rows = [[f"`{name}`", prose(header["description"])] for name, header in headers.items()]
        yield "\n" + table(["header of the reply", "meaning"], rows)


def _reply(item: tuple[str, Mapping[str, Any]]) -> list[str]:
    status, reply = item
    bodies = [f"`{media}`: {_schema(body['schema'])}" for media, body in reply["content"].items()]
    return ["other" if status == "default" else status, prose(reply["description"]), "; ".join(bodies)]


def _schema(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    return f"{schema.get('type', 'a constant')}"
