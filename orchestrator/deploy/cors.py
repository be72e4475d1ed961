"""CORS: the allowed origins of browsers' requests, and how Azure's server is given them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

VARIABLE = "AML_CORS_ORIGINS"  # of Azure's server: origins separated by commas
LIBRARY = "flask-cors"  # without it that server ignores the variable
_ORIGIN = re.compile(r"(https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\]))(?::([1-9][0-9]{0,4}))?/?").fullmatch
MOST_PORTS = 65535
_DEFAULT_PORTS = ("http:80", "https:443")


def _normalized(text: str) -> str:
    """Return an origin as browsers send it.

    Raises:
        ValueError: it is no origin.
    """
    match = _ORIGIN(text.lower())
    if text == "*":
        return text
    if match is None or int(match[2] or 0) > MOST_PORTS:
        raise ValueError(f"'{text}' is no origin; write scheme://host or scheme://host:port, without a path, or '*'")
    host, port = match.groups()
    usual = port is None or f"{host.partition(':')[0]}:{port}" in _DEFAULT_PORTS
    return host if usual else f"{host}:{port}"


Origin = Annotated[str, AfterValidator(_normalized)]
Origins = tuple[Origin, ...]


def variables(origins: Sequence[str]) -> Mapping[str, str]:
    """Return the environment variables that allow these origins at Azure's server; empty for no origins."""
    return {VARIABLE: ",".join(map(_pattern, origins))} if origins else {}


def contradictions(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) where the variable is given as well as the key."""
    if options.get("allow_origins") and VARIABLE in (options.get("environment_variables") or {}):
        yield f"environment_variables.{VARIABLE}", "says the same as deploy.allow_origins; leave out one of the two"


def _pattern(origin: str) -> str:
    """Escape an IPv6 origin: the library takes text with brackets for a pattern."""
    return f"{re.escape(origin)}$" if "[" in origin else origin
