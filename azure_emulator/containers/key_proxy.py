"""The door of a container instance: a bearer key or 401; who has one is passed on to azmlinfsrv."""

from __future__ import annotations

import hmac
import http.client

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from azure_emulator.containers.instance import Instance

HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "server", "date"})
METHODS = ["GET", "POST", "OPTIONS", "PUT", "DELETE"]


def door(instance: Instance) -> Starlette:
    """What stands before azmlinfsrv: a bearer key, or 401."""
    spec, keys = instance.spec, instance.keys

    async def forward(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if (
            spec.auth
            and request.url.path != "/"
            and not any(hmac.compare_digest(given, key.encode()) for key in keys())
        ):
            return PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        headers = {name: value for name, value in request.headers.items() if name not in HOP | {"authorization"}}
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        body = await request.body()
        try:
            status, answered, content = await run_in_threadpool(
                call, spec.server_port, request.method, target, headers, body
            )
        except (OSError, http.client.HTTPException):
            return PlainTextResponse("The container is not ready", 503)
        kept = {name: value for name, value in answered.items() if name.lower() not in HOP}
        return Response(content, status, kept)

    return Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)])


def answers(port: int) -> bool:
    """Whether azmlinfsrv is healthy: it is once ``init()`` has come to its end."""
    try:
        return call(port, "GET", "/", {}, b"")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def call(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Pass a request on to who listens on this port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()
