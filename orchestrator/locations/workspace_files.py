"""Files in an Azure ML workspace: how their places are written, and who finds them for the time of a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from orchestrator.locations.urls import LocationError, Url

PROTOCOL = "azureml"
FORMS = "azureml://datastores/NAME/paths/FOLDER/FILE, azureml:NAME:VERSION or azureml:NAME@latest"
_DATASTORE = re.compile(
    r"azureml://(?:subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)/(?:providers/[^/]+/)?"
    r"workspaces/(?P<workspace>[^/]+)/)?datastores/(?P<name>[^/]+)/paths/(?P<path>.+)",
    re.IGNORECASE,
)
_ASSET = re.compile(r"azureml:(?P<name>[^:@/]+)(?::(?P<version>[^:@/]+)|@(?P<label>[^:@/]+))", re.IGNORECASE)


class DatastorePath(NamedTuple):
    """A file or a folder in a datastore; ``workspace``, its three names, is None for the configured one."""

    datastore: str
    path: str
    workspace: tuple[str, str, str] | None = None


class DataAsset(NamedTuple):
    """A version of a data asset; None is the newest."""

    name: str
    version: str | None = None


@dataclass(frozen=True)
class FoundFiles:
    """Where the files are: a ``path`` in fsspec's file ``system``, and the ``asset`` and version that they are of."""

    system: Any
    path: str
    asset: str = ""


Finder: TypeAlias = Callable[[Url, Mapping[str, Any]], FoundFiles]
_finders: list[Finder] = []  # the innermost block's is the last


def is_in_workspace(place: object) -> bool:
    """Return whether a place, as it is written or in the environment, is one of a workspace."""
    try:
        return isinstance(place, Url) and place.protocol == PROTOCOL
    except LocationError:
        return False


def parse_place(text: str) -> DatastorePath | DataAsset:
    """Return what a text names.

    Raises:
        ValueError: it is written in another way.
    """
    if of_store := _DATASTORE.fullmatch(text):
        names = of_store["subscription"], of_store["group"], of_store["workspace"]
        return DatastorePath(of_store["name"], of_store["path"].strip("/"), names if names[0] else None)
    if not (asset := _ASSET.fullmatch(text)):
        raise ValueError(f"names no data of an Azure ML workspace; write {FORMS}")
    if (asset["label"] or "latest") != "latest":
        raise ValueError(f"has the label '{asset['label']}', and data assets have only latest; write {FORMS}")
    return DataAsset(asset["name"], asset["version"])


@contextmanager
def found_by(finder: Finder) -> Iterator[None]:
    """Find places of a workspace by ``finder`` while the block runs."""
    _finders.append(finder)
    try:
        yield
    finally:
        _finders.remove(finder)


def find_in_workspace(url: Url, options: Mapping[str, Any]) -> FoundFiles:
    """Return the file system and the path of a place in a workspace.

    Raises:
        LocationError: there is no such place, or none can be looked for here.
    """
    if not _finders:
        raise LocationError(f"{url} is found by a run only, which connects to the workspace; name a copy of it here")
    return _finders[-1](url, options)
