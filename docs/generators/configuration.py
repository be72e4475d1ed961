"""docs/reference/configuration.md: every key, from the comments in conf/ and the schema."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from docs.generators.markdown import NOTE, code, prose, table
from orchestrator.bundled import CONF, SCHEMA_LINE
from orchestrator.schema.comments import ConfFile, read_folder
from orchestrator.schema.document import TARGET, document

INTRO = """# Configuration keys

A configuration is one option of each group and a few keys of its own. `group=option` chooses another option,
`group.key=value` another value; [change one part](../how_to/change_one_part.md) explains how. The defaults below are as the files
write them: `${name}` stands for the value of another key, and `???` must be typed.

Editors that know JSON Schema complete and check these keys: each file names `conf/schema.json` in its first lines.

"""
GROUPS = (
    "data",
    "data/split",
    "preprocess",
    "model",
    "model/param_grid",
    "search",
    "package",
    "gate",
    "azure",
    "tracking",
    "deploy",
    "stages",
)
AS_FILES = {
    "data/split",
    "preprocess",
    "model",
    "model/param_grid",
    "experiment",
}  # a table would say less than the file
Schema = Mapping[str, Any]
Comments = Mapping[tuple[str, ...], str]


def page() -> str:
    """Return the text of the page."""
    definitions = document()["definitions"]
    files = {name: [*found] for name, found in itertools.groupby(_files(), lambda file: file.group)}
    primary = files[""][0]
    own = {path: comment for path, comment in primary.comments.items() if path[0] not in ("defaults", "hydra")}
    keys = {name: value for name, value in primary.values.items() if name not in ("defaults", "hydra")}
    parts = [NOTE, INTRO, "## Keys of no group\n\n", _keys(keys, own, definitions["config"], definitions)]
    for group in (*GROUPS, "experiment"):
        parts.append(f"\n## {group}\n\n")
        parts.append(
            table(["option", "what it is"], [[f"`{_typed(file)}`", prose(file.about)] for file in files[group]])
        )
        parts += [text for file in files[group] for text in _option(file, _comments(file, files[group]), definitions)]
        parts += _further(group, files[group], definitions)
    return "".join(parts)


def _files() -> list[ConfFile]:
    return sorted((file for file in read_folder(CONF) if file.group != "hydra/help"), key=lambda file: file.group)


def _typed(file: ConfFile) -> str:
    return f"{file.group}={file.name.rpartition('/')[2]}"


def _bases(file: ConfFile) -> list[str]:
    """Return the options that a file extends."""
    listed = [each for each in file.values.get("defaults", ()) if isinstance(each, str) and each != "_self_"]
    return [each.partition("@")[0] for each in listed]


def _comments(file: ConfFile, files: list[ConfFile]) -> Comments:
    """Return a file's comments with those of the options that it extends."""
    inherited: dict[tuple[str, ...], str] = {}
    for base in (each for each in files if each.name.rpartition("/")[2] in _bases(file)):
        inherited |= _comments(base, files)
    return {**inherited, **file.comments}


def _option(file: ConfFile, comments: Comments, definitions: Schema) -> Iterator[str]:
    """Yield the section of an option: its file, its stages, or a table of its keys."""
    yield f"\n### {_typed(file)}\n\n"
    if file.group in AS_FILES:
        text = file.path.read_text(encoding="utf-8")
        yield code("\n".join(line for line in text.splitlines() if not line.startswith(SCHEMA_LINE)), "yaml")
        return
    values = {name: value for name, value in file.values.items() if name != "defaults"}
    bases = _bases(file)
    if bases:
        yield f"All keys of {', '.join(f'`{base}`' for base in bases)}, and:\n\n"
    stages = values.pop("stages", {}) if file.is_global else values if file.group == "stages" else {}
    if stages:
        yield table(
            ["stage", "function"],
            [[f"`{name}`", f"`{json.dumps(path).strip(chr(34))}`"] for name, path in stages.items()],
        )
    if file.group == "stages" and not file.is_global:
        return
    if stages and values:
        yield "\n"
    if file.is_global:
        for section, below in values.items():
            inner = {path[1:]: text for path, text in comments.items() if path[0] == section and len(path) > 1}
            kind = definitions.get(section, {})
            yield _keys(below, inner, _of_class(kind, below, section, definitions), definitions, f"{section}.")
    elif values:
        yield _keys(
            values,
            comments,
            _of_class(definitions[file.group], values, file.group, definitions),
            definitions,
            f"{file.group}.",
        )


def _further(group: str, files: list[ConfFile], definitions: Schema) -> Iterator[str]:
    """Yield the keys of a group that none of its files has."""
    known = definitions.get(f"{group}.any", definitions.get(group, {})).get("properties", {})
    shown = {key for file in files for key in file.values} | {"defaults", TARGET}
    more = [f"`{group}.{key}`" for key in known if key not in shown and f"{group}/{key}" not in GROUPS]
    if more and group not in AS_FILES and group != "stages":
        yield f"\nKeys that no option sets: {', '.join(more)}.\n"


def _of_class(kind: Schema, values: Mapping[str, Any], group: str, definitions: Schema) -> Schema:
    """Return the definition of the class that an option names, or that of the whole group."""
    name = str(values.get(TARGET, "any")).rpartition(".")[2]
    found: Schema = definitions.get(f"{group}.{name}", kind)
    return found


def _keys(values: Mapping[str, Any], comments: Comments, kind: Schema, definitions: Schema, prefix: str = "") -> str:
    rows = []
    for path, value in _leaves(values, deep=prefix == "hydra."):
        schema = kind.get("properties", {}).get(path[0], {}) if len(path) == 1 else {}
        about = comments.get(path, "the class; the other keys are its options" if path == (TARGET,) else "")
        rows.append([f"`{prefix}{'.'.join(path)}`", f"`{_shown(value)}`", _type(schema, definitions), prose(about)])
    return table(["key", "default", "value", "meaning"], rows)


def _leaves(
    values: Mapping[str, Any], path: tuple[str, ...] = (), *, deep: bool
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each key with its value; a mapping is one value, but for Hydra's own keys."""
    for name, value in values.items():
        if deep and isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name), deep=deep)
        else:
            yield (*path, name), value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _type(schema: Schema, definitions: Schema) -> str:
    """Return what a value may be, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "" if name == "interpolation" else "mapping" if name in definitions else name
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(filter(None, (_type(each, definitions) for each in schema["anyOf"]))))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return ""
    types = schema.get("type", [])
    names = {
        "integer": "whole number",
        "string": "text",
        "boolean": "`true`, `false`",
        "array": "list",
        "object": "mapping",
        "null": "`null`",
    }
    text = " or ".join(names.get(each, each) for each in ([types] if isinstance(types, str) else types))
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]}" for key, sign in bounds.items() if key in schema]
    return f"{text} {', '.join(limits)}".strip()
