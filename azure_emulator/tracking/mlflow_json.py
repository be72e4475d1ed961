"""How MLflow writes things: errors, pairs, times, and the experiments and runs of run history in its words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import answer, store
from azure_emulator.common.store import Document, Store
from azure_emulator.tracking import runs

TO_HISTORY = {
    "RUNNING": "Running",
    "FINISHED": "Completed",
    "FAILED": "Failed",
    "KILLED": "Canceled",
    "SCHEDULED": "NotStarted",
}
_FROM_HISTORY = {history: mlflow for mlflow, history in TO_HISTORY.items()}
PARENT = "mlflow.parentRunId"
Handler = Callable[[Request], Awaitable[Response]]


class MlflowError(Exception):
    """Refused, with MLflow's own code."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def handler(function: Callable[[Store, Mapping[str, Any]], Document]) -> Handler:
    """Answer with what ``function`` makes of the store and the request's fields, which MLflow sends in either place."""

    async def handle(request: Request) -> Response:
        given: dict[str, Any] = dict(request.query_params)
        if request.method != "GET":
            given |= await request.json()
        try:
            return answer(function(store(request), given))
        except MlflowError as error:
            status = {"RESOURCE_DOES_NOT_EXIST": 404}.get(error.code, 400)
            return answer({"error_code": error.code, "message": str(error)}, status)
        except ValueError as error:
            return answer({"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)}, 400)

    return handle


def shown_experiment(experiment: Document) -> Document:
    """An experiment."""
    return {
        "experiment_id": experiment["experimentId"],
        "name": experiment["name"],
        "artifact_location": "",
        "lifecycle_stage": "deleted" if experiment["archivedTime"] else "active",
        "tags": pairs(experiment["tags"]),
        "creation_time": milliseconds(experiment["createdUtc"]),
    }


def shown_run(store: Store, run: Document) -> Document:
    """A run, with its latest metrics, params and tags."""
    run_id = run["runId"]
    latest = [
        max(points(metric), key=lambda point: (point["step"], point["timestamp"]))
        for metric in runs.metrics(store, run_id)
    ]
    info = {
        "run_id": run_id,
        "run_uuid": run_id,
        "run_name": run.get("displayName") or run_id,
        "experiment_id": run["experimentId"],
        "user_id": run["userId"],
        "status": _FROM_HISTORY.get(run["status"], "RUNNING"),
        "start_time": milliseconds(run["startTimeUtc"]),
        "end_time": milliseconds(run["endTimeUtc"]),
        "artifact_uri": artifact_uri(run),
        "lifecycle_stage": "deleted" if run["hidden"] else "active",
    }
    data = {"metrics": latest, "params": pairs(run["params"]), "tags": pairs(run["tags"] | _derived(run))}
    return {"info": {key: value for key, value in info.items() if value is not None}, "data": data, "inputs": {}}


def _derived(run: Document) -> Document:
    tags = {"mlflow.rootRunId": run["rootRunId"], "mlflow.runName": run.get("displayName") or run["runId"]}
    return tags | ({PARENT: run["parentRunId"]} if run["parentRunId"] else {})


def artifact_uri(run: Document) -> str:
    """Where the client finds the artifacts of a run."""
    home = f"azureml://{addresses.SERVICES_HOST}/mlflow/v2.0{addresses.WORKSPACE_PATH}"
    return f"{home}/experiments/{run['experimentName']}/runs/{run['runId']}/artifacts"


def points(metric: Document) -> list[Document]:
    """The history of a metric; values that are tables or images have no place in MLflow."""
    name = metric["name"]
    return [
        {
            "key": name,
            "value": point["data"][name],
            "timestamp": milliseconds(point["createdUtc"]),
            "step": point["step"] or 0,
        }
        for point in metric["value"]
        if isinstance(point["data"].get(name), int | float | str)
    ]


def mapping(pairs: Any) -> Document:
    """Pairs of key and value as a mapping."""
    return {one["key"]: one["value"] for one in pairs or []}


def pairs(mapping: Document) -> list[Document]:
    """A mapping as pairs of key and value."""
    return [{"key": key, "value": value} for key, value in mapping.items()]


def milliseconds(written: str | None) -> int | None:
    """Since 1970, as MLflow tells the time."""
    return int(datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp() * 1000) if written else None


def written(milliseconds: int) -> str:
    """As run history tells the time."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="milliseconds")


def routes(calls: Mapping[str, Callable[[Store, Mapping[str, Any]], Document]]) -> list[Route]:
    """``"POST runs/create"`` -> the route, under the two prefixes that clients use."""
    return [
        Route(f"/mlflow/v2.0/api/2.0/{prefix}/{path}", handler(function), methods=[method])
        for (method, path), function in ((call.split(" "), function) for call, function in calls.items())
        for prefix in ("mlflow", "preview/mlflow")
    ]
