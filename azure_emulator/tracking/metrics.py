"""The metric service: log values in batches, list metrics, read all values of one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.responses import get_store, json_response, service_error
from azure_emulator.tracking import runs


async def _log(request: Request) -> Response:
    for metric in (await request.json())["values"]:
        runs.log_metrics(get_store(request), request.path_params["run"], metric)
    return json_response({"errors": []})


async def _list(request: Request) -> Response:
    metrics = runs.metrics(get_store(request), request.path_params["run"])
    value = [
        {"metricKey": {"namespace": "", "name": metric["name"]}, "columns": metric["columns"]} for metric in metrics
    ]
    return json_response({"value": value, "continuationToken": None, "nextLink": None})


async def _full(request: Request) -> Response:
    name = (await request.json())["metricName"]
    metric = get_store(request).get("metric", f"{request.path_params['run']}\n{name}")
    return json_response(metric) if metric else service_error(404, "UserError", f"Metric {name} was not found")


_BASE = "/metric/v2.0/runs/{run}"
routes = [
    Route(f"{_BASE}/batch", _log, methods=["POST"]),
    Route(f"{_BASE}/list", _list, methods=["POST"]),
    Route(f"{_BASE}/full", _full, methods=["POST"]),
]
