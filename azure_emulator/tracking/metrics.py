"""The metric service: values logged in batches, the names there are, and every value of one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.responses import answer, service_error, store
from azure_emulator.tracking import runs


async def _log(request: Request) -> Response:
    for metric in (await request.json())["values"]:
        runs.log_metrics(store(request), request.path_params["run"], metric)
    return answer({"errors": []})


async def _list(request: Request) -> Response:
    found = runs.metrics(store(request), request.path_params["run"])
    value = [{"metricKey": {"namespace": "", "name": one["name"]}, "columns": one["columns"]} for one in found]
    return answer({"value": value, "continuationToken": None, "nextLink": None})


async def _full(request: Request) -> Response:
    name = (await request.json())["metricName"]
    found = store(request).get("metric", f"{request.path_params['run']}\n{name}")
    return answer(found) if found else service_error(404, "UserError", f"Metric {name} was not found")


_BASE = "/metric/v2.0/runs/{run}"
routes = [
    Route(f"{_BASE}/batch", _log, methods=["POST"]),
    Route(f"{_BASE}/list", _list, methods=["POST"]),
    Route(f"{_BASE}/full", _full, methods=["POST"]),
]
