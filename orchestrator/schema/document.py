"""The JSON Schema (draft 2020-12) of the configuration: one definition for each group, and one for each class.

``config`` is for files with keys of any section, ``composed`` for a whole configuration; every other definition that
is named like a group is for its files. A file may leave out keys and interpolate values.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from orchestrator import bundled
from orchestrator.bundled import CONF, SCHEMA_FILE
from orchestrator.config.estimator_checks import DECIDED
from orchestrator.schema.comments import GLOBAL, ConfFile, read_folder
from orchestrator.schema.lenient import (
    DEFAULTS,
    INTERPOLATION,
    PLACE,
    Schema,
    lenient,
    merged,
    reference,
    value_by_task,
    value_schema,
)
from orchestrator.spec.by_task import is_by_task
from orchestrator.spec.components import is_dotted, locate, parameters_of
from orchestrator.spec.run_spec import SECTIONS, RunSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.spec.section import Section
from orchestrator.spec.split import SplitSpec

FILE = SCHEMA_FILE
TARGET = "_target_"
SPLIT = "split"  # the definition for the group data/split
COMPONENT = "Component"  # pydantic's name for a class with its options
LIBRARIES = ("pydantic", "scikit-learn")  # whose versions decide how types are written, and which options a search has
OWN = ("orchestrator.", "score.")  # the signatures of other libraries change with their versions


def document(*folders: Path) -> Schema:
    """Return the schema of the options that ship, and of those in these configuration folders."""
    files = [file for folder in (CONF, *folders) for file in read_folder(folder)]
    root = RunSpec.model_json_schema(ref_template=f"{PLACE}/{{model}}")
    names = {kind.__name__: section for section, kind in SECTIONS.items() if issubclass(kind, Section)}
    inner = {SplitSpec.__name__: SPLIT}
    parts = {names.get(name, name): part for name, part in root.pop("$defs").items()}
    whole = _composed(root, parts)
    definitions = {name: lenient(part) for name, part in parts.items()}
    for name in names.values():
        definitions[name]["properties"]["defaults"] = DEFAULTS
    estimator = definitions["model"]["properties"]["estimator"]
    definitions["model"]["properties"]["estimator"] = value_by_task(estimator)
    config = lenient(root)
    config["properties"] |= {"defaults": DEFAULTS, "hydra": {"description": "Hydra's own settings.", "type": "object"}}
    definitions |= {"config": config, "composed": whole, "interpolation": INTERPOLATION}
    parameters, grid = (definitions["model"]["properties"][name]["anyOf"][0] for name in ("params", "param_grid"))
    parameters["additionalProperties"] = reference("value")
    grid["additionalProperties"]["items"] = reference("value")
    definitions["value"] = _value(files)
    definitions["param_grid"] = {"description": "The values of each parameter that are searched."} | grid
    definitions[SPLIT] = definitions.pop(SplitSpec.__name__)
    definitions[SPLIT]["properties"]["defaults"] = DEFAULTS
    definitions["stages"] = config["properties"]["stages"]["anyOf"][0] | {
        "description": "What is done: a function or class for each stage."
    }
    definitions["hydra_help"] = {"description": "Hydra's help page.", "type": "object"}
    definitions |= _classes("deploy", files) | _classes("tracking", files) | _classes("search", files)
    definitions |= _transformers(files)
    definitions = {name: part for name, part in definitions.items() if name not in names}
    _describe(definitions, files)
    for section in ("deploy", "tracking"):
        config["properties"][section] = value_schema(reference(section))
    renamed = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Written with {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}.",
        "definitions": dict(sorted(definitions.items())),
    }
    result: Schema = _renamed(renamed, names | inner)
    return result


def schema_line(file: Path, folder: Path) -> str:
    """Return the line by which an editor finds the schema of a file in a configuration folder."""
    relative = file.relative_to(folder)
    group = relative.parent.as_posix()
    part = {"model/param_grid": "param_grid", "data/split": SPLIT, "hydra/help": "hydra_help"}.get(group, group)
    known = part in {*SECTIONS, "deploy", "tracking", "stages", "param_grid", SPLIT, "hydra_help"}
    if not known or GLOBAL in file.read_text(encoding="utf-8"):
        part = "config"
    return bundled.schema_line(part, len(relative.parts) - 1)


def _composed(root: Schema, parts: Mapping[str, Schema]) -> Schema:
    """Return the schema of a whole configuration: the keys that none may lack."""
    required = {name: part["required"] for name, part in parts.items() if name in SECTIONS and "required" in part}
    return {
        "description": "A whole configuration, as `--cfg job` prints it.",
        "allOf": [reference("config")],
        "required": root["required"],
        "properties": {name: {"required": keys} for name, keys in sorted(required.items())}
        | {name: {"required": [TARGET]} for name in ("deploy", "tracking")},
    }


def _classes(group: str, files: Iterable[ConfFile]) -> Schema:
    """Return the definition of a group whose options name classes, and one for each class."""
    sections = [file.values.get(group) if file.is_global else file.values for file in files if file.group == group]
    used = {section.get(TARGET) for section in sections if isinstance(section, dict)}
    made: Schema = {}
    shared: Schema = {}
    kinds: dict[str, Schema] = {}
    for path in sorted(path for path in used if isinstance(path, str) and is_dotted(path)):
        kinds[path], more = class_schema(path)
        shared |= more
    if group == "search":
        base = lenient(SearchSpec.model_json_schema(ref_template=f"{PLACE}/{{model}}"))["properties"]
        base |= {key: value_by_task(base[key]) for key in ("scoring", "refit")}
        kinds = {path: _with(kind, base, without=DECIDED) for path, kind in kinds.items()}
    for path, kind in kinds.items():
        made[_name(group, path)] = kind
    every = {key for kind in kinds.values() for key in kind["properties"]}
    made[f"{group}.any"] = {
        "description": "Any key of the group's classes: this file does not say which class it is about.",
        "type": "object",
        "properties": {
            key: merged([kind["properties"][key] for kind in kinds.values() if key in kind["properties"]])
            for key in sorted(every)
        },
        "additionalProperties": False,
    }
    made[group] = {
        "type": "object",
        "properties": {TARGET: value_schema(definition_of_target(kinds)), "defaults": DEFAULTS},
        "allOf": [
            *({"if": _names(path), "then": reference(_name(group, path))} for path in kinds),
            {"if": {"not": {"required": [TARGET]}}, "then": reference(f"{group}.any")},
        ],
    }
    return shared | made


def _transformers(files: Iterable[ConfFile]) -> Schema:
    """Return the definition of a class with its options, and those of the transformers that ship."""
    paths = sorted({path for file in files if file.group == "preprocess" for path in _targets(file.values)})
    kinds = {path: class_schema(path)[0] for path in paths if path.startswith(OWN)}
    component = {
        "description": "`_target_` is the dotted path of a class; every other key is an option of it.",
        "type": "object",
        "properties": {TARGET: value_schema(definition_of_target(paths))},
        "additionalProperties": reference("value"),
        "allOf": [{"if": _names(path), "then": reference(_name("preprocess", path))} for path in kinds],
    }
    return {COMPONENT: component, **{_name("preprocess", path): kind for path, kind in kinds.items()}}


def _value(files: Iterable[ConfFile]) -> Schema:
    """Return the definition of a parameter's value, in which objects may be described at any depth."""
    known = {path for file in files if file.group == "model" for path in _targets(file.values)}
    return {
        "description": "A value; a mapping with `_target_`, the dotted path of a class, is an object with these options.",
        "if": {"type": "object"},
        "then": {
            "properties": {TARGET: value_by_task(value_schema(definition_of_target(known)))},
            "additionalProperties": reference("value"),
        },
        "else": {"if": {"type": "array"}, "then": {"items": reference("value")}},
    }


def definition_of_target(known: Iterable[str]) -> Schema:
    """Return the schema of a dotted path, which names the known classes for completion."""
    listed = [{"enum": sorted(known)}] if known else []
    return {"anyOf": [*listed, {"type": "string", "pattern": r"^[^\s.]+(\.[^\s.]+)+$"}]}


def class_schema(path: str) -> tuple[Schema, Schema]:
    """Return the schema of a class's options, and the definitions that it refers to.

    The fields of a dataclass have types; of other classes only the names are known.
    """
    target = locate(path, TARGET)
    hints = typing.get_type_hints(target, include_extras=True) if dataclasses.is_dataclass(target) else {}
    properties: Schema = {TARGET: {"const": path}, "defaults": DEFAULTS}
    shared: Schema = {}
    open_ended = False
    for name, parameter in parameters_of(target).items():
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
            continue
        hint = hints.get(name, Any)
        try:
            schema = TypeAdapter(hint).json_schema(ref_template=f"{PLACE}/{{model}}")
        except (PydanticUserError, PydanticInvalidForJsonSchema):  # a type that pydantic does not know
            schema = {}
        shared |= {part: lenient(below) for part, below in schema.pop("$defs", {}).items()}
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            shared[hint.__name__], schema = lenient(schema), reference(hint.__name__)
        properties[name] = value_schema(schema)
    about = (inspect.getdoc(target) or "").partition("\n")[0]
    return {
        "description": about,
        "type": "object",
        "properties": properties,
        "additionalProperties": open_ended,
    }, shared


def _with(kind: Schema, properties: Mapping[str, Any], without: Iterable[str]) -> Schema:
    own = {name: schema for name, schema in kind["properties"].items() if name not in set(without)}
    return kind | {"properties": {**own, **properties, TARGET: own[TARGET]}}


def _name(group: str, path: str) -> str:
    return f"{group}.{path.rpartition('.')[2] if path.startswith(OWN) else path}"


def _names(path: str) -> Schema:
    """Return the condition that a class is the one of this path."""
    return {"properties": {TARGET: {"const": path}}, "required": [TARGET]}


def _targets(values: Any) -> Iterable[str]:
    for name, below in values.items() if isinstance(values, Mapping) else ():
        if name == TARGET:
            entries = below if is_by_task(below) else [{"": below}]
            yield from (path for entry in entries for path in entry.values() if isinstance(path, str))
        yield from _targets(below)


def _describe(definitions: Schema, files: Iterable[ConfFile]) -> None:
    """Add the files' comments to the keys; where several explain one key, those of the default options come first."""
    chosen = [entry for file in files for entry in file.values.get("defaults", ()) if file.name == "config"]
    first = {f"{group}/{option}" for entry in chosen if isinstance(entry, dict) for group, option in entry.items()}
    for file in sorted(files, key=lambda file: file.name not in first):
        section, named = {"data/split": SPLIT}.get(file.group, file.group), file.values.get(TARGET)
        places = [section, f"{section}.any", *([_name(section, named)] if isinstance(named, str) else [])]
        for path, text in file.comments.items():
            if file.is_global or not section:
                where, key = (["config"], path[0]) if len(path) == 1 else ([path[0]], path[1])
            else:
                where, key = places, path[0]
            for place in where if len(path) <= 2 else ():
                known = definitions.get(place, {}).get("properties", {})
                if key in known and path[-1] == key and key not in (TARGET, "defaults"):
                    known[key] = {"description": text} | known[key]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Rename references to the spec's classes to those of their sections."""
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _renamed(below, names) for key, below in value.items()}
    if isinstance(found.get("$ref"), str):
        prefix, _, name = found["$ref"].rpartition("/")
        found["$ref"] = f"{prefix}/{names.get(name, name)}"
    return found
