"""Data of a workspace: data assets and paths in datastores, found by SDK v2, and the file system that reads them."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.azure.auth import credential
from orchestrator.azure.sdk import MANAGED, missing, translate_sdk_errors
from orchestrator.azure.workspace import client
from orchestrator.errors import DataError
from orchestrator.locations.urls import LocationError, Url, is_url
from orchestrator.locations.workspace_files import PROTOCOL, DataAsset, DatastorePath, FoundFiles, parse_place
from orchestrator.spec.azure import AzureSpec
from orchestrator.spec.messages import suggest_or_list

_VARIABLES = "AZURE_STORAGE_"  # adlfs prefers those of another account to what it is called with
_MISSING = ("ResourceNotFoundError", "ValidationException", "MlException")
_KINDS = {"AzureBlob": "container_name", "AzureDataLakeGen2": "filesystem"}


@dataclass(frozen=True)
class WorkspaceData:
    """Finds data through the workspace of a section ``azure``; what it has found is asked for once."""

    azure: AzureSpec
    _found: dict[str, FoundFiles] = field(default_factory=dict, compare=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False)

    def __call__(self, url: Url, options: Mapping[str, Any]) -> FoundFiles:
        """Return the file system and the path of a place.

        Raises:
            LocationError: there is no such datastore or data asset, or Azure refuses to say.
            ImportError: a library is not installed.
        """
        text = url.address
        with self._lock:
            key = json.dumps([text, dict(options)], sort_keys=True, default=str)
            if key not in self._found:
                try:
                    place = parse_place(text)
                except ValueError as error:
                    raise LocationError(f"{url} {error}") from None
                if missing(*MANAGED):
                    raise ImportError(f"{url} needs azure-ai-ml", name="azure.ai.ml")
                try:
                    with translate_sdk_errors(DataError, str(url)):
                        self._found[key] = self._find(url, place, options)
                except DataError as error:
                    raise LocationError(str(error)) from None
            return self._found[key]

    def _find(self, url: Url, place: DatastorePath | DataAsset, options: Mapping[str, Any]) -> FoundFiles:
        if isinstance(place, DatastorePath):
            return self._open(url, place, options)
        asset = _asset(url, place, client(self.azure))
        if asset.type not in {"uri_file", "uri_folder"}:
            text = f"{url} is an {asset.type}, whose steps are not taken"
            raise LocationError(f"{text}; register its files as a uri_folder, or name their datastore")
        version = str(asset.id or f"{asset.name}:{asset.version}")
        if not str(asset.path).startswith(f"{PROTOCOL}:"):
            what = "a URL" if is_url(str(asset.path)) else "a path"
            raise LocationError(f"{url} points to {what} outside of the datastores; name that: {_shown(asset.path)}")
        inside = parse_place(str(asset.path))
        if isinstance(inside, DataAsset):
            raise LocationError(f"{url} points to another data asset; name that: {asset.path}")
        found = self._open(url, inside, options)
        return FoundFiles(found.system, found.path, version)

    def _open(self, url: Url, place: DatastorePath, options: Mapping[str, Any]) -> FoundFiles:
        """Return the container of a datastore as a file system, with the datastore's credential."""
        azure = self.azure
        if place.workspace is not None:
            ids = dict(zip(("subscription_id", "resource_group", "workspace_name"), place.workspace, strict=True))
            azure = azure.model_copy(update=ids)
        connection = client(azure)
        store = _named(
            url,
            "datastore",
            place.datastore,
            lambda: connection.datastores.get(place.datastore, include_secrets=True),
            lambda: [each.name for each in connection.datastores.list()],
        )
        kind = _value(store.type)
        if kind not in _KINDS:
            text = f"{url}: the datastore {store.name} is of the kind {kind}, and only {' and '.join(_KINDS)} are read"
            raise LocationError(f"{text}; copy the table into one of these, such as workspaceblobstore")
        import adlfs

        with _without_variables():
            system = adlfs.AzureBlobFileSystem(
                **options,
                account_name=store.account_name,
                account_host=f"{store.account_name}.blob.{store.endpoint or 'core.windows.net'}",
                credential=_credential(url, store, azure),
                assume_container_exists=True,  # a signature is for what lies in it
                skip_instance_cache=True,
            )
        return FoundFiles(system, f"{getattr(store, _KINDS[kind])}/{place.path}")


def _asset(url: Url, place: DataAsset, connection: Any) -> Any:
    """Return a version of a data asset."""
    if place.version is None:
        get: Callable[[], Any] = lambda: connection.data.get(place.name, label="latest")  # noqa: E731
    else:
        get = lambda: connection.data.get(place.name, version=place.version)  # noqa: E731
    try:
        return _named(url, "data asset", place.name, get, lambda: [each.name for each in connection.data.list()])
    except _NoVersionError:
        known = [str(each.version) for each in connection.data.list(name=place.name)]
        text = f"there is no version {place.version} of the data asset {place.name}"
        raise LocationError(f"{url}: {text}{suggest_or_list(str(place.version), known)}") from None


class _NoVersionError(Exception):
    """There is a data asset of this name, and not in this version."""


def _named(url: Url, kind: str, name: str, get: Callable[[], Any], names: Callable[[], list[str]]) -> Any:
    """Return what the SDK gets by a name; name those that there are where there is none."""
    try:
        return get()
    except Exception as error:
        if type(error).__name__ not in _MISSING:
            raise
        known = names()
        if name in known:
            raise _NoVersionError from error
        raise LocationError(f"{url}: the workspace has no {kind} '{name}'{suggest_or_list(name, known)}") from None


def _credential(url: Url, store: Any, azure: AzureSpec) -> Any:
    """Return a datastore's credential as its container takes it; one without gets that of this machine."""
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
    from azure.identity import ClientSecretCredential

    known = store.credentials
    kind = _value(getattr(known, "type", None) or "none").lower().replace("_", "")
    if kind == "sas":
        return AzureSasCredential(known.sas_token.lstrip("?"))
    if kind == "accountkey":
        return AzureNamedKeyCredential(store.account_name, known.account_key)
    if kind == "serviceprincipal":
        return _AsyncCredential(ClientSecretCredential(known.tenant_id, known.client_id, known.client_secret))
    if kind == "none":
        return _AsyncCredential(credential(azure.auth))
    text = f"{url}: the datastore {store.name} has a credential of the kind {kind}, which is not used"
    raise LocationError(f"{text}; name the container: abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH")


def _value(kind: Any) -> str:
    """Return a kind as Azure writes it; the SDK has texts for some and members of enumerations for others."""
    return str(getattr(kind, "value", kind))


class _AsyncCredential:
    """A credential of azure-identity for asyncio, in which one of its ways to log in has no other form."""

    def __init__(self, known: Any) -> None:
        self._known = known

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        return await asyncio.to_thread(self._known.get_token, *scopes, **options)

    async def close(self) -> None:
        """Leave it open: files of a container share it, and it holds nothing that outlives the process."""


@contextmanager
def _without_variables() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(_VARIABLES)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _shown(path: object) -> str:
    return str(path).partition("?")[0]
