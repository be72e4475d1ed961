"""Computes of the workspace: one Kubernetes cluster is attached from the start, others can be attached or made."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import answer, service_error, store
from azure_emulator.common.store import Document, Store, now
from azure_emulator.management import resource_manager

KUBERNETES = "Kubernetes"
_KIND = "compute"
_FIRST = {
    "computeType": KUBERNETES,
    "resourceId": f"{resource_manager.WORKSPACE.partition('/providers/')[0]}/providers/Microsoft.ContainerService/managedClusters/aks",
    "properties": {"namespace": "default", "defaultInstanceType": "defaultinstancetype"},
}


def find(store: Store, identifier: str) -> Document | None:
    """Return the compute of this name or identifier."""
    name = identifier.rpartition("/")[2]
    return next((one for one in _all(store) if one["name"].lower() == name.lower()), None)


def _all(store: Store) -> list[Document]:
    if store.get("number", _KIND) is None:
        store.number(_KIND)  # only the first time: it can be detached
        _keep(store, addresses.CLUSTER, _FIRST)
    return store.all(_KIND)


def _keep(store: Store, name: str, properties: Document) -> Document:
    state = {"provisioningState": "Succeeded", "createdOn": now(), "isAttachedCompute": True}
    return store.put(_KIND, name, {"name": name, "properties": {**properties, **state}})


def _shown(compute: Document) -> Document:
    return resource_manager.resource(
        f"computes/{compute['name']}", "computes", compute["properties"], location=addresses.LOCATION
    )


async def _list(request: Request) -> Response:
    return answer({"value": [_shown(one) for one in _all(store(request))]})


async def _get(request: Request) -> Response:
    found = find(store(request), request.path_params["compute"])
    return answer(_shown(found)) if found else resource_manager.missing(request)


async def _put(request: Request) -> Response:
    kept = _keep(store(request), request.path_params["compute"], (await request.json())["properties"])
    number = resource_manager.begin(store(request))
    resource_manager.finish(store(request), number)
    return resource_manager.accepted(number, _shown(kept))


async def _delete(request: Request) -> Response:
    found = find(store(request), request.path_params["compute"])
    if found is None:
        return Response(status_code=204)
    used = (one["name"] for one in store(request).all("endpoint") if _is_on(one, found["name"]))
    if (endpoint := next(used, None)) is not None:
        return service_error(400, "UserError", f"The compute is used by the endpoint {endpoint}.")
    store(request).delete(_KIND, found["name"])
    number = resource_manager.begin(store(request))
    resource_manager.finish(store(request), number)
    return resource_manager.accepted(number)


def _is_on(endpoint: Document, compute: str) -> bool:
    return str(endpoint["properties"].get("compute") or "").endswith(f"/computes/{compute}")


_BASE = f"{resource_manager.WORKSPACE}/computes"
routes = [
    Route(_BASE, _list),
    Route(f"{_BASE}/{{compute}}", _put, methods=["PUT"]),
    Route(f"{_BASE}/{{compute}}", _get),
    Route(f"{_BASE}/{{compute}}", _delete, methods=["DELETE"]),
]
