"""Reverse proxy of a container instance: checks the bearer key, forwards to azmlinfsrv."""

from __future__ import annotations

import hmac
import http.client

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from azure_emulator.containers.instance import Instance

HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "server", "date"})
METHODS = ["GET", "POST", "OPTIONS", "PUT", "DELETE"]


def key_proxy_app(instance: Instance) -> Starlette:
    """Return the app that forwards requests with a valid key and refuses all others with 401."""
    spec, keys = instance.spec, instance.keys

    async def forward(request: Request) -> Response:
        key = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if (
            spec.auth
            and request.url.path != "/"
            and not any(hmac.compare_digest(key, valid_key.encode()) for valid_key in keys())
        ):
            return PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
        headers = {
            name: value for name, value in request.headers.items() if name not in HOP_HEADERS | {"authorization"}
        }
        body = await request.body()
        try:
            status, response_headers, content = await run_in_threadpool(
                send_request, spec.server_port, request.method, target_of(request), headers, body
            )
        except (OSError, http.client.HTTPException):
            return PlainTextResponse("The container is not ready", 503)
        end_to_end = {name: value for name, value in response_headers.items() if name.lower() not in HOP_HEADERS}
        return Response(content, status, end_to_end)

    return Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)])


def target_of(request: Request) -> str:
    """Return the path of a request with its query, which goes on to the container."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def is_healthy(port: int) -> bool:
    """Return whether azmlinfsrv is healthy, which it is once ``init()`` has returned."""
    try:
        return send_request(port, "GET", "/", {}, b"")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def send_request(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Send a request to this port on localhost; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()
