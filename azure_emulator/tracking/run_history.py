"""Run history: experiments, runs, their events, and queries over them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.filters import matches
from azure_emulator.common.responses import answer, service_error, store
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
    given = request.path_params
    if "name" in given:
        return runs.experiment(store(request), given["name"])
    return runs.experiment_by_id(store(request), given["experiment_id"])


async def _get_experiment(request: Request) -> Response:
    found = _experiment(request)
    return answer(found) if found else _missing(request)


async def _create_experiment(request: Request) -> Response:
    found = _experiment(request)
    return answer(found or runs.create_experiment(store(request), request.path_params["name"]))


async def _update_experiment(request: Request) -> Response:
    found = _experiment(request)
    if found is None:
        return _missing(request)
    given = await request.json()
    found["tags"] |= given.get("tags") or {}
    found["description"] = given.get("description") or found["description"]
    if given.get("archive") is not None:
        found["archivedTime"] = now() if given["archive"] else None
    return answer(store(request).put("experiment", found["name"], found))


async def _list_experiments(request: Request) -> Response:
    return answer({"value": store(request).all("experiment")[::-1], "continuationToken": None})


async def _get_run(request: Request) -> Response:
    found = runs.run(store(request), request.path_params["run"])
    return answer(_shown(found)) if found else _missing(request)


async def _details(request: Request) -> Response:
    found = runs.run(store(request), request.path_params["run"])
    if found is None:
        return _missing(request)
    return answer(_shown(found) | {"target": "local", "logFiles": {}, "inputDatasets": [], "outputDatasets": []})


async def _modify_run(request: Request) -> Response:
    """Create the run, or change it: tags and properties are added, other fields replaced."""
    parent = _experiment(request)
    if parent is None:
        return _missing(request)
    given, run_id = await request.json(), request.path_params["run"]
    return answer(_shown(_modify(request, parent, run_id, given)))


def _modify(request: Request, parent: Document, run_id: str, given: Document) -> Document:
    found = runs.run(store(request), run_id)
    if found is None:
        return runs.create_run(store(request), parent, run_id, given)
    for name, value in given.items():
        if name in {"tags", "properties"}:
            found[name] |= value or {}
        elif value is not None:
            found[name] = value
    return runs.save_run(store(request), found)


async def _modify_runs(request: Request) -> Response:
    parent = _experiment(request)
    if parent is None:
        return _missing(request)
    given = (await request.json())["runs"]
    changed = {one["runId"]: _shown(_modify(request, parent, one["runId"], one)) for one in given}
    return answer({"runs": changed, "errors": {}})


async def _delete_tags(request: Request) -> Response:
    found = runs.run(store(request), request.path_params["run"])
    if found is None:
        return _missing(request)
    for name in await request.json():
        found["tags"].pop(name, None)
    return answer(_shown(runs.save_run(store(request), found)))


async def _event(request: Request) -> Response:
    found = runs.run(store(request), request.path_params["run"])
    if found is None:
        return _missing(request)
    event = await request.json()
    name = event["name"].rpartition(".")[2]
    if name in _EVENTS:
        found["status"] = _EVENTS[name]
        if name == "Start":
            found["startTimeUtc"] = found["startTimeUtc"] or now()
        else:
            found["endTimeUtc"] = now()
    elif name == "Error":
        found["error"] = (event.get("data") or {}).get("errorResponse") or event.get("data")
    runs.save_run(store(request), found)
    return answer({})


async def _query_runs(request: Request) -> Response:
    parent = _experiment(request)
    if parent is None:
        return _missing(request)

    return answer(_page(runs.runs_of(store(request), parent["experimentId"]), await request.json()))


async def _children(request: Request) -> Response:
    run_id = request.path_params["run"]
    found = [one for one in store(request).all("run") if one["parentRunId"] == run_id]
    return answer({"value": [_shown(one) for one in found], "continuationToken": None})


def _page(found: list[Document], query: Document) -> Document:
    found = [one for one in found if matches(one, query.get("filter") or "")]
    if order := query.get("orderby") or query.get("orderBy"):
        field, _, direction = order.partition(" ")
        key = field[:1].lower() + field[1:]
        found.sort(key=lambda one: str(one.get(key) or ""), reverse=direction == "desc")
    begin, size = int(query.get("continuationToken") or 0), query.get("top") or 100
    rest = str(begin + size) if begin + size < len(found) else None
    return {"value": [_shown(one) for one in found[begin : begin + size]], "continuationToken": rest}


def _shown(document: Document) -> Document:
    return {key: value for key, value in document.items() if key not in {"params", "experimentName"}}


async def _wait(_: Request) -> Response:
    return answer({})  # metrics are there at once


def _missing(request: Request) -> Response:
    return service_error(404, "UserError", f"{request.url.path.rpartition('/')[2]} was not found")


_BASE = "/history/v1.0"


def _both(method: str, end: str, handler: object) -> list[Route]:
    """Under the experiment's name and under its id."""
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
