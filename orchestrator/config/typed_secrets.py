"""Credentials among the overrides: refused before Hydra writes what was typed into the run's folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from orchestrator.errors import Problem
from orchestrator.locations.urls import is_url, refuse_credentials
from orchestrator.redaction import is_secret_name

_DATABASE = re.compile(
    r"(?:postgres|mysql|mariadb|mssql|oracle|duckdb|sqlite|snowflake)\w*(?:\+\w+)?://", re.IGNORECASE
)


def problems(arguments: Iterable[str]) -> Iterator[Problem]:
    """Yield each override of a table's place that holds credentials; the text does not repeat them."""
    for argument in arguments:
        key, _, value = argument.lstrip("+~").partition("=")
        if key.partition(".")[0] not in {"data", "batch"}:
            continue
        text = value.strip("'\"")
        if "storage" in key and any(map(is_secret_name, re.findall(r"\w+(?=\W*[:=])", argument))):
            at = ".".join(key.split(".")[:2])
            yield Problem(at, "holds credentials, which the run's files would keep; set them in the environment")
        elif _DATABASE.match(text):
            wanted = "put the URL into an environment variable and name that: data.connection_env=DATABASE_URL"
            yield Problem(key, f"a database's URL may hold a password, which the run's files would keep; {wanted}")
        elif is_url(text):
            try:
                refuse_credentials(text)
            except ValueError as error:
                yield Problem(key, str(error))
