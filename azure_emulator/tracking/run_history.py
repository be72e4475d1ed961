"""Run history: experiments, runs, their events, and queries over them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.filters import matches
from azure_emulator.common.responses import get_store, json_response, service_error
from azure_emulator.common.store import Document, now
from azure_emulator.tracking import runs

_EVENTS = {
    "Start": "Running",
    "Completed": "Completed",
    "Failed": "Failed",
    "Canceled": "Canceled",
    "Cancelled": "Canceled",
}


def _experiment(request: Request) -> Document | None:
    path = request.path_params
    if "name" in path:
        return runs.experiment(get_store(request), path["name"])
    return runs.experiment_by_id(get_store(request), path["experiment_id"])


async def _get_experiment(request: Request) -> Response:
    experiment = _experiment(request)
    return json_response(experiment) if experiment else _not_found(request)


async def _create_experiment(request: Request) -> Response:
    experiment = _experiment(request)
    return json_response(experiment or runs.create_experiment(get_store(request), request.path_params["name"]))


async def _update_experiment(request: Request) -> Response:
    experiment = _experiment(request)
    if experiment is None:
        return _not_found(request)
    body = await request.json()
    experiment["tags"] |= body.get("tags") or {}
    experiment["description"] = body.get("description") or experiment["description"]
    if body.get("archive") is not None:
        experiment["archivedTime"] = now() if body["archive"] else None
    return json_response(get_store(request).put("experiment", experiment["name"], experiment))


async def _list_experiments(request: Request) -> Response:
    return json_response({"value": get_store(request).all("experiment")[::-1], "continuationToken": None})


async def _get_run(request: Request) -> Response:
    run = runs.run(get_store(request), request.path_params["run"])
    return json_response(_render(run)) if run else _not_found(request)


async def _details(request: Request) -> Response:
    run = runs.run(get_store(request), request.path_params["run"])
    if run is None:
        return _not_found(request)
    return json_response(_render(run) | {"target": "local", "logFiles": {}, "inputDatasets": [], "outputDatasets": []})


async def _modify_run(request: Request) -> Response:
    """Create or update the run: tags and properties are merged, other fields replaced."""
    parent = _experiment(request)
    if parent is None:
        return _not_found(request)
    body, run_id = await request.json(), request.path_params["run"]
    return json_response(_render(_modify(request, parent, run_id, body)))


def _modify(request: Request, parent: Document, run_id: str, fields: Document) -> Document:
    run = runs.run(get_store(request), run_id)
    if run is None:
        return runs.create_run(get_store(request), parent, run_id, fields)
    for name, value in fields.items():
        if name in {"tags", "properties"}:
            run[name] |= value or {}
        elif value is not None:
            run[name] = value
    return runs.save_run(get_store(request), run)


async def _modify_runs(request: Request) -> Response:
    parent = _experiment(request)
    if parent is None:
        return _not_found(request)
    body = (await request.json())["runs"]
    changed = {run["runId"]: _render(_modify(request, parent, run["runId"], run)) for run in body}
    return json_response({"runs": changed, "errors": {}})


async def _delete_tags(request: Request) -> Response:
    run = runs.run(get_store(request), request.path_params["run"])
    if run is None:
        return _not_found(request)
    for name in await request.json():
        run["tags"].pop(name, None)
    return json_response(_render(runs.save_run(get_store(request), run)))


async def _event(request: Request) -> Response:
    run = runs.run(get_store(request), request.path_params["run"])
    if run is None:
        return _not_found(request)
    event = await request.json()
    name = event["name"].rpartition(".")[2]
    if name in _EVENTS:
        run["status"] = _EVENTS[name]
        if name == "Start":
            run["startTimeUtc"] = run["startTimeUtc"] or now()
        else:
            run["endTimeUtc"] = now()
    elif name == "Error":
        run["error"] = (event.get("data") or {}).get("errorResponse") or event.get("data")
    runs.save_run(get_store(request), run)
    return json_response({})


async def _query_runs(request: Request) -> Response:
    parent = _experiment(request)
    if parent is None:
        return _not_found(request)

    return json_response(_page(runs.runs_of(get_store(request), parent["experimentId"]), await request.json()))


async def _children(request: Request) -> Response:
    run_id = request.path_params["run"]
    children = [run for run in get_store(request).all("run") if run["parentRunId"] == run_id]
    return json_response({"value": [_render(run) for run in children], "continuationToken": None})


def _page(matching: list[Document], query: Document) -> Document:
    matching = [run for run in matching if matches(run, query.get("filter") or "")]
    if order := query.get("orderby") or query.get("orderBy"):
        field, _, direction = order.partition(" ")
        key = field[:1].lower() + field[1:]
        matching.sort(key=lambda run: str(run.get(key) or ""), reverse=direction == "desc")
    begin, size = int(query.get("continuationToken") or 0), query.get("top") or 100
    rest = str(begin + size) if begin + size < len(matching) else None
    return {"value": [_render(run) for run in matching[begin : begin + size]], "continuationToken": rest}


def _render(document: Document) -> Document:
    return {key: value for key, value in document.items() if key not in {"params", "experimentName"}}


async def _wait(_: Request) -> Response:
    return json_response({})  # metrics are available at once


def _not_found(request: Request) -> Response:
    return service_error(404, "UserError", f"{request.url.path.rpartition('/')[2]} was not found")


_BASE = "/history/v1.0"


def _both(method: str, end: str, handler: object) -> list[Route]:
    """Return the routes under the experiment's name and under its id."""
    homes = (f"{_BASE}/experiments/{{name}}", f"{_BASE}/experimentids/{{experiment_id}}")
    return [Route(f"{home}{end}", handler, methods=[method]) for home in homes]  # type: ignore[arg-type]  # any handler


routes = [
    Route(f"{_BASE}/experiments:query", _list_experiments, methods=["POST"]),
    Route(f"{_BASE}/runs/{{run}}", _get_run),
    Route(f"{_BASE}/experiments/{{name}}", _create_experiment, methods=["POST"]),
    *_both("GET", "", _get_experiment),
    *_both("PATCH", "", _update_experiment),
    *_both("POST", "/runs:query", _query_runs),
    *_both("PATCH", "/batch/runs", _modify_runs),
    *_both("GET", "/runs/{run}", _get_run),
    *_both("PATCH", "/runs/{run}", _modify_run),
    *_both("GET", "/runs/{run}/details", _details),
    *_both("GET", "/runs/{run}/children", _children),
    *_both("DELETE", "/runs/{run}/tags", _delete_tags),
    *_both("POST", "/runs/{run}/events", _event),
    *_both("GET", "/runs/{run}/metricsingest/wait", _wait),
]
