"""The server: routes by host name, the HTTPS server, and the proxy in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Host, Route, Router

from azure_emulator.common import addresses
from azure_emulator.common.faults import Faults
from azure_emulator.common.responses import EmulatorState, json_response, service_error
from azure_emulator.common.store import Store
from azure_emulator.common.tokens import Tokens
from azure_emulator.gateway.certificates import Certificates
from azure_emulator.gateway.middleware import AuthAndFaults
from azure_emulator.gateway.proxy import Proxy
from azure_emulator.management import computes, identity, resource_manager, workspace
from azure_emulator.registry import assets_v2, datastores, environments, mlflow_models, models
from azure_emulator.serving import (
    aci_deployment,
    aci_services,
    online_deployments,
    online_endpoints,
    operations,
    rollout,
)
from azure_emulator.storage import artifacts, blob_containers, blobs
from azure_emulator.tracking import metrics, mlflow, run_history

_log = logging.getLogger("emulator")
_V1_MODULES = (artifacts, run_history, metrics, mlflow, mlflow_models, models, environments, aci_services, operations)
_V2_MODULES = (
    resource_manager,
    assets_v2,
    datastores,
    online_deployments,
    computes,
    online_endpoints,
)  # SDK v2, all below the workspace in Azure Resource Manager


def application(emulator: EmulatorState, proxy: Proxy) -> Starlette:
    """Return the app with every service under its host name; any other address is 404."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        aci_deployment.resume(emulator)
        rollout.resume(emulator)
        yield

    api = [*workspace.discovery_routes, *(route for module in _V1_MODULES for route in module.routes)]
    management = [*workspace.management_routes, *(route for module in _V2_MODULES for route in module.routes)]
    app = Starlette(
        routes=[
            Host(addresses.IDENTITY_HOST, Router(identity.routes)),
            Host(addresses.MANAGEMENT_HOST, Router(management)),
            Host(addresses.SERVICES_HOST, Router(api)),
            Host(addresses.BLOB_HOST, Router([*blobs.routes, *blob_containers.routes])),
            Host(addresses.CONTROL_HOST, Router([Route("/faults", _faults, methods=["GET", "PUT"])])),
        ],
        middleware=[Middleware(AuthAndFaults, emulator=emulator, cut=proxy.cut)],
        exception_handlers={404: _unknown, 405: _unknown},
        lifespan=lifespan,
    )
    app.state.emulator = emulator
    return app


async def _unknown(request: Request, _: Exception) -> Response:
    if request.url.path.startswith("/mlflow/"):
        return Response(status_code=404)  # as Azure does for logged-models: an empty body
    return service_error(
        404, "NotFound", f"emulator: {request.method} {request.url.hostname}{request.url.path} is not imitated"
    )


async def _faults(request: Request) -> Response:
    emulator: EmulatorState = request.app.state.emulator
    if request.method == "PUT":
        try:
            emulator.faults.replace((await request.json())["faults"])
        except ValueError as error:
            return json_response({"error": str(error)}, 400)
    return json_response({"faults": emulator.faults.pending()})


async def serve(folder: Path, images: Path) -> None:
    """Serve until a signal; ``port.json`` and then ``ready`` appear once the proxy listens."""
    store = Store(folder / "store.sqlite")
    emulator = EmulatorState(folder, images, store, Faults(store), Tokens(folder))
    certificates = Certificates(folder / "certificates")
    with socket.socket() as backend:
        backend.bind(("127.0.0.1", 0))
        proxy = Proxy(backend.getsockname()[1])
        config = uvicorn.Config(
            application(emulator, proxy),
            ssl_certfile=certificates.path(addresses.SERVICES_HOST),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        assert config.ssl is not None
        config.ssl.sni_callback = certificates.choose
        server = await _listen(proxy, folder)
        async with server:
            port = server.sockets[0].getsockname()[1]
            (folder / "port.json").write_text(json.dumps(port))
            (folder / "ready").touch()
            _log.info("the emulator listens on 127.0.0.1:%s", port)
            await uvicorn.Server(config).serve(sockets=[backend])
    store.close()


async def _listen(proxy: Proxy, folder: Path) -> asyncio.Server:
    """Listen on the previous port if it is free, so that the variables of ``environment`` stay valid after a restart."""
    with contextlib.suppress(OSError, ValueError):
        return await proxy.listen(json.loads((folder / "port.json").read_text()))
    return await proxy.listen(0)
