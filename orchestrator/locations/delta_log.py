"""Files of Delta tables, of which some have rows that were removed or replaced: the log beside them shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.locations.failures import is_forbidden
from orchestrator.locations.urls import LocationError, Url

if TYPE_CHECKING:
    from orchestrator.locations.storage import StoredFile

FOLDER = "_delta_log"  # that makes a folder of Parquet files a Delta table
AnyPath = TypeVar("AnyPath", bound=PurePath)


def refuse_files(paths: Iterable[AnyPath], has_log: Callable[[AnyPath], bool]) -> None:
    """Refuse Parquet files in or below a folder that ``has_log``.

    Raises:
        LocationError: the text names the folder.
    """
    folders = {folder for path in paths if path.suffix == ".parquet" for folder in path.parents}
    if table := next((folder for folder in sorted(folders) if has_log(folder)), None):
        raise LocationError(
            f"{table} is a Delta table, and its folder has files of former versions, too; name that folder itself, with "
            "data=delta where it is trained on"
        )


def refuse_stored(url: Url, system: Any, stored: Iterable[StoredFile]) -> None:
    """Refuse what was listed at a URL in a file system of fsspec; one request for each folder with files, or above them.

    Raises:
        LocationError: they are of a Delta table.
    """
    if any(each.name.startswith(f"{FOLDER}/") for each in stored):
        raise LocationError(
            f"{url} is a Delta table, and its folder has files of former versions, too; write data=delta"
        )

    def has_log(folder: PurePosixPath) -> bool:
        if "=" in folder.name or str(folder) == ".":  # a partition, of which there may be thousands; no folder
            return False
        try:
            return bool(system.exists(str(folder / FOLDER)))
        except Exception as error:
            if not is_forbidden(error):
                raise
            return False  # who may read the files only is not kept from it

    refuse_files([PurePosixPath(each.address) for each in stored], has_log)
