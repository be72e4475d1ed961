"""Interactive documentation at ``/docs``: Swagger UI from files of the package, so that no page loads from the internet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = "api/page/swagger-ui"  # below score/, in a package
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
CONTENT_SECURITY_POLICY = "default-src 'self' 'unsafe-inline' data:"  # nothing is loaded from elsewhere
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
    """Return the page; it asks for the service's key where one is needed."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


assets = StaticFiles(directory=Path(__file__).parents[1] / FOLDER, check_dir=False)  # the files of the page
