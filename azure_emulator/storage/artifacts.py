"""The artifact service: which files belong to a run or an upload, and the signed addresses of their blobs.

A file is ``origin/container/path``: ``ExperimentRun/dcid.<run>/model/model.pkl`` or ``LocalUpload/<id>/score.py``.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common.responses import EmulatorState, answer, service_error, world
from azure_emulator.common.store import Document, now
from azure_emulator.storage.blobs import blob_file


def under(here: EmulatorState, prefix: str) -> list[Document]:
    """Every file at or below ``prefix``: a whole path, or a folder."""
    prefix = prefix.strip("/")
    exact = here.store.get("artifact", prefix)
    return [exact] if exact else here.store.all("artifact", f"{prefix}/")


async def _create(request: Request) -> Response:
    here, home = world(request), _home(request)
    created, addresses, errors = {}, {}, {}
    for path in [entry["path"] for entry in (await request.json())["paths"]]:
        key = f"{home}/{path}"
        if here.store.get("artifact", key) and blob_file(here.folder, key).exists():
            message = f"Resource Conflict: ArtifactId {key} already exists."
            errors[path] = {"error": {"code": "UserError", "message": message}}
            continue
        origin, container = home.split("/")
        created[path] = here.store.put(
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
        addresses[path] = _content(here, created[path])
    return answer({"artifacts": created, "artifactContentInformation": addresses, "errors": errors})


async def _list(request: Request) -> Response:
    path = _path(request)
    found = under(world(request), f"{_home(request)}/{path}")
    return answer({"value": found, "continuationToken": None, "nextLink": None})


async def _addresses(request: Request) -> Response:
    here = world(request)
    found = under(here, f"{_home(request)}/{_path(request)}")
    return answer({"value": [_content(here, one) for one in found], "continuationToken": None, "nextLink": None})


async def _address(request: Request) -> Response:
    here, key = world(request), f"{_home(request)}/{_path(request)}"
    found = here.store.get("artifact", key)
    if found is None:
        return service_error(404, "UserError", f"Could not find artifact with ArtifactId: {key}")
    return answer(_content(here, found))


async def _metadata(request: Request) -> Response:
    key = f"{_home(request)}/{_path(request)}"
    found = world(request).store.get("artifact", key)
    return answer(found) if found else service_error(404, "UserError", f"Could not find artifact {key}")


def _content(here: EmulatorState, artifact: Document) -> Document:
    names = {name: artifact[name] for name in ("origin", "container", "path")}
    return names | {"contentUri": here.tokens.blob_address(artifact["artifactId"])}


def _home(request: Request) -> str:
    given = request.path_params
    return f"ExperimentRun/dcid.{given['run']}" if "run" in given else f"{given['origin']}/{given['container']}"


def _path(request: Request) -> str:
    # one client writes the path into the address, the other into the query
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
