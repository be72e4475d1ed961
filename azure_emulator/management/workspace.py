"""The subscription and the workspace in Azure Resource Manager, and discovery: the addresses of its services."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azure_emulator.common import addresses
from azure_emulator.common.responses import json_response, service_error
from azure_emulator.common.store import now

_SERVICES = ("api", "history", "modelmanagement", "experimentation", "hyperdrive", "studio")  # the SDK needs all six


async def _subscriptions(_: Request) -> Response:
    value = {
        "id": f"/subscriptions/{addresses.SUBSCRIPTION}",
        "subscriptionId": addresses.SUBSCRIPTION,
        "displayName": "Emulator",
        "state": "Enabled",
        "tenantId": addresses.TENANT,
    }
    return json_response({"value": [value]})


async def _workspace(request: Request) -> Response:
    if request.url.path.lower() != addresses.WORKSPACE_PATH.lower():
        name = request.path_params["name"]
        return service_error(
            404,
            "ResourceNotFound",
            f"The Resource 'workspaces/{name}' was not found; see azure_emulator.common.addresses.",
        )
    properties = {
        "friendlyName": addresses.WORKSPACE,
        "workspaceId": addresses.WORKSPACE_ID,
        "discoveryUrl": f"https://{addresses.SERVICES_HOST}/discovery",
        "mlFlowTrackingUri": f"azureml://{addresses.SERVICES_HOST}/mlflow/v1.0{addresses.WORKSPACE_PATH}",
        "provisioningState": "Succeeded",
        "creationTime": now(),
        "storageAccount": "emulator",
        "keyVault": "emulator",
        "applicationInsights": "emulator",
        "containerRegistry": None,
        "hbiWorkspace": False,
    }
    return json_response(
        {
            "id": addresses.WORKSPACE_PATH,
            "name": addresses.WORKSPACE,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "location": addresses.LOCATION,
            "tags": {},
            "sku": {"name": "Basic", "tier": "Basic"},
            "properties": properties,
        }
    )


async def _discovery(_: Request) -> Response:
    return json_response(dict.fromkeys(_SERVICES, f"https://{addresses.SERVICES_HOST}"))


async def _endpoints(_: Request) -> Response:
    cloud = {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": f"https://{addresses.IDENTITY_HOST}",
            "audiences": ["https://management.core.windows.net/", f"https://{addresses.MANAGEMENT_HOST}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": f"https://{addresses.MANAGEMENT_HOST}/",
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
    return json_response([cloud])


management_routes = [
    Route("/subscriptions", _subscriptions),
    Route("/metadata/endpoints", _endpoints),
    Route(
        "/subscriptions/{subscription}/resource{Groups}/{group}/providers/Microsoft.MachineLearningServices/workspaces/{name}",
        _workspace,
    ),
]
discovery_routes = [Route("/discovery", _discovery)]
