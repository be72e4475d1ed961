"""Markdown for the reference pages: tables, code, and text in which Markdown's own signs are escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

NOTE = "<!-- Written by `python docs/generate.py`: change the code or the comments that it reads, not this page. -->\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def code(text: str, language: str = "") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def json_block(value: Any) -> str:
    """Return JSON, with short lists and mappings on one line."""
    return code(_json(value), "json")


def prose(text: str) -> str:
    """Return text whose stars, underscores and angle brackets are no markup, outside of code."""
    parts = re.split(r"(`+[^`]*`+)", re.sub(r"``([^`]+)``", r"`\1`", text))
    return "".join(part if part.startswith("`") else re.sub(r"([*<\[\]]|\b_|_\b)", r"\\\1", part) for part in parts)


def _json(value: Any, indent: int = 0) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= 100 or not isinstance(value, dict | list) or not value:
        return flat
    pad, end = " " * (indent + 2), " " * indent
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(key)}: {_json(below, indent + 2)}" for key, below in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{end}}}"
    return "[\n" + ",\n".join(f"{pad}{_json(below, indent + 2)}" for below in value) + f"\n{end}]"
