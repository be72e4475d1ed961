"""Interactive documentation at ``/docs``: Swagger UI from an installed package, so that no page asks the internet."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

OURS_ONLY = "default-src 'self' 'unsafe-inline' data:"  # the browser, too, keeps to this server
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>API documentation</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>
let key = ""
const signed = request => {
  if (key) request.headers = {...request.headers, Authorization: `Bearer ${key}`}
  return request
}
const open = async () => {
  const reply = await fetch("openapi.json", signed({}))
  if (reply.status === 401 && (key = prompt("The service's key"))) return open()
  const spec = await reply.json()
  spec.servers = [{url: new URL(".", location.href).href}]
  SwaggerUIBundle({spec, dom_id: "#docs", validatorUrl: null, requestInterceptor: signed})
}
open()
</script>
</body>
</html>
"""


async def page(_request: Request) -> HTMLResponse:
    """The page; where a key is needed it asks for it, to read the description and to try requests."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": OURS_ONLY})


async def assets(scope: Scope, receive: Receive, send: Send) -> None:
    """The files of the page."""
    await (await run_in_threadpool(_files))(scope, receive, send)


@cache
def _files() -> StaticFiles:
    import flask_swagger_ui  # for its files alone, and only when someone looks: it brings Flask

    return StaticFiles(directory=Path(flask_swagger_ui.__file__).parent / "dist")
