"""The artifact service: the files of a run or an upload, and the signed addresses of their blobs.

A file's id is ``origin/container/path``: ``ExperimentRun/dcid.<run>/model/model.pkl`` or ``LocalUpload/<id>/score.py``.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.responses import EmulatorState, get_emulator, json_response, service_error
from azure_emulator.common.store import Document, now
from azure_emulator.storage.blobs import blob_file


def list_artifacts(emulator: EmulatorState, prefix: str) -> list[Document]:
    """Return the artifacts at or below ``prefix``: the path of a file or a folder."""
    prefix = prefix.strip("/")
    exact = emulator.store.get("artifact", prefix)
    return [exact] if exact else emulator.store.all("artifact", f"{prefix}/")


async def _create(request: Request) -> Response:
    emulator, home = get_emulator(request), _home(request)
    created, addresses, errors = {}, {}, {}
    for path in [entry["path"] for entry in (await request.json())["paths"]]:
        key = f"{home}/{path}"
        if emulator.store.get("artifact", key) and blob_file(emulator.folder, key).exists():
            message = f"Resource Conflict: ArtifactId {key} already exists."
            errors[path] = {"error": {"code": "UserError", "message": message}}
            continue
        origin, container = home.split("/")
        created[path] = emulator.store.put(
            "artifact",
            key,
            {
                "artifactId": key,
                "origin": origin,
                "container": container,
                "path": path,
                "etag": None,
                "createdTime": now(),
                "dataPath": None,
            },
        )
        addresses[path] = _content(emulator, created[path])
    return json_response({"artifacts": created, "artifactContentInformation": addresses, "errors": errors})


async def _list(request: Request) -> Response:
    path = _path(request)
    artifacts = list_artifacts(get_emulator(request), f"{_home(request)}/{path}")
    return json_response({"value": artifacts, "continuationToken": None, "nextLink": None})


async def _addresses(request: Request) -> Response:
    emulator = get_emulator(request)
    artifacts = list_artifacts(emulator, f"{_home(request)}/{_path(request)}")
    return json_response(
        {"value": [_content(emulator, artifact) for artifact in artifacts], "continuationToken": None, "nextLink": None}
    )


async def _address(request: Request) -> Response:
    emulator, key = get_emulator(request), f"{_home(request)}/{_path(request)}"
    artifact = emulator.store.get("artifact", key)
    if artifact is None:
        return service_error(404, "UserError", f"Could not find artifact with ArtifactId: {key}")
    return json_response(_content(emulator, artifact))


async def _metadata(request: Request) -> Response:
    key = f"{_home(request)}/{_path(request)}"
    artifact = get_emulator(request).store.get("artifact", key)
    return json_response(artifact) if artifact else service_error(404, "UserError", f"Could not find artifact {key}")


def _content(emulator: EmulatorState, artifact: Document) -> Document:
    names = {name: artifact[name] for name in ("origin", "container", "path")}
    return names | {"contentUri": emulator.tokens.blob_address(artifact["artifactId"])}


def _home(request: Request) -> str:
    params = request.path_params
    return f"ExperimentRun/dcid.{params['run']}" if "run" in params else f"{params['origin']}/{params['container']}"


def _path(request: Request) -> str:
    # SDK and MLflow differ: path in the address, or in the query
    return str(request.path_params.get("path") or request.query_params.get("path", "")).strip("/")


def _run_routes(experiment: str) -> list[Route]:
    base = f"/history/v1.0/{experiment}/runs/{{run}}/artifacts"
    return [
        Route(f"{base}/batch/metadata", _create, methods=["POST"]),
        Route(f"{base}/metadata", _metadata),
        Route(f"{base}/prefix/contentinfo", _addresses),
        Route(f"{base}/prefix/contentinfo/{{path:path}}", _addresses),
        Route(f"{base}/contentinfo", _address),
        Route(f"{base}/contentinfo/{{path:path}}", _address),
        Route(f"{base}/path", _list),
        Route(f"{base}/path/{{path:path}}", _list),
        Route(base, _list),
    ]


_BASE = "/artifact/v2.0/artifacts"
routes = [
    *_run_routes("experiments/{experiment}"),
    *_run_routes("experimentids/{experiment}"),
    Route(f"{_BASE}/batch/metadata/{{origin}}/{{container}}", _create, methods=["POST"]),
    Route(f"{_BASE}/metadata/{{origin}}/{{container}}/{{path:path}}", _metadata),
    Route(f"{_BASE}/prefix/contentinfo/{{origin}}/{{container}}/{{path:path}}", _addresses),
    Route(f"{_BASE}/contentinfo/{{origin}}/{{container}}/{{path:path}}", _address),
    Route(f"{_BASE}/{{origin}}/{{container}}", _list),
    Route(f"{_BASE}/{{origin}}/{{container}}/{{path:path}}", _list),
]
