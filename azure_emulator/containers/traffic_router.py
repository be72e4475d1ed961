"""The entrance of an online endpoint: a key or a token, or 401; then the deployment asked for, or one by traffic.

Of what goes by traffic, a share is mirrored: a copy goes to one more deployment, whose answer is not waited for.

``python -m azure_emulator.containers.traffic_router ENDPOINT EMULATOR`` (two folders) runs in a session of its own and outlives the stand-in.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import http.client
import json
import random
import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azure_emulator.common.tokens import TokenError, Tokens
from azure_emulator.containers.instance import Instance
from azure_emulator.containers.key_proxy import HOP, METHODS, call

_WANTED = "azureml-model-deployment"


def entrance(folder: Path, tokens: Tokens) -> Starlette:
    """What stands before the deployments; who may enter and where to go is read anew for each request."""
    copies: set[asyncio.Task[None]] = set()  # of requests, on their way

    async def forward(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not _opens(folder, tokens, given):
            return JSONResponse({"error": {"code": "Unauthorized", "message": "key_auth_access_denied"}}, 401)
        route = json.loads((folder / "route.json").read_text())
        wanted = request.headers.get(_WANTED)
        name = wanted or _by_traffic(route["traffic"])
        if name not in route["ports"]:
            return JSONResponse({"error": {"code": "NotFound", "message": f"There is no deployment '{name}'"}}, 404)
        headers = {key: value for key, value in request.headers.items() if key not in HOP | {"authorization"}}
        body = await request.body()
        if not wanted and (copied := _by_mirror(route["mirrorTraffic"])) in route["ports"]:
            arguments = route["ports"][copied], request.method, request.url.path, headers, body
            copy = asyncio.create_task(_mirrored(*arguments))
            copies.add(copy)
            copy.add_done_callback(copies.discard)
        try:
            status, answered, content = await run_in_threadpool(
                call, route["ports"][name], request.method, request.url.path, headers, body
            )
        except OSError:
            return JSONResponse({"error": {"code": "UpstreamError", "message": "The container is not ready"}}, 503)
        kept = {key: value for key, value in answered.items() if key.lower() not in HOP}
        return Response(content, status, kept | {_WANTED: name})

    return Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)])


async def _mirrored(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        await run_in_threadpool(call, port, method, path, headers, body)


def _opens(folder: Path, tokens: Tokens, given: str) -> bool:
    if keys := Instance(folder).keys():
        return any(hmac.compare_digest(given.encode(), key.encode()) for key in keys)
    try:
        tokens.check_token(given)
    except (TokenError, ValueError):
        return False
    return True


def _by_traffic(traffic: dict[str, Any]) -> str:
    names = [name for name, share in traffic.items() if share]
    return random.choices(names, [traffic[name] for name in names])[0] if names else ""  # noqa: S311


def _by_mirror(mirror: dict[str, Any]) -> str:
    """Return the deployment that gets a copy of this request, or nothing."""
    return next((name for name, share in mirror.items() if random.random() * 100 < share), "")  # noqa: S311


if __name__ == "__main__":
    own = Path(sys.argv[1])
    port = json.loads((own / "route.json").read_text())["port"]
    uvicorn.run(entrance(own, Tokens(Path(sys.argv[2]))), host="127.0.0.1", port=port, log_level="warning")
