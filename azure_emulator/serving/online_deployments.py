"""Deployments of an online endpoint: create, read, logs, delete."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import get_emulator, get_store, json_response, service_error
from azure_emulator.common.store import Document
from azure_emulator.containers.instance import Instance
from azure_emulator.management import resource_manager
from azure_emulator.serving import rollout
from azure_emulator.serving.launch import free_port
from azure_emulator.serving.limits import validate_name

# Defaults of a deployment: on Azure's machines, and on Kubernetes
_MANAGED = {"scaleSettings": {"scaleType": "Default"}}
_KUBERNETES = {
    "scaleSettings": {
        "scaleType": "TargetUtilization",
        "minInstances": 1,
        "maxInstances": 1,
        "pollingInterval": "PT1S",
        "targetUtilizationPercentage": 70,
    },
    "containerResourceRequirements": {
        "containerResourceRequests": {"cpu": "100m", "memory": "2Gi"},
        "containerResourceLimits": {"cpu": "2", "memory": "2Gi"},
    },
}


async def _put(request: Request) -> Response:
    emulator, body = get_emulator(request), await request.json()
    endpoint, name = request.path_params["endpoint"], request.path_params["name"]
    parent = emulator.store.get("endpoint", endpoint)
    if parent is None:
        return service_error(404, "ResourceNotFound", f"The Resource 'onlineEndpoints/{endpoint}' was not found.")
    if problem := validate_name(name):
        return service_error(400, "UserError", problem)
    on_kubernetes = bool(parent["properties"].get("compute"))
    if body["properties"]["endpointComputeType"] != ("Kubernetes" if on_kubernetes else "Managed"):
        return service_error(400, "UserError", "The endpoint and the deployment are not of the same kind.")
    previous = emulator.store.get("deployment", rollout.deployment_key(endpoint, name))
    if previous:
        await rollout.cancel(emulator, previous)
    deployment = {
        "endpoint": endpoint,
        "name": name,
        "tags": body.get("tags") or {},
        "sku": body.get("sku") or {"name": "Default", "capacity": 1},
        "properties": {
            **(_KUBERNETES if on_kubernetes else _MANAGED),
            **_without_nulls(body["properties"]),
            "provisioningState": "Creating",
        },
        "port": previous["port"] if previous else free_port(),
    }
    operation_id = rollout.begin(emulator, deployment)
    return resource_manager.accepted(operation_id, _render(deployment))


def _without_nulls(properties: Document) -> Document:
    return {name: value for name, value in properties.items() if value is not None}


def _render(deployment: Document) -> Document:
    path = f"onlineEndpoints/{deployment['endpoint']}/deployments/{deployment['name']}"
    kind = "Managed" if deployment["properties"]["endpointComputeType"] == "Managed" else "K8S"
    more = {"tags": deployment["tags"], "sku": deployment["sku"], "location": addresses.LOCATION, "kind": kind}
    return resource_manager.resource(path, "onlineEndpoints/deployments", deployment["properties"], **more)


async def _get(request: Request) -> Response:
    deployment = _find(request)
    return json_response(_render(deployment)) if deployment else resource_manager.not_found(request)


async def _list(request: Request) -> Response:
    endpoint = request.path_params["endpoint"]
    if get_store(request).get("endpoint", endpoint) is None:
        return resource_manager.not_found(request)
    return json_response(
        {"value": [_render(deployment) for deployment in rollout.deployments(get_store(request), endpoint)]}
    )


async def _delete(request: Request) -> Response:
    deployment, emulator = _find(request), get_emulator(request)
    if deployment is None:
        return Response(status_code=204)
    endpoint = emulator.store.get("endpoint", deployment["endpoint"])
    shares = endpoint["properties"] if endpoint else {"traffic": {}, "mirrorTraffic": {}}
    if shares["traffic"].get(deployment["name"]) or shares["mirrorTraffic"].get(deployment["name"]):
        return service_error(400, "UserError", "A deployment that has traffic cannot be deleted.")
    await rollout.delete(emulator, deployment)
    return resource_manager.completed(emulator.store)


async def _logs(request: Request) -> Response:
    deployment = _find(request)
    if deployment is None:
        return resource_manager.not_found(request)
    body = await request.json()
    log = Instance(rollout.instance_folder(get_emulator(request), deployment)).read_log()
    lines = log.splitlines(keepends=True)
    return json_response({"content": "".join(lines[-int(body.get("tail") or 5000) :])})


def _find(request: Request) -> Document | None:
    return get_store(request).get(
        "deployment", rollout.deployment_key(request.path_params["endpoint"], request.path_params["name"])
    )


_PATH = "onlineEndpoints/{endpoint}/deployments/{name}"
routes = [
    *resource_manager.resource_routes(_PATH, _list, _get, _put, _delete),
    Route(f"{resource_manager.WORKSPACE}/{_PATH}/getLogs", _logs, methods=["POST"]),
]
