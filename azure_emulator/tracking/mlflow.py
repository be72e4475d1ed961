"""MLflow's tracking API as Azure serves it: experiments, runs, params, tags and metrics; logged models are 404."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from azure_emulator.common.filters import compare, comparisons
from azure_emulator.common.store import Document, Store
from azure_emulator.tracking import mlflow_json, runs

_ORDER = re.compile(r"(?:(?P<section>[a-z]+)\.)?(?P<key>.+?)(?:\s+(?P<direction>asc|desc))?", re.IGNORECASE)


def _create_experiment(store: Store, fields: Mapping[str, Any]) -> Document:
    if runs.experiment(store, fields["name"]):
        raise mlflow_json.MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment '{fields['name']}' already exists.")
    return {
        "experiment_id": runs.create_experiment(store, fields["name"], mlflow_json.to_mapping(fields.get("tags")))[
            "experimentId"
        ]
    }


def _get_experiment(store: Store, fields: Mapping[str, Any]) -> Document:
    if "experiment_name" in fields:
        experiment = runs.experiment(store, fields["experiment_name"])
    else:
        experiment = runs.experiment_by_id(store, fields["experiment_id"])
    if experiment is None:
        raise mlflow_json.MlflowError(
            "RESOURCE_DOES_NOT_EXIST", f"Experiment {next(iter(fields.values()))} does not exist."
        )
    return {"experiment": mlflow_json.render_experiment(experiment)}


def _search_experiments(store: Store, fields: Mapping[str, Any]) -> Document:
    matching = [mlflow_json.render_experiment(experiment) for experiment in store.all("experiment")]
    for _, key, sign, value in comparisons(fields.get("filter") or ""):
        matching = [experiment for experiment in matching if compare(experiment.get(key), sign, value)]
    return {"experiments": matching[::-1]}


def _set_experiment_tag(store: Store, fields: Mapping[str, Any]) -> Document:
    experiment = runs.experiment_by_id(store, fields["experiment_id"])
    if experiment is None:
        raise mlflow_json.MlflowError(
            "RESOURCE_DOES_NOT_EXIST", f"Experiment {fields['experiment_id']} does not exist."
        )
    experiment["tags"][fields["key"]] = fields["value"]
    store.put("experiment", experiment["name"], experiment)
    return {}


def _find(store: Store, fields: Mapping[str, Any]) -> Document:
    run_id = fields.get("run_id") or fields.get("run_uuid") or ""
    run = runs.run(store, run_id)
    if run is None:
        raise mlflow_json.MlflowError("RESOURCE_DOES_NOT_EXIST", f"Run '{run_id}' not found")
    return run


def _create_run(store: Store, fields: Mapping[str, Any]) -> Document:
    parent = runs.experiment_by_id(store, fields["experiment_id"])
    if parent is None:
        raise mlflow_json.MlflowError(
            "RESOURCE_DOES_NOT_EXIST", f"Experiment {fields['experiment_id']} does not exist."
        )
    tags = mlflow_json.to_mapping(fields.get("tags"))
    document = {
        "status": "Running",
        "startTimeUtc": mlflow_json.to_iso(int(fields.get("start_time") or 0)),
        "tags": tags,
        "parentRunId": tags.get(mlflow_json.PARENT),
        "displayName": fields.get("run_name") or tags.get("mlflow.runName"),
    }
    return {"run": mlflow_json.render_run(store, runs.create_run(store, parent, str(uuid.uuid4()), document))}


def _get_run(store: Store, fields: Mapping[str, Any]) -> Document:
    return {"run": mlflow_json.render_run(store, _find(store, fields))}


def _update_run(store: Store, fields: Mapping[str, Any]) -> Document:
    run = _find(store, fields)
    if status := fields.get("status"):
        run["status"] = mlflow_json.TO_HISTORY[status]
    if fields.get("end_time"):
        run["endTimeUtc"] = mlflow_json.to_iso(int(fields["end_time"]))
    if fields.get("run_name"):
        run["displayName"] = fields["run_name"]
    return {"run_info": mlflow_json.render_run(store, runs.save_run(store, run))["info"]}


def _log_batch(store: Store, fields: Mapping[str, Any]) -> Document:
    run = _find(store, fields)
    for param in fields.get("params", []):
        if run["params"].setdefault(param["key"], param["value"]) != param["value"]:
            raise mlflow_json.MlflowError(
                "INVALID_PARAMETER_VALUE", f"Param '{param['key']}' was logged already with another value."
            )
    run["tags"] |= mlflow_json.to_mapping(fields.get("tags"))
    runs.save_run(store, run)
    points: dict[str, list[Document]] = {}
    for metric in fields.get("metrics", []):
        at, step = mlflow_json.to_iso(int(metric.get("timestamp") or 0)), int(metric.get("step") or 0)
        point = {"data": {metric["key"]: metric["value"]}, "step": step, "createdUtc": at}
        points.setdefault(metric["key"], []).append(point)
    for name, values in points.items():
        runs.log_scalar(store, run["runId"], name, values)
    return {}


def _log_batch_async(store: Store, fields: Mapping[str, Any]) -> Document:
    return {"batch_tracking_id": "", **_log_batch(store, fields)}  # no id: there is nothing to wait for


def _log_metric(store: Store, fields: Mapping[str, Any]) -> Document:
    return _log_batch(store, {"run_id": fields["run_id"], "metrics": [fields]})


def _log_param(store: Store, fields: Mapping[str, Any]) -> Document:
    return _log_batch(store, {"run_id": fields["run_id"], "params": [fields]})


def _set_tag(store: Store, fields: Mapping[str, Any]) -> Document:
    return _log_batch(store, {"run_id": fields["run_id"], "tags": [fields]})


def _delete_tag(store: Store, fields: Mapping[str, Any]) -> Document:
    run = _find(store, fields)
    run["tags"].pop(fields["key"], None)
    runs.save_run(store, run)
    return {}


def _history(store: Store, fields: Mapping[str, Any]) -> Document:
    metric = store.get("metric", f"{_find(store, fields)['runId']}\n{fields['metric_key']}")
    return {"metrics": mlflow_json.metric_points(metric) if metric else []}


def _delete_run(store: Store, fields: Mapping[str, Any]) -> Document:
    runs.save_run(store, _find(store, fields) | {"hidden": True})
    return {}


def _restore_run(store: Store, fields: Mapping[str, Any]) -> Document:
    runs.save_run(store, _find(store, fields) | {"hidden": False})
    return {}


def _search_runs(store: Store, fields: Mapping[str, Any]) -> Document:
    hidden = {"DELETED_ONLY": {True}, "ALL": {True, False}}.get(fields.get("run_view_type", ""), {False})
    runs_of_experiments = [run for name in fields.get("experiment_ids", []) for run in runs.runs_of(store, name)]
    matching = [mlflow_json.render_run(store, run) for run in runs_of_experiments if run["hidden"] in hidden]
    for section, key, sign, value in comparisons(fields.get("filter") or ""):
        matching = [run for run in matching if compare(_value(run, section, key), sign, value)]
    for order in reversed(fields.get("order_by", [])):
        matching = _sorted(matching, order)
    begin, size = int(fields.get("page_token") or 0), int(fields.get("max_results") or 1000)
    more = {"next_page_token": str(begin + size)} if begin + size < len(matching) else {}
    return {"runs": matching[begin : begin + size], **more}


def _value(run: Document, section: str, key: str) -> Any:
    if section in {"attribute", "attr", "run"}:
        return run["info"].get("run_name" if key == "Run name" else key)
    values = run["data"].get(f"{section}s" if section != "parameter" else "params", [])
    return next((pair["value"] for pair in values if pair["key"] == key), None)


def _sorted(candidates: list[Document], order: str) -> list[Document]:
    match = _ORDER.fullmatch(order.strip())
    if match is None:
        raise ValueError(f"Invalid order_by clause {order!r}")
    section, key = (match["section"] or "attribute").rstrip("s"), match["key"].strip('`"')
    with_value = [run for run in candidates if _value(run, section, key) is not None]
    without_value = [run for run in candidates if _value(run, section, key) is None]  # last in either direction
    descending = (match["direction"] or "").upper() == "DESC"
    return sorted(with_value, key=lambda run: _value(run, section, key), reverse=descending) + without_value


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
routes = mlflow_json.routes(_CALLS)
