"""Traffic router of an online endpoint: checks the key or token, then picks a deployment by header or traffic share.

A share of the requests without that header is mirrored: a copy goes to one more deployment, whose response is ignored.

``python -m azure_emulator.containers.traffic_router ENDPOINT EMULATOR`` (two folders) runs in a session of its own and
outlives the emulator.
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
from azure_emulator.containers.key_proxy import HOP_HEADERS, METHODS, send_request, target_of

_DEPLOYMENT_HEADER = "azureml-model-deployment"


def traffic_router_app(folder: Path, tokens: Tokens) -> Starlette:
    """Return the app in front of the deployments; keys and routes are read anew for each request."""
    copies: set[asyncio.Task[None]] = set()  # mirrored requests in flight

    async def forward(request: Request) -> Response:
        credential = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not _is_authorized(folder, tokens, credential):
            return JSONResponse({"error": {"code": "Unauthorized", "message": "key_auth_access_denied"}}, 401)
        route = json.loads((folder / "route.json").read_text())
        requested = request.headers.get(_DEPLOYMENT_HEADER)
        name = requested or _choose_by_traffic(route["traffic"])
        if name not in route["ports"]:
            return JSONResponse({"error": {"code": "NotFound", "message": f"There is no deployment '{name}'"}}, 404)
        headers = {key: value for key, value in request.headers.items() if key not in HOP_HEADERS | {"authorization"}}
        body = await request.body()
        if not requested and (mirror := _choose_mirror(route["mirrorTraffic"])) in route["ports"]:
            arguments = route["ports"][mirror], request.method, target_of(request), headers, body
            copy = asyncio.create_task(_send_copy(*arguments))
            copies.add(copy)
            copy.add_done_callback(copies.discard)
        try:
            status, response_headers, content = await run_in_threadpool(
                send_request, route["ports"][name], request.method, target_of(request), headers, body
            )
        except OSError:
            return JSONResponse({"error": {"code": "UpstreamError", "message": "The container is not ready"}}, 503)
        end_to_end = {key: value for key, value in response_headers.items() if key.lower() not in HOP_HEADERS}
        return Response(content, status, end_to_end | {_DEPLOYMENT_HEADER: name})

    return Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)])


async def _send_copy(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        await run_in_threadpool(send_request, port, method, path, headers, body)


def _is_authorized(folder: Path, tokens: Tokens, credential: str) -> bool:
    if keys := Instance(folder).keys():
        return any(hmac.compare_digest(credential.encode(), key.encode()) for key in keys)
    try:
        tokens.check_token(credential)
    except (TokenError, ValueError):
        return False
    return True


def _choose_by_traffic(traffic: dict[str, Any]) -> str:
    names = [name for name, share in traffic.items() if share]
    return random.choices(names, [traffic[name] for name in names])[0] if names else ""  # noqa: S311


def _choose_mirror(mirror: dict[str, Any]) -> str:
    """Return the deployment that gets a copy of this request, or nothing."""
    return next((name for name, share in mirror.items() if random.random() * 100 < share), "")  # noqa: S311


if __name__ == "__main__":
    endpoint_folder = Path(sys.argv[1])
    port = json.loads((endpoint_folder / "route.json").read_text())["port"]
    uvicorn.run(
        traffic_router_app(endpoint_folder, Tokens(Path(sys.argv[2]))), host="127.0.0.1", port=port, log_level="warning"
    )
