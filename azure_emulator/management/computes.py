"""Computes of the workspace: one Kubernetes cluster is attached from the start, others can be attached or created."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from azure_emulator.common import addresses
from azure_emulator.common.responses import get_store, json_response, service_error
from azure_emulator.common.store import Document, Store, now
from azure_emulator.management import resource_manager

KUBERNETES = "Kubernetes"
_KIND = "compute"
_DEFAULT_CLUSTER = {
    "computeType": KUBERNETES,
    "resourceId": f"{resource_manager.WORKSPACE.partition('/providers/')[0]}/providers/Microsoft.ContainerService/managedClusters/aks",
    "properties": {"namespace": "default", "defaultInstanceType": "defaultinstancetype"},
}


def find(store: Store, identifier: str) -> Document | None:
    """Return the compute with this name or resource id, or None."""
    name = identifier.rpartition("/")[2]
    return next((compute for compute in _all(store) if compute["name"].lower() == name.lower()), None)


def _all(store: Store) -> list[Document]:
    if store.get("number", _KIND) is None:
        store.next_number(_KIND)  # only once: it can be detached
        _attach(store, addresses.CLUSTER, _DEFAULT_CLUSTER)
    return store.all(_KIND)


def _attach(store: Store, name: str, properties: Document) -> Document:
    state = {"provisioningState": "Succeeded", "createdOn": now(), "isAttachedCompute": True}
    return store.put(_KIND, name, {"name": name, "properties": {**properties, **state}})


def _render(compute: Document) -> Document:
    return resource_manager.resource(
        f"computes/{compute['name']}", "computes", compute["properties"], location=addresses.LOCATION
    )


async def _list(request: Request) -> Response:
    return json_response({"value": [_render(compute) for compute in _all(get_store(request))]})


async def _get(request: Request) -> Response:
    compute = find(get_store(request), request.path_params["compute"])
    return json_response(_render(compute)) if compute else resource_manager.not_found(request)


async def _put(request: Request) -> Response:
    compute = _attach(get_store(request), request.path_params["compute"], (await request.json())["properties"])
    return resource_manager.completed(get_store(request), _render(compute))


async def _delete(request: Request) -> Response:
    compute = find(get_store(request), request.path_params["compute"])
    if compute is None:
        return Response(status_code=204)
    users = (endpoint["name"] for endpoint in get_store(request).all("endpoint") if _runs_on(endpoint, compute["name"]))
    if (user := next(users, None)) is not None:
        return service_error(400, "UserError", f"The compute is used by the endpoint {user}.")
    get_store(request).delete(_KIND, compute["name"])
    return resource_manager.completed(get_store(request))


def _runs_on(endpoint: Document, compute: str) -> bool:
    return str(endpoint["properties"].get("compute") or "").endswith(f"/computes/{compute}")


routes = resource_manager.resource_routes("computes/{compute}", _list, _get, _put, _delete)
