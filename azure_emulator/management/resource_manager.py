"""What the resources of the workspace share in Azure Resource Manager: identifiers, refusals, long-running operations."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import answer, service_error, store
from azure_emulator.common.store import Document, Store, now

WORKSPACE = addresses.WORKSPACE_PATH
_KIND = "Microsoft.MachineLearningServices/workspaces"
_SOON = {"x-ms-retry-after-ms": "300"}  # Azure asks for seconds, which no test should wait for
_STATUS = (
    f"/subscriptions/{addresses.SUBSCRIPTION}/providers/Microsoft.MachineLearningServices"
    f"/locations/{addresses.LOCATION}/mfeOperationsStatus"
)


def resource(path: str, what: str, properties: Document, **more: object) -> Document:
    """A resource as it is shown; ``path`` is below the workspace's."""
    system = {"createdAt": now(), "createdBy": "emulator", "createdByType": "Application", "lastModifiedAt": now()}
    name = path.rpartition("/")[2]
    shown = {"id": f"{WORKSPACE}/{path}", "name": name, "type": f"{_KIND}/{what}", "systemData": system}
    return {**shown, "properties": properties, **more}


def missing(request: Request) -> Response:
    """There is no such resource."""
    name = request.url.path.removeprefix(f"{WORKSPACE}/")
    return service_error(404, "ResourceNotFound", f"The Resource '{name}' was not found.")


def begin(store: Store) -> str:
    """A new operation; gives its number."""
    number = str(uuid.uuid4())
    store.put("arm operation", number, {"id": f"{_STATUS}/{number}", "name": number, "status": "InProgress"})
    return number


def finish(store: Store, number: str, error: Document | None = None) -> None:
    """Succeeded, or Failed with ``error``; an operation that has ended stays as it ended."""
    operation = store.get("arm operation", number)
    if operation and operation["status"] == "InProgress":
        end = {"status": "Failed" if error else "Succeeded", "endTime": now()}
        store.put("arm operation", number, operation | end | ({"error": error} if error else {}))


def under_way(store: Store, number: str) -> bool:
    """Whether the operation has not ended."""
    return (store.get("arm operation", number) or {}).get("status") == "InProgress"


def accepted(number: str, shown: Document | None = None) -> Response:
    """201 with the resource, or 202, and where to ask how it goes."""
    headers = {"Azure-AsyncOperation": f"https://{addresses.MANAGEMENT_HOST}{_STATUS}/{number}", **_SOON}
    return answer(shown, 201, headers) if shown else Response(status_code=202, headers=headers)


def problem(code: str, message: str) -> Document:
    """An error as an operation shows it."""
    return {"code": code, "message": message, "details": [], "additionalInfo": []}


async def _status(request: Request) -> Response:
    operation = store(request).get("arm operation", request.path_params["number"])
    if operation is None:
        return missing(request)
    return answer(operation, headers=_SOON if operation["status"] == "InProgress" else {})


routes = [Route(_STATUS + "/{number}", _status)]
