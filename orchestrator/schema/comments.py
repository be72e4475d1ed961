"""Read the files of a configuration folder with their comments: what an option is, and what each key means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.bundled import SCHEMA_LINE
from orchestrator.errors import Problem, SpecError, one_line

GLOBAL = "# @package _global_"
PRIVATE = "local"  # a folder that git ignores
_LEADING = ("# @", SCHEMA_LINE)  # lines above the text that says what an option is
KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class ConfFile:
    """One option: ``name`` is ``group/option``, ``about`` its first comment, ``comments`` those of keys by their path."""

    path: Path
    name: str
    values: Mapping[str, Any]
    about: str
    comments: Mapping[KeyPath, str]
    is_global: bool

    @property
    def group(self) -> str:
        """The group; empty for the primary configuration."""
        return self.name.rpartition("/")[0]


def read_folder(folder: Path) -> list[ConfFile]:
    """Read every YAML file of a configuration folder, but for the private options of one checkout.

    Raises:
        SpecError: a file is no YAML, or holds no keys.
    """
    files = [_read(path, folder) for path in sorted(folder.rglob("*.yaml"))]
    return [file for file in files if file.group != PRIVATE]


def _read(path: Path, folder: Path) -> ConfFile:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(folder).with_suffix("").as_posix()
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SpecError([Problem(str(path), f"is no YAML: {one_line(error)}")]) from error
    if not isinstance(values, dict):
        raise SpecError([Problem(str(path), "should hold keys and values")])
    leading = [line for line in _leading_comments(text) if not line.startswith(_LEADING)]
    about = _join(line.lstrip("# ") for line in leading)
    return ConfFile(path, name, values, about, dict(_comments(text)), GLOBAL in text)


def _leading_comments(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        yield line


def _comments(text: str) -> Iterable[tuple[KeyPath, str]]:
    """Return the comment of each key: what stands above it, then what stands behind it and goes on below."""
    lines = text.splitlines()
    ends = _ends_of_code(text)
    keys = dict(reversed([*_keys(yaml.compose(text))]))  # of several keys on one line, the outer one
    above: list[str] = []
    key: KeyPath = ()
    before: dict[KeyPath, list[str]] = {}
    behind: dict[KeyPath, list[str]] = {}
    for number in range(len(list(_leading_comments(text))), len(lines)):
        comment = re.match(r"\s*#\s?(.*)", lines[number][ends.get(number, 0) :])
        if number in keys:
            key = keys[number]
            before[key], above = above, []
        if comment is None:
            above = []
        elif number in ends or (key in behind and lines[number].index("#") > _next_indent(lines, number)):
            behind.setdefault(key, []).append(comment[1])
        else:
            above.append(comment[1])
    joined = {
        path: "; ".join(filter(None, (_join(before.get(path, ())), _join(behind.get(path, ())))))
        for path in [*before, *behind]
    }
    return ((path, text) for path, text in joined.items() if text)


def _ends_of_code(text: str) -> dict[int, int]:
    """Return for each line with code the column behind the last token, since a ``#`` may stand in a text."""
    ends: dict[int, int] = {}
    for token in yaml.scan(text):
        if token.start_mark.index != token.end_mark.index:
            line = token.end_mark.line
            ends[line] = max(ends.get(line, 0), token.end_mark.column)
    return ends


def _next_indent(lines: list[str], number: int) -> int:
    """Return how far the next line with code is indented; a comment that belongs to it stands in the same column."""
    code = (line for line in lines[number:] if line.strip() and not line.lstrip().startswith("#"))
    return next((len(line) - len(line.lstrip()) for line in code), 0)


def _keys(node: yaml.Node | None, path: KeyPath = ()) -> Iterator[tuple[int, KeyPath]]:
    """Yield line and path of every key, outer ones first."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*path, str(key.value))
            yield key.start_mark.line, below
            yield from _keys(value, below)


def _join(parts: Iterable[str]) -> str:
    return " ".join(" ".join(parts).split())
