"""Where the table of ``orchestrate init`` lies: a file, or a URL of which a copy is looked at."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import DataError
from orchestrator.locations.copies import fetch
from orchestrator.locations.urls import Url, is_url, refuse_credentials
from orchestrator.project.scaffold import reference_table


def local_table(typed: str) -> Path:
    """Return the file to look at: the one that was typed, or a copy that goes when the process ends.

    Raises:
        DataError: the URL holds credentials, or names no file that can be read, or several.
    """
    if not is_url(typed):
        return Path(typed).expanduser()
    try:
        refuse_credentials(typed)
        paths = fetch(Url(typed), {}, "parquet" if ".parquet" in typed else "csv", None).paths
    except ValueError as error:  # LocationError is one
        raise DataError(f"--data: {error}") from None
    if len(paths) > 1:
        raise DataError(
            f"--data: {typed} is {len(paths):,} files; name one of them, and all in the experiment: data.path"
        )
    return paths[0]


def reference_place(typed: str, table: Path, folder: Path) -> tuple[str, bool]:
    """Return the table as the project writes it, and whether it is in the project's folder."""
    return (typed, False) if is_url(typed) else reference_table(table, folder)
