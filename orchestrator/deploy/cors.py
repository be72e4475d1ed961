"""Browsers that show pages of other hosts: the key that lets them in, and what it is for Azure's server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

VARIABLE = "AML_CORS_ORIGINS"  # of Azure's server: origins between commas
LIBRARY = "flask-cors"  # without it that server ignores the variable
_ORIGIN = re.compile(r"(https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\]))(?::([1-9][0-9]{0,4}))?/?").fullmatch
MOST_PORTS = 65535
_DEFAULT_PORTS = ("http:80", "https:443")


def _as_sent(text: str) -> str:
    """An origin as browsers send it.

    Raises:
        ValueError: it is none.
    """
    found = _ORIGIN(text.lower())
    if text == "*":
        return text
    if found is None or int(found[2] or 0) > MOST_PORTS:
        raise ValueError(f"'{text}' is no origin; write scheme://host or scheme://host:port, without a path, or '*'")
    host, port = found.groups()
    usual = port is None or f"{host.partition(':')[0]}:{port}" in _DEFAULT_PORTS
    return host if usual else f"{host}:{port}"


PackageProvenance = Annotated[str, AfterValidator(_as_sent)]
Origins = tuple[PackageProvenance, ...]


def variables(origins: Sequence[str]) -> Mapping[str, str]:
    """Return the environment variables that let these origins in at Azure's server; none for no origins."""
    return {VARIABLE: ",".join(map(_pattern, origins))} if origins else {}


def contradictions(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) where the variable is given beside the key."""
    if options.get("allow_origins") and VARIABLE in (options.get("environment_variables") or {}):
        yield f"environment_variables.{VARIABLE}", "says the same as deploy.allow_origins; leave out one of the two"


def _pattern(origin: str) -> str:
    """Write an origin with brackets, an IPv6 address, as the pattern that the library takes it for."""
    return f"{re.escape(origin)}$" if "[" in origin else origin
