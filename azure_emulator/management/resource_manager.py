"""Azure Resource Manager: resource documents, errors and long-running operations of the workspace's resources."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import Handler, get_store, json_response, service_error
from azure_emulator.common.store import Document, Store, now

WORKSPACE = addresses.WORKSPACE_PATH
_TYPE = "Microsoft.MachineLearningServices/workspaces"
_POLL_SOON = {"x-ms-retry-after-ms": "300"}  # Azure sends seconds, which would slow tests down
_STATUS = (
    f"/subscriptions/{addresses.SUBSCRIPTION}/providers/Microsoft.MachineLearningServices"
    f"/locations/{addresses.LOCATION}/mfeOperationsStatus"
)


def resource(path: str, resource_type: str, properties: Document, **more: object) -> Document:
    """Return the document of a resource; ``path`` is relative to the workspace's."""
    system = {"createdAt": now(), "createdBy": "emulator", "createdByType": "Application", "lastModifiedAt": now()}
    name = path.rpartition("/")[2]
    document = {"id": f"{WORKSPACE}/{path}", "name": name, "type": f"{_TYPE}/{resource_type}", "systemData": system}
    return {**document, "properties": properties, **more}


def not_found(request: Request) -> Response:
    """Return the response for a resource that does not exist."""
    name = request.url.path.removeprefix(f"{WORKSPACE}/")
    return service_error(404, "ResourceNotFound", f"The Resource '{name}' was not found.")


def begin(store: Store) -> str:
    """Start an operation; return its id."""
    operation_id = str(uuid.uuid4())
    store.put(
        "arm operation", operation_id, {"id": f"{_STATUS}/{operation_id}", "name": operation_id, "status": "InProgress"}
    )
    return operation_id


def finish(store: Store, operation_id: str, error: Document | None = None) -> None:
    """End an operation: Succeeded, or Failed with ``error``. Idempotent: one that has ended keeps its state."""
    operation = store.get("arm operation", operation_id)
    if operation and operation["status"] == "InProgress":
        end = {"status": "Failed" if error else "Succeeded", "endTime": now()}
        store.put("arm operation", operation_id, operation | end | ({"error": error} if error else {}))


def is_running(store: Store, operation_id: str) -> bool:
    """Return whether the operation is in progress."""
    return (store.get("arm operation", operation_id) or {}).get("status") == "InProgress"


def accepted(operation_id: str, document: Document | None = None) -> Response:
    """Return 201 with the resource, or 202 without one, and the address of the operation."""
    headers = {"Azure-AsyncOperation": f"https://{addresses.MANAGEMENT_HOST}{_STATUS}/{operation_id}", **_POLL_SOON}
    return json_response(document, 201, headers) if document else Response(status_code=202, headers=headers)


def error_document(code: str, message: str) -> Document:
    """Return an error as an operation holds it."""
    return {"code": code, "message": message, "details": [], "additionalInfo": []}


def completed(store: Store, document: Document | None = None) -> Response:
    """Return the response of a call whose operation has succeeded already."""
    operation_id = begin(store)
    finish(store, operation_id)
    return accepted(operation_id, document)


def resource_routes(path: str, read_all: Handler, read: Handler, write: Handler, delete: Handler) -> list[Route]:
    """Return the routes of a type of resource; ``path`` is that of one resource, relative to the workspace's."""
    one = f"{WORKSPACE}/{path}"
    return [
        Route(one.rpartition("/")[0], read_all),
        Route(one, write, methods=["PUT"]),
        Route(one, read),
        Route(one, delete, methods=["DELETE"]),
    ]


async def _status(request: Request) -> Response:
    operation = get_store(request).get("arm operation", request.path_params["operation_id"])
    if operation is None:
        return not_found(request)
    return json_response(operation, headers=_POLL_SOON if operation["status"] == "InProgress" else {})


routes = [Route(_STATUS + "/{operation_id}", _status)]
