"""Separators of cells: what may be typed for one, and which one a file's name implies."""

from __future__ import annotations

import re
from pathlib import Path

BLANKS = r"\s+"  # runs of blanks and tabs: the only separator of more than one character


def is_tab_separated(path: Path) -> bool:
    """Return whether a file's name has an ending of tab-separated files, compressed or not."""
    return not {".tsv", ".tab"}.isdisjoint(ending.lower() for ending in path.suffixes)


def parse_separator(typed: str) -> str:
    r"""Return the character that a separator denotes, with escapes such as ``\t`` and ``\x1f`` decoded, or ``\s+``.

    Raises:
        ValueError: it denotes several characters, or one that cannot separate cells.
    """
    separator = typed
    if separator != BLANKS and len(separator) > 1 and separator.startswith("\\"):
        separator = "\\" + separator.lstrip("\\")  # a shell, Hydra or YAML may leave a backslash doubled
        if re.fullmatch(r"\\(t|v|f|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[0-7]{1,3}|[^\w\s])", separator):
            escaped = separator[1].isalnum()
            separator = separator.encode("ascii").decode("unicode_escape") if escaped else separator[1:]
    if separator == BLANKS or (len(separator) == 1 and separator not in '"\r\n\0'):
        return separator
    if len(separator) == 1:
        raise ValueError(f"{typed!r} cannot separate cells; write another character, such as ';'")
    raise ValueError(
        rf"should be one character such as ';', '\t' for a tab, or '\s+' for blanks, got {typed!r}"
        + ("; write '\\t'" if typed.lower() == "tab" else "")
    )
