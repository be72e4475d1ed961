"""Azure Resource Manager and the discovery service: the subscription, the workspace, and where its services are."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rehearsal import places
from rehearsal.store import now
from rehearsal.web import answer, service_error

_SERVICES = ("api", "history", "modelmanagement", "experimentation", "hyperdrive", "studio")  # the SDK wants all six


async def _subscriptions(_: Request) -> Response:
    value = {
        "id": f"/subscriptions/{places.SUBSCRIPTION}",
        "subscriptionId": places.SUBSCRIPTION,
        "displayName": "Rehearsal",
        "state": "Enabled",
        "tenantId": places.TENANT,
    }
    return answer({"value": [value]})


async def _workspace(request: Request) -> Response:
    if request.url.path.lower() != places.WORKSPACE_PATH.lower():
        name = request.path_params["name"]
        return service_error(
            404, "ResourceNotFound", f"The Resource 'workspaces/{name}' was not found; see rehearsal.places."
        )
    properties = {
        "friendlyName": places.WORKSPACE,
        "workspaceId": places.WORKSPACE_ID,
        "discoveryUrl": f"https://{places.SERVICES_HOST}/discovery",
        "mlFlowTrackingUri": f"azureml://{places.SERVICES_HOST}/mlflow/v1.0{places.WORKSPACE_PATH}",
        "provisioningState": "Succeeded",
        "creationTime": now(),
        "storageAccount": "rehearsal",
        "keyVault": "rehearsal",
        "applicationInsights": "rehearsal",
        "containerRegistry": None,
        "hbiWorkspace": False,
    }
    return answer(
        {
            "id": places.WORKSPACE_PATH,
            "name": places.WORKSPACE,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "location": places.LOCATION,
            "tags": {},
            "sku": {"name": "Basic", "tier": "Basic"},
            "properties": properties,
        }
    )


async def _discovery(_: Request) -> Response:
    return answer(dict.fromkeys(_SERVICES, f"https://{places.SERVICES_HOST}"))


async def _endpoints(_: Request) -> Response:
    cloud = {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": f"https://{places.IDENTITY_HOST}",
            "audiences": ["https://management.core.windows.net/", f"https://{places.MANAGEMENT_HOST}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": f"https://{places.MANAGEMENT_HOST}/",
        "graph": "https://graph.windows.net/",
        "graphAudience": "https://graph.windows.net/",
        "batch": "https://batch.core.windows.net/",
        "media": "https://rest.media.azure.net",
        "gallery": "https://gallery.azure.com/",
        "vmImageAliasDoc": "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/master/aliases.json",
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "acrLoginServer": "azurecr.io",
            "sqlServerHostname": "database.windows.net",
            "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
            "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
        },
    }
    return answer([cloud])


management_routes = [
    Route("/subscriptions", _subscriptions),
    Route("/metadata/endpoints", _endpoints),
    Route(
        "/subscriptions/{subscription}/resource{Groups}/{group}/providers/Microsoft.MachineLearningServices/workspaces/{name}",
        _workspace,
    ),
]
discovery_routes = [Route("/discovery", _discovery)]
