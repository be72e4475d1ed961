"""MLflow tracking as Azure serves it: experiments, runs, params, tags and metrics. There are no logged models: 404."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from azure_emulator.common.filters import compare, comparisons
from azure_emulator.common.store import Document, Store
from azure_emulator.tracking import mlflow_json as shapes
from azure_emulator.tracking import runs

_ORDER = re.compile(r"(?:(?P<section>[a-z]+)\.)?(?P<key>.+?)(?:\s+(?P<direction>asc|desc))?", re.IGNORECASE)


def _create_experiment(store: Store, given: Mapping[str, Any]) -> Document:
    if runs.experiment(store, given["name"]):
        raise shapes.MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment '{given['name']}' already exists.")
    return {
        "experiment_id": runs.create_experiment(store, given["name"], shapes.mapping(given.get("tags")))["experimentId"]
    }


def _get_experiment(store: Store, given: Mapping[str, Any]) -> Document:
    if "experiment_name" in given:
        found = runs.experiment(store, given["experiment_name"])
    else:
        found = runs.experiment_by_id(store, given["experiment_id"])
    if found is None:
        raise shapes.MlflowError("RESOURCE_DOES_NOT_EXIST", f"Experiment {next(iter(given.values()))} does not exist.")
    return {"experiment": shapes.shown_experiment(found)}


def _search_experiments(store: Store, given: Mapping[str, Any]) -> Document:
    shown = [shapes.shown_experiment(one) for one in store.all("experiment")]
    for _, key, sign, value in comparisons(given.get("filter") or ""):
        shown = [one for one in shown if compare(one.get(key), sign, value)]
    return {"experiments": shown[::-1]}


def _set_experiment_tag(store: Store, given: Mapping[str, Any]) -> Document:
    found = runs.experiment_by_id(store, given["experiment_id"])
    if found is None:
        raise shapes.MlflowError("RESOURCE_DOES_NOT_EXIST", f"Experiment {given['experiment_id']} does not exist.")
    found["tags"][given["key"]] = given["value"]
    store.put("experiment", found["name"], found)
    return {}


def _find(store: Store, given: Mapping[str, Any]) -> Document:
    run_id = given.get("run_id") or given.get("run_uuid") or ""
    found = runs.run(store, run_id)
    if found is None:
        raise shapes.MlflowError("RESOURCE_DOES_NOT_EXIST", f"Run '{run_id}' not found")
    return found


def _create_run(store: Store, given: Mapping[str, Any]) -> Document:
    parent = runs.experiment_by_id(store, given["experiment_id"])
    if parent is None:
        raise shapes.MlflowError("RESOURCE_DOES_NOT_EXIST", f"Experiment {given['experiment_id']} does not exist.")
    tags = shapes.mapping(given.get("tags"))
    document = {
        "status": "Running",
        "startTimeUtc": shapes.written(int(given.get("start_time") or 0)),
        "tags": tags,
        "parentRunId": tags.get(shapes.PARENT),
        "displayName": given.get("run_name") or tags.get("mlflow.runName"),
    }
    return {"run": shapes.shown_run(store, runs.create_run(store, parent, str(uuid.uuid4()), document))}


def _get_run(store: Store, given: Mapping[str, Any]) -> Document:
    return {"run": shapes.shown_run(store, _find(store, given))}


def _update_run(store: Store, given: Mapping[str, Any]) -> Document:
    found = _find(store, given)
    if status := given.get("status"):
        found["status"] = shapes.TO_HISTORY[status]
    if given.get("end_time"):
        found["endTimeUtc"] = shapes.written(int(given["end_time"]))
    if given.get("run_name"):
        found["displayName"] = given["run_name"]
    return {"run_info": shapes.shown_run(store, runs.save_run(store, found))["info"]}


def _log_batch(store: Store, given: Mapping[str, Any]) -> Document:
    found = _find(store, given)
    for param in given.get("params", []):
        if found["params"].setdefault(param["key"], param["value"]) != param["value"]:
            raise shapes.MlflowError(
                "INVALID_PARAMETER_VALUE", f"Param '{param['key']}' was logged already with another value."
            )
    found["tags"] |= shapes.mapping(given.get("tags"))
    runs.save_run(store, found)
    points: dict[str, list[Document]] = {}
    for metric in given.get("metrics", []):
        at, step = shapes.written(int(metric.get("timestamp") or 0)), int(metric.get("step") or 0)
        point = {"data": {metric["key"]: metric["value"]}, "step": step, "createdUtc": at}
        points.setdefault(metric["key"], []).append(point)
    for name, values in points.items():
        runs.log_scalar(store, found["runId"], name, values)
    return {}


def _log_batch_async(store: Store, given: Mapping[str, Any]) -> Document:
    return {"batch_tracking_id": "", **_log_batch(store, given)}  # no id: there is nothing to wait for


def _log_metric(store: Store, given: Mapping[str, Any]) -> Document:
    return _log_batch(store, {"run_id": given["run_id"], "metrics": [given]})


def _log_param(store: Store, given: Mapping[str, Any]) -> Document:
    return _log_batch(store, {"run_id": given["run_id"], "params": [given]})


def _set_tag(store: Store, given: Mapping[str, Any]) -> Document:
    return _log_batch(store, {"run_id": given["run_id"], "tags": [given]})


def _delete_tag(store: Store, given: Mapping[str, Any]) -> Document:
    found = _find(store, given)
    found["tags"].pop(given["key"], None)
    runs.save_run(store, found)
    return {}


def _history(store: Store, given: Mapping[str, Any]) -> Document:
    found = store.get("metric", f"{_find(store, given)['runId']}\n{given['metric_key']}")
    return {"metrics": shapes.points(found) if found else []}


def _delete_run(store: Store, given: Mapping[str, Any]) -> Document:
    runs.save_run(store, _find(store, given) | {"hidden": True})
    return {}


def _restore_run(store: Store, given: Mapping[str, Any]) -> Document:
    runs.save_run(store, _find(store, given) | {"hidden": False})
    return {}


def _search_runs(store: Store, given: Mapping[str, Any]) -> Document:
    hidden = {"DELETED_ONLY": {True}, "ALL": {True, False}}.get(given.get("run_view_type", ""), {False})
    found = [one for name in given.get("experiment_ids", []) for one in runs.runs_of(store, name)]
    shown = [shapes.shown_run(store, one) for one in found if one["hidden"] in hidden]
    for section, key, sign, value in comparisons(given.get("filter") or ""):
        shown = [one for one in shown if compare(_value(one, section, key), sign, value)]
    for order in reversed(given.get("order_by", [])):
        shown = _sorted(shown, order)
    begin, size = int(given.get("page_token") or 0), int(given.get("max_results") or 1000)
    more = {"next_page_token": str(begin + size)} if begin + size < len(shown) else {}
    return {"runs": shown[begin : begin + size], **more}


def _value(run: Document, section: str, key: str) -> Any:
    if section in {"attribute", "attr", "run"}:
        return run["info"].get("run_name" if key == "Run name" else key)
    pairs = run["data"].get(f"{section}s" if section != "parameter" else "params", [])
    return next((one["value"] for one in pairs if one["key"] == key), None)


def _sorted(shown: list[Document], order: str) -> list[Document]:
    match = _ORDER.fullmatch(order.strip())
    if match is None:
        raise ValueError(f"Invalid order_by clause {order!r}")
    section, key = (match["section"] or "attribute").rstrip("s"), match["key"].strip('`"')
    known = [one for one in shown if _value(one, section, key) is not None]
    unknown = [one for one in shown if _value(one, section, key) is None]  # last in either direction
    descending = (match["direction"] or "").upper() == "DESC"
    return sorted(known, key=lambda one: _value(one, section, key), reverse=descending) + unknown


def _ignore(_: Store, __: Mapping[str, Any]) -> Document:
    return {}


_CALLS = {
    "GET experiments/get": _get_experiment,
    "GET experiments/get-by-name": _get_experiment,
    "GET experiments/search": _search_experiments,
    "POST experiments/search": _search_experiments,
    "POST experiments/create": _create_experiment,
    "POST experiments/set-experiment-tag": _set_experiment_tag,
    "GET runs/get": _get_run,
    "GET metrics/get-history": _history,
    "POST runs/create": _create_run,
    "POST runs/update": _update_run,
    "POST runs/log-batch": _log_batch,
    "POST runs/log-batch-async": _log_batch_async,
    "POST runs/log-metric": _log_metric,
    "POST runs/log-parameter": _log_param,
    "POST runs/log-inputs": _ignore,
    "POST runs/set-tag": _set_tag,
    "POST runs/delete-tag": _delete_tag,
    "POST runs/delete": _delete_run,
    "POST runs/restore": _restore_run,
    "POST runs/search": _search_runs,
}
routes = shapes.routes(_CALLS)
