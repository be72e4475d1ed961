"""Lines of a requirements file: names, pins, and the options between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LINE = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?P<extras>\s*\[[^\]]*\])?\s*(?P<rest>.*)")
_PIN = re.compile(r"===?\s*(?P<version>[^\s;,*]+)\s*(?:;|$)")


def plain(line: str) -> str:
    """Return the normalized name of the package; the line itself if it has none."""
    found = _LINE.match(line.strip())
    return re.sub(r"[-_.]+", "-", found["name"]).lower() if found else line


def rest(line: str) -> str:
    """Return what follows the name and its extras: versions, a marker, an address."""
    found = _LINE.match(line.strip())
    return found["rest"] if found else ""


def pinned(line: str) -> str:
    """Return the one version that the line allows; empty if it allows several."""
    found = _PIN.match(rest(line))
    return found["version"] if found else ""


def unpinned(line: str, version: str = "") -> str:
    """Return the line with another version, or without any; extras and marker stay."""
    found = _LINE.match(line.strip())
    if found is None:
        return line
    marker = found["rest"].partition(";")[2]
    return f"{found['name']}{found['extras'] or ''}{version}" + (f" ;{marker}" if marker else "")


def options(lines: Sequence[str]) -> list[str]:
    """Return the lines that are options of pip."""
    return [line for line in lines if line.lstrip().startswith("-")]


def wanted(lines: Sequence[str]) -> list[str]:
    """Return the lines that are requirements, each once."""
    return [line for line in dict.fromkeys(lines) if line.strip() and not line.lstrip().startswith(("-", "#"))]
