"""Place: a path or a URL in the configuration, and the options of a URL's file system."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, StrictStr
from pydantic_core import CoreSchema, core_schema

from orchestrator.locations.urls import ENVIRONMENT, Url, is_url, refuse_credentials
from orchestrator.locations.workspace_files import PROTOCOL, DataAsset, is_in_workspace, parse_place
from orchestrator.redaction import is_secret_name
from orchestrator.spec.field_types import resolve_input
from orchestrator.spec.messages import format_value


@dataclass(frozen=True)
class _PathOrUrl:
    """A validator that takes what looks like a URL for one, and anything else for a path, which is then resolved."""

    resolve: Callable[[Path], Path]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        as_text = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_wrap_validator_function(
            self._read, handler.generate_schema(Path), serialization=as_text
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "path"}

    def _read(self, value: Any, as_path: core_schema.ValidatorFunctionWrapHandler) -> Path | Url:
        if isinstance(value, Url):
            return value
        if isinstance(value, str) and is_url(value):
            if value.lower().startswith(f"{PROTOCOL}:"):
                parse_place(value)
            if value.lower().startswith("file://"):
                return Path(unquote(urlsplit(value).path))
            refuse_credentials(value)
            return Url(value)
        path: Path = as_path(value)
        return self.resolve(path)


def _writable(place: Path | Url) -> Path | Url:
    """Refuse what nothing can be written to, and a variable, beside whose URL no file could be named."""
    if isinstance(place, Url) and (place.text.startswith((ENVIRONMENT, "http:", "https:")) or "::" in place.text):
        kind = "a variable" if place.text.startswith(ENVIRONMENT) else f"{place.protocol}://"
        raise ValueError(
            f"{kind} cannot be written to; name a file, or one in a bucket such as s3://BUCKET/scored.parquet, whose "
            "credentials come from the environment"
        )
    if is_in_workspace(place) and isinstance(parse_place(str(place)), DataAsset):
        raise ValueError(
            "is a version of a data asset, which cannot be written to; name a file in a datastore: "
            "azureml://datastores/NAME/paths/FOLDER/scored.parquet"
        )
    return place


def _without_secrets(options: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in options.items():
        if is_secret_name(name):
            raise ValueError(
                f"{format_value(name)} would be kept in the run's files; credentials come from the environment, as the "
                "storage's own tools read them (AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_ACCOUNT_KEY ...)"
            )
        if isinstance(value, Mapping):
            _without_secrets(value)
    return options


def place_of_rows(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of ``data`` with the place of a database's rows, and refuse keys of other formats.

    Raises:
        ValueError: a key is missing or of another format; the text begins with it.
    """
    kind = values.get("format")
    for key, wanted in (("query", "sql"), ("table", "sql"), ("connection_env", "sql"), ("version", "delta")):
        if values.get(key) is not None and kind != wanted:
            raise ValueError(f"{key}: data={kind} has no such key; it is for data={wanted}")
    if kind != "sql":
        return values
    if values.get("path") is not None:
        text = "a database's URL may hold a password, which the run's files would keep; put it into an environment variable"
        raise ValueError(f"path: {text} and name that: data.connection_env=DATABASE_URL")
    query, table, name = (values.get(key) for key in ("query", "table", "connection_env"))
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
        text = "should name the environment variable with the database's URL, such as DATABASE_URL"
        got = "" if isinstance(name, str) and is_url(name) else f", got {format_value(name)}"
        raise ValueError(f"connection_env: {text}{got}; the URL itself may hold a password")
    if (query is None) == (table is None):
        raise ValueError("query: write data.query, a SELECT, or data.table, a table's name, and not both")
    return {**values, "path": Url(f"{ENVIRONMENT}{name}#{table if isinstance(table, str) else 'query'}")}


Place = Annotated[Path | Url, _PathOrUrl(resolve_input)]
OutputPlace = Annotated[Path | Url, _PathOrUrl(lambda path: path.expanduser().resolve()), AfterValidator(_writable)]
StorageOptions = Annotated[Mapping[StrictStr, Any], AfterValidator(_without_secrets)]
