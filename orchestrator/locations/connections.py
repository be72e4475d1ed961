"""The file system that a location is in: one of fsspec's, or the container behind a place in a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.locations.failures import explained
from orchestrator.locations.urls import Url, is_url
from orchestrator.locations.workspace_files import PROTOCOL, find_in_workspace

Location: TypeAlias = str | Path | Url
Options: TypeAlias = Mapping[str, Any]


def as_url(location: Location) -> Url:
    """Return a location as a URL; a path becomes a ``file://`` one."""
    if isinstance(location, Url):
        return location
    text = str(location)
    return Url(text if is_url(text) else f"file://{Path(text).expanduser().absolute().as_posix()}")  # nothing escaped


def connect(url: Url, options: Options) -> tuple[Any, str]:
    """Return fsspec's file system and the path in it, with nothing remembered of what lay there before."""
    from fsspec.core import url_to_fs

    if url.protocol == PROTOCOL:
        found = find_in_workspace(url, options)
        system, path = found.system, found.path
    else:
        system, path = url_to_fs(url.address, **options)
    system.invalidate_cache()
    return system, str(path)


def asset_of(url: Url, options: Options) -> str:
    """Return the data asset that a place in a workspace is of, with its version; "" if it is of none."""
    return find_in_workspace(url, options).asset if url.protocol == PROTOCOL else ""


def locate(location: Location, options: Options) -> tuple[type, str]:
    """Return the class of the file system and the path in it, by which two locations are compared; never print it.

    Raises:
        LocationError: there is no such file system, or its library is not installed.
    """
    if isinstance(location, Path):
        return Path, location.as_posix()
    from fsspec import get_filesystem_class

    url = as_url(location)
    with explained(url, "looked at"):
        if url.protocol == PROTOCOL:
            found = find_in_workspace(url, options)
            return type(found.system), found.path
        system = get_filesystem_class(url.protocol)
        return system, str(system._strip_protocol(url.address)).rstrip("/")  # noqa: SLF001 - fsspec's only name for it
