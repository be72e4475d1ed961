"""MLflow's model registry API over the models of the model registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from azure_emulator.common.filters import compare, comparisons
from azure_emulator.common.store import Document, Store
from azure_emulator.registry import models
from azure_emulator.tracking import mlflow_json, runs
from azure_emulator.tracking.mlflow_json import MlflowError, to_mapping, to_milliseconds, to_pairs

_RUN_ARTIFACTS = re.compile(r".*/runs/(?P<run>[^/]+)/artifacts/(?P<path>.+)")
_UPLOAD = re.compile(r"azureml://artifacts/(?P<prefix>.+)")


def _create_registered(store: Store, fields: Mapping[str, Any]) -> Document:
    name = fields["name"]
    if _registered(store, name) is not None:
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.")
    document = {
        "name": name,
        "description": fields.get("description"),
        "tags": to_mapping(fields.get("tags")),
        "aliases": {},
    }
    store.put("registered", name, document)
    return {"registered_model": _render_registered(store, document)}


def _registered(store: Store, name: str) -> Document | None:
    """Return a registered model, also one that an SDK registered."""
    registered = store.get("registered", name)
    if registered is None and models.versions(store, name):
        registered = {"name": name, "description": None, "tags": {}, "aliases": {}}
    return registered


def _require(store: Store, name: str) -> Document:
    registered = _registered(store, name)
    if registered is None:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found")
    return registered


def _render_registered(store: Store, document: Document) -> Document:
    newest = models.versions(store, document["name"])[:1]
    rendered: Document = {
        "name": document["name"],
        "description": document["description"] or "",
        "tags": to_pairs(document["tags"]),
        "aliases": [{"alias": alias, "version": version} for alias, version in document["aliases"].items()],
        "latest_versions": [_render(store, version) for version in newest],
    }
    return rendered


def _get_registered(store: Store, fields: Mapping[str, Any]) -> Document:
    return {"registered_model": _render_registered(store, _require(store, fields["name"]))}


def _search_registered(store: Store, fields: Mapping[str, Any]) -> Document:
    names = {model["name"] for model in store.all("registered")} | {model["name"] for model in store.all("model")}
    candidates = [_render_registered(store, _require(store, name)) for name in sorted(names)]
    return {"registered_models": _filtered(candidates, fields)}


def _filtered(candidates: list[Document], fields: Mapping[str, Any]) -> list[Document]:
    """Filter models; a missing tag differs from every value, as clients ask for models *not* tagged as a prompt."""
    for section, key, sign, value in comparisons(fields.get("filter") or ""):
        if section == "tag":
            candidates = [model for model in candidates if compare(to_mapping(model["tags"]).get(key, ""), sign, value)]
        else:
            candidates = [model for model in candidates if compare(model.get(key), sign, value)]
    return candidates


def _set_registered_tag(store: Store, fields: Mapping[str, Any]) -> Document:
    registered = _require(store, fields["name"])
    registered["tags"][fields["key"]] = fields["value"]
    store.put("registered", registered["name"], registered)
    return {}


def _set_alias(store: Store, fields: Mapping[str, Any]) -> Document:
    registered = _require(store, fields["name"])
    registered["aliases"][fields["alias"]] = str(fields["version"])
    store.put("registered", registered["name"], registered)
    return {}


def _by_alias(store: Store, fields: Mapping[str, Any]) -> Document:
    version = _require(store, fields["name"])["aliases"].get(fields["alias"])
    if version is None:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Registered model alias {fields['alias']} not found.")
    return _get(store, {"name": fields["name"], "version": version})


def _create(store: Store, fields: Mapping[str, Any]) -> Document:
    _require(store, fields["name"])
    run = runs.run(store, fields.get("run_id") or "")
    asset = models.create_asset(store, {"name": fields["name"], "artifacts": [{"prefix": _prefix(fields["source"])}]})
    model = {
        "name": fields["name"],
        "url": f"aml://asset/{asset['id']}",
        "kvTags": to_mapping(fields.get("tags")),
        "properties": {"mlflow.source": fields["source"]},
        "description": fields.get("description"),
        "runId": fields.get("run_id") or None,
        "experimentName": run["experimentName"] if run else None,
        "framework": "Custom",
    }
    return {"model_version": _render(store, models.register(store, model))}


def _prefix(source: str) -> str:
    """Return the prefix of the artifacts that a source refers to."""
    if match := _UPLOAD.fullmatch(source):
        return match["prefix"]
    if match := _RUN_ARTIFACTS.fullmatch(source):
        return f"ExperimentRun/dcid.{match['run']}/{match['path']}"
    raise MlflowError("INVALID_PARAMETER_VALUE", f"The source {source!r} is no artifact of this workspace.")


def _find(store: Store, fields: Mapping[str, Any]) -> Document:
    version = store.get("model", f"{fields['name']}:{fields['version']}")
    if version is None:
        raise MlflowError(
            "RESOURCE_DOES_NOT_EXIST", f"Model Version (name={fields['name']}, version={fields['version']}) not found"
        )
    return version


def _get(store: Store, fields: Mapping[str, Any]) -> Document:
    return {"model_version": _render(store, _find(store, fields))}


def _update(store: Store, fields: Mapping[str, Any]) -> Document:
    version = _find(store, fields) | {"description": fields.get("description")}
    return {"model_version": _render(store, store.put("model", version["id"], version))}


def _set_tag(store: Store, fields: Mapping[str, Any]) -> Document:
    version = _find(store, fields)
    version["kvTags"][fields["key"]] = fields["value"]
    store.put("model", version["id"], version)
    return {}


def _delete(store: Store, fields: Mapping[str, Any]) -> Document:
    store.delete("model", _find(store, fields)["id"])
    return {}


def _uri(store: Store, fields: Mapping[str, Any]) -> Document:
    return {"artifact_uri": _find(store, fields)["properties"].get("mlflow.source", "")}


def _search(store: Store, fields: Mapping[str, Any]) -> Document:
    candidates = [_render(store, version) for version in models.versions(store)]
    return {"model_versions": _filtered(candidates, fields)}


def _latest(store: Store, fields: Mapping[str, Any]) -> Document:
    return {"model_versions": [_render(store, version) for version in models.versions(store, fields["name"])[:1]]}


def _render(store: Store, model: Document) -> Document:
    registered = store.get("registered", model["name"]) or {"aliases": {}}
    version = str(model["version"])
    return {
        "name": model["name"],
        "version": version,
        "creation_timestamp": to_milliseconds(model["createdTime"]),
        "last_updated_timestamp": to_milliseconds(model["modifiedTime"]),
        "current_stage": "None",
        "description": model["description"] or "",
        "source": model["properties"].get("mlflow.source", ""),
        "run_id": model["runId"] or "",
        "status": "READY",
        "tags": to_pairs(model["kvTags"]),
        "aliases": [alias for alias, of in registered["aliases"].items() if of == version],
    }


routes = mlflow_json.routes(
    {
        "POST registered-models/create": _create_registered,
        "GET registered-models/get": _get_registered,
        "GET registered-models/search": _search_registered,
        "POST registered-models/set-tag": _set_registered_tag,
        "POST registered-models/alias": _set_alias,
        "GET registered-models/alias": _by_alias,
        "GET registered-models/get-latest-versions": _latest,
        "POST registered-models/get-latest-versions": _latest,
        "POST model-versions/create": _create,
        "GET model-versions/get": _get,
        "PATCH model-versions/update": _update,
        "DELETE model-versions/delete": _delete,
        "POST model-versions/set-tag": _set_tag,
        "GET model-versions/get-download-uri": _uri,
        "GET model-versions/search": _search,
    }
)
