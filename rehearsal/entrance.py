"""The entrance of a managed endpoint: a key or a token, or 401; then the deployment asked for, or one by traffic.

``python -m rehearsal.entrance ENDPOINT REHEARSAL`` (two folders) runs in a session of its own and outlives the stand-in.
"""

from __future__ import annotations

import hmac
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

from rehearsal.door import HOP, METHODS, call
from rehearsal.instance import Instance
from rehearsal.tokens import TokenError, Tokens

_WANTED = "azureml-model-deployment"


def entrance(folder: Path, tokens: Tokens) -> Starlette:
    """What stands before the deployments; who may enter and where to go is read anew for each request."""

    async def forward(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not _opens(folder, tokens, given):
            return JSONResponse({"error": {"code": "Unauthorized", "message": "key_auth_access_denied"}}, 401)
        route = json.loads((folder / "route.json").read_text())
        name = request.headers.get(_WANTED) or _by_traffic(route["traffic"])
        if name not in route["ports"]:
            return JSONResponse({"error": {"code": "NotFound", "message": f"There is no deployment '{name}'"}}, 404)
        headers = {key: value for key, value in request.headers.items() if key not in HOP | {"authorization"}}
        body = await request.body()
        try:
            status, answered, content = await run_in_threadpool(
                call, route["ports"][name], request.method, request.url.path, headers, body
            )
        except OSError:
            return JSONResponse({"error": {"code": "UpstreamError", "message": "The container is not ready"}}, 503)
        kept = {key: value for key, value in answered.items() if key.lower() not in HOP}
        return Response(content, status, kept | {_WANTED: name})

    return Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)])


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


if __name__ == "__main__":
    own = Path(sys.argv[1])
    port = json.loads((own / "route.json").read_text())["port"]
    uvicorn.run(entrance(own, Tokens(Path(sys.argv[2]))), host="127.0.0.1", port=port, log_level="warning")
