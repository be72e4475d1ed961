"""MLflow's model registry as Azure serves it: the same models as the model registry's, in MLflow's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from azure_emulator.common.filters import compare, comparisons
from azure_emulator.common.store import Document, Store
from azure_emulator.registry import models
from azure_emulator.tracking import mlflow_json as shapes
from azure_emulator.tracking import runs
from azure_emulator.tracking.mlflow_json import MlflowError, mapping, milliseconds, pairs

_RUN_ARTIFACTS = re.compile(r".*/runs/(?P<run>[^/]+)/artifacts/(?P<path>.+)")
_UPLOAD = re.compile(r"azureml://artifacts/(?P<prefix>.+)")


def _create_registered(store: Store, given: Mapping[str, Any]) -> Document:
    name = given["name"]
    if _registered(store, name) is not None:
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.")
    document = {
        "name": name,
        "description": given.get("description"),
        "tags": mapping(given.get("tags")),
        "aliases": {},
    }
    store.put("registered", name, document)
    return {"registered_model": _shown_registered(store, document)}


def _registered(store: Store, name: str) -> Document | None:
    """Also a model that was registered from the other side."""
    found = store.get("registered", name)
    if found is None and models.versions(store, name):
        found = {"name": name, "description": None, "tags": {}, "aliases": {}}
    return found


def _need(store: Store, name: str) -> Document:
    found = _registered(store, name)
    if found is None:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found")
    return found


def _shown_registered(store: Store, document: Document) -> Document:
    newest = models.versions(store, document["name"])[:1]
    shown: Document = {
        "name": document["name"],
        "description": document["description"] or "",
        "tags": pairs(document["tags"]),
        "aliases": [{"alias": alias, "version": version} for alias, version in document["aliases"].items()],
        "latest_versions": [_shown(store, one) for one in newest],
    }
    return shown


def _get_registered(store: Store, given: Mapping[str, Any]) -> Document:
    return {"registered_model": _shown_registered(store, _need(store, given["name"]))}


def _search_registered(store: Store, given: Mapping[str, Any]) -> Document:
    names = {one["name"] for one in store.all("registered")} | {one["name"] for one in store.all("model")}
    shown = [_shown_registered(store, _need(store, name)) for name in sorted(names)]
    return {"registered_models": _filtered(shown, given)}


def _filtered(shown: list[Document], given: Mapping[str, Any]) -> list[Document]:
    """A tag that is not there differs from every value: clients ask for what is *not* tagged as a prompt."""
    for section, key, sign, value in comparisons(given.get("filter") or ""):
        if section == "tag":
            shown = [one for one in shown if compare(mapping(one["tags"]).get(key, ""), sign, value)]
        else:
            shown = [one for one in shown if compare(one.get(key), sign, value)]
    return shown


def _set_registered_tag(store: Store, given: Mapping[str, Any]) -> Document:
    found = _need(store, given["name"])
    found["tags"][given["key"]] = given["value"]
    store.put("registered", found["name"], found)
    return {}


def _set_alias(store: Store, given: Mapping[str, Any]) -> Document:
    found = _need(store, given["name"])
    found["aliases"][given["alias"]] = str(given["version"])
    store.put("registered", found["name"], found)
    return {}


def _by_alias(store: Store, given: Mapping[str, Any]) -> Document:
    version = _need(store, given["name"])["aliases"].get(given["alias"])
    if version is None:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Registered model alias {given['alias']} not found.")
    return _get(store, {"name": given["name"], "version": version})


def _create(store: Store, given: Mapping[str, Any]) -> Document:
    _need(store, given["name"])
    run = runs.run(store, given.get("run_id") or "")
    asset = models.create_asset(store, {"name": given["name"], "artifacts": [{"prefix": _prefix(given["source"])}]})
    model = {
        "name": given["name"],
        "url": f"aml://asset/{asset['id']}",
        "kvTags": mapping(given.get("tags")),
        "properties": {"mlflow.source": given["source"]},
        "description": given.get("description"),
        "runId": given.get("run_id") or None,
        "experimentName": run["experimentName"] if run else None,
        "framework": "Custom",
    }
    return {"model_version": _shown(store, models.register(store, model))}


def _prefix(source: str) -> str:
    """The artifacts that a source names."""
    if match := _UPLOAD.fullmatch(source):
        return match["prefix"]
    if match := _RUN_ARTIFACTS.fullmatch(source):
        return f"ExperimentRun/dcid.{match['run']}/{match['path']}"
    raise MlflowError("INVALID_PARAMETER_VALUE", f"The source {source!r} is no artifact of this workspace.")


def _find(store: Store, given: Mapping[str, Any]) -> Document:
    found = store.get("model", f"{given['name']}:{given['version']}")
    if found is None:
        raise MlflowError(
            "RESOURCE_DOES_NOT_EXIST", f"Model Version (name={given['name']}, version={given['version']}) not found"
        )
    return found


def _get(store: Store, given: Mapping[str, Any]) -> Document:
    return {"model_version": _shown(store, _find(store, given))}


def _update(store: Store, given: Mapping[str, Any]) -> Document:
    found = _find(store, given) | {"description": given.get("description")}
    return {"model_version": _shown(store, store.put("model", found["id"], found))}


def _set_tag(store: Store, given: Mapping[str, Any]) -> Document:
    found = _find(store, given)
    found["kvTags"][given["key"]] = given["value"]
    store.put("model", found["id"], found)
    return {}


def _delete(store: Store, given: Mapping[str, Any]) -> Document:
    store.delete("model", _find(store, given)["id"])
    return {}


def _uri(store: Store, given: Mapping[str, Any]) -> Document:
    return {"artifact_uri": _find(store, given)["properties"].get("mlflow.source", "")}


def _search(store: Store, given: Mapping[str, Any]) -> Document:
    shown = [_shown(store, one) for one in models.versions(store)]
    return {"model_versions": _filtered(shown, given)}


def _latest(store: Store, given: Mapping[str, Any]) -> Document:
    return {"model_versions": [_shown(store, one) for one in models.versions(store, given["name"])[:1]]}


def _shown(store: Store, model: Document) -> Document:
    registered = store.get("registered", model["name"]) or {"aliases": {}}
    version = str(model["version"])
    return {
        "name": model["name"],
        "version": version,
        "creation_timestamp": milliseconds(model["createdTime"]),
        "last_updated_timestamp": milliseconds(model["modifiedTime"]),
        "current_stage": "None",
        "description": model["description"] or "",
        "source": model["properties"].get("mlflow.source", ""),
        "run_id": model["runId"] or "",
        "status": "READY",
        "tags": pairs(model["kvTags"]),
        "aliases": [alias for alias, of in registered["aliases"].items() if of == version],
    }


routes = shapes.routes(
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
