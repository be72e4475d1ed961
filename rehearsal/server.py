"""The stand-in itself: the routes by host name, the HTTPS server, and the proxy before it."""

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

from rehearsal import (
    arm,
    artifacts,
    assets,
    blobs,
    colours,
    computes,
    containers,
    deployment,
    endpoints,
    environments,
    history,
    identity,
    metrics,
    mlflow,
    mlflow_models,
    models,
    operations,
    places,
    rollout,
    services,
    workspace,
)
from rehearsal.certificates import Certificates
from rehearsal.faults import Faults
from rehearsal.gate import Gate
from rehearsal.proxy import Proxy
from rehearsal.store import Store
from rehearsal.tokens import Tokens
from rehearsal.web import World, answer, service_error

_log = logging.getLogger("rehearsal")
_MODULES = (artifacts, history, metrics, mlflow, mlflow_models, models, environments, services, operations)
_SECOND = (arm, assets, colours, computes, endpoints)  # the second SDK's, all below the workspace


def application(world: World, proxy: Proxy) -> Starlette:
    """Every service under its host name; anything else is 404."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        deployment.resume(world)
        rollout.resume(world)
        yield

    api = [*workspace.discovery_routes, *(route for module in _MODULES for route in module.routes)]
    management = [*workspace.management_routes, *(route for module in _SECOND for route in module.routes)]
    app = Starlette(
        routes=[
            Host(places.IDENTITY_HOST, Router(identity.routes)),
            Host(places.MANAGEMENT_HOST, Router(management)),
            Host(places.SERVICES_HOST, Router(api)),
            Host(places.BLOB_HOST, Router([*blobs.routes, *containers.routes])),
            Host(places.CONTROL_HOST, Router([Route("/faults", _faults, methods=["GET", "PUT"])])),
        ],
        middleware=[Middleware(Gate, world=world, cut=proxy.cut)],
        exception_handlers={404: _unknown, 405: _unknown},
        lifespan=lifespan,
    )
    app.state.world = world
    return app


async def _unknown(request: Request, _: Exception) -> Response:
    if request.url.path.startswith("/mlflow/"):
        return Response(status_code=404)  # as for logged-models: there is nothing to read in the body
    return service_error(
        404, "NotFound", f"rehearsal: {request.method} {request.url.hostname}{request.url.path} is not imitated"
    )


async def _faults(request: Request) -> Response:
    here: World = request.app.state.world
    if request.method == "PUT":
        try:
            here.faults.ask((await request.json())["faults"])
        except ValueError as error:
            return answer({"error": str(error)}, 400)
    return answer({"faults": here.faults.waiting()})


async def serve(folder: Path, images: Path) -> None:
    """Run until told to stop; ``ready.json`` appears when it listens, and says where."""
    store = Store(folder / "store.sqlite")
    world = World(folder, images, store, Faults(store), Tokens(folder))
    certificates = Certificates(folder / "certificates")
    with socket.socket() as backend:
        backend.bind(("127.0.0.1", 0))
        proxy = Proxy(backend.getsockname()[1])
        config = uvicorn.Config(
            application(world, proxy),
            ssl_certfile=certificates.path(places.SERVICES_HOST),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        assert config.ssl is not None
        config.ssl.sni_callback = certificates.choose
        listening = await _listen(proxy, folder)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            (folder / "port.json").write_text(json.dumps(port))
            (folder / "ready").touch()
            _log.info("the rehearsal listens on 127.0.0.1:%s", port)
            await uvicorn.Server(config).serve(sockets=[backend])
    store.close()


async def _listen(proxy: Proxy, folder: Path) -> asyncio.Server:
    """On the port of last time, if it is free: the variables of ``environment`` then stay good over a restart."""
    with contextlib.suppress(OSError, ValueError):
        return await proxy.listen(json.loads((folder / "port.json").read_text()))
    return await proxy.listen(0)
