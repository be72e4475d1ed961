"""StoreUri: validates ``tracking_uri`` with the configuration, before anything runs.

The URI is written into configurations, logs and snapshots, so it must hold no secret, and no message repeats one.
"""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from orchestrator.spec.messages import suggest

PREFIX = "sqlite:///"
# Database servers are refused: the URI would hold the password. An MLflow server in front of one keeps it private.
DATABASES = {"postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle"}
STORES = ("sqlite", "http", "https", "databricks")


def store_uri(uri: str) -> str:
    """Return the URI, if it names a store that can be written to and holds no secret.

    Raises:
        ValueError: with the remedy, and without the URI where that may hold a password.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:  # its text repeats the host and the password before it
        raise ValueError("is no URI; write one such as http://localhost:5000") from None
    if parts.scheme.partition("+")[0] in DATABASES:
        raise ValueError(
            "is a database, and its URI would hold the password: start `mlflow server --backend-store-uri` with it on a "
            "machine that may know that, and write the server's address, such as http://localhost:5000"
        )
    if parts.scheme not in {"", "file", *STORES, *_plugins()}:
        raise ValueError(
            f"should be a URI of {', '.join(STORES)} or of a plugin of MLflow's that is installed, "
            f"got one of {parts.scheme!r}{suggest(parts.scheme, STORES)}"
        )
    if "@" in parts.netloc:
        raise ValueError("holds a password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead")
    path = sqlite_path(uri)
    if path is not None and (character := _misread(uri)):
        raise ValueError(
            f"{character!r} in a path means something else in the URI of a store, got {uri!r}; name another folder "
            "(state_dir, or this key)"
        )
    if path is not None and not uri.startswith(PREFIX):
        raise ValueError(f"should be {PREFIX}/absolute/path/mlflow.db")
    if path is not None and not path.is_absolute():
        raise ValueError(
            f"{uri!r} is relative and would make a store in every folder; write '{PREFIX}{path.absolute()}'"
        )
    if parts.scheme in {"", "file"} and uri != "databricks":
        raise ValueError(f"is a folder, where MLflow keeps no runs any more; write {PREFIX}/absolute/path/mlflow.db")
    if parts.scheme in {"http", "https"} and not parts.netloc:
        raise ValueError(f"names no server; write one such as {parts.scheme}://localhost:5000")
    return uri


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a sqlite store; None for a server."""
    return Path(uri.removeprefix(PREFIX).partition("?")[0]) if uri.startswith("sqlite:") else None


def _misread(uri: str) -> str:
    """Return the part of a sqlite path that a URI would interpret as something else; "" if there is none."""
    path, mark, query = uri.removeprefix(PREFIX).partition("?")
    escape = re.search(r"%[0-9A-Fa-f]{2}", path)
    return escape[0] if escape else ("?" if mark and ("/" in query or "=" not in query) else "")


def _plugins() -> set[str]:
    """Return the schemes that installed plugins add, such as azureml, without importing mlflow."""
    return {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}


StoreUri = Annotated[str, AfterValidator(store_uri)]
