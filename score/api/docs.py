"""Interactive documentation at ``/docs``: Swagger UI from files of the package, so that no page asks the internet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = "api/page/swagger-ui"  # below score/, in a package
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
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


assets = StaticFiles(directory=Path(__file__).parents[1] / FOLDER, check_dir=False)  # the files of the page
