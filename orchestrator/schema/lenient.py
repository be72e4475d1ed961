"""Turn a JSON Schema of complete values into one of configuration files: keys may be missing, values interpolated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.bundled import SCHEMA_PLACE
from orchestrator.spec.by_task import FITS

Schema = dict[str, Any]

PLACE = SCHEMA_PLACE
INTERPOLATION: Schema = {
    "$comment": "such as ${seed}, or ??? for a value that must be typed",  # a description would be shown with each key
    "type": "string",
    "pattern": r"\$\{.+\}|^\?\?\?$",
}
DEFAULTS: Schema = {
    "description": "Hydra's defaults list: the options that this file is composed of.",
    "type": "array",
    "items": {"type": ["string", "object"]},
}
_DROPPED = ("title", "required", "format", "discriminator", "minProperties", "default")


def reference(name: str) -> Schema:
    """Return the reference to a definition."""
    return {"$ref": f"{PLACE}/{name}"}


def value_schema(schema: Mapping[str, Any]) -> Schema:
    """Return the schema of a value as a file may have it: itself, or text that is interpolated."""
    inner = lenient(schema)
    described = {"description": inner.pop("description")} if "description" in inner else {}
    if _takes_any_text(inner):
        return described | inner
    choices = [*inner.pop("anyOf", [inner] if inner else [])]
    return described | {"anyOf": [*choices, reference("interpolation")]}


def lenient(schema: Mapping[str, Any]) -> Schema:
    """Return a schema without required keys, whose values may be interpolated at any depth."""
    found = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "description" in found:
        found["description"] = " ".join(found["description"].split())
    if "oneOf" in found:  # a discriminated union; an interpolation is one more
        found["anyOf"] = found.pop("oneOf")
    if "anyOf" in found:
        found["anyOf"] = [lenient(each) for each in found["anyOf"]]
    for key in ("properties", "patternProperties"):
        if key in found:
            found[key] = {name: value_schema(below) for name, below in found[key].items()}
    if "patternProperties" in found:
        found["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), Mapping):
            found[key] = value_schema(found[key])
    return found


def value_by_task(schema: Schema) -> Schema:
    """Return the schema of a value that may also be given by task; see :mod:`orchestrator.spec.by_task`."""
    described = {"description": schema["description"]} if "description" in schema else {}
    plain = {key: value for key, value in schema.items() if key != "description"}
    pairs = {"propertyNames": {"enum": [*FITS]}, "additionalProperties": plain, "minProperties": 1, "maxProperties": 1}
    by_task = {"type": "array", "minItems": 1, "items": {"type": "object", **pairs}}
    return described | {"anyOf": [*plain.get("anyOf", [plain]), by_task]}


def merged(schemas: list[Schema]) -> Schema:
    """Return one schema that takes what any of these takes."""
    choices: list[Schema] = []
    for schema in schemas:
        plain = {key: value for key, value in schema.items() if key != "description"}
        choices += [each for each in plain.get("anyOf", [plain]) if each not in choices]
    about = next((schema["description"] for schema in schemas if "description" in schema), None)
    described = {} if about is None else {"description": about}
    if {} in choices:
        return described
    return described | (choices[0] if len(choices) == 1 else {"anyOf": choices})


def _takes_any_text(schema: Mapping[str, Any]) -> bool:
    if not schema or schema == {"additionalProperties": True}:
        return True
    if "anyOf" in schema:
        return any(map(_takes_any_text, schema["anyOf"]))
    types = schema.get("type", [])
    return "string" in ([types] if isinstance(types, str) else types) and not {"pattern", "enum", "const"} & set(schema)
