"""The page at ``/``: its files are public, its data needs the service's key if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from score.contract import deployment_info, training_info
from score.contract.cells import BOOLEANS, MISSING
from score.contract.schema import FILE
from score.explain.explainer import ExplanationRecord

if TYPE_CHECKING:
    from starlette.requests import Request

    from score.contract.schema import Contract

    Endpoint = Callable[[Request], Awaitable[Response]]

PACKAGE = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).resolve().parent / "page"
HEADERS = {
    # nothing from elsewhere; figures that were fetched with a key are blobs
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # another package may be served here later
    "Vary": "Accept",
}
FILES = {"page.css": "text/css", "page.js": "text/javascript", "explanation.js": "text/javascript"}


async def home(request: Request) -> Response:
    """Return the page to browsers, which ask for HTML, and Azure ML's health text to other clients."""
    if "text/html" in request.headers.get("accept", ""):
        return FileResponse(PAGE / "page.html", media_type="text/html", headers=HEADERS)
    return PlainTextResponse("Healthy", headers={"Vary": "Accept"})


async def file(request: Request) -> Response:
    """Return the page's style or script."""
    name = request.path_params["name"]
    if name not in FILES:
        raise HTTPException(404, f"the page has {', '.join(FILES)}")
    return FileResponse(PAGE / name, media_type=FILES[name], headers=HEADERS)


async def figure(request: Request) -> Response:
    """Return a figure of the evaluation."""
    known = training_info.figures(PACKAGE)
    name = request.path_params["name"]
    if name not in known:
        raise HTTPException(404, f"there are the figures {', '.join(known) or '(none)'}")
    return FileResponse(known[name], media_type="image/png", headers=HEADERS)


def parts(contract: Contract, guard: Callable[[Endpoint], Endpoint], *, keyed: bool) -> Router:
    """Return the routes below ``/page``; ``guard`` requires the key."""
    routes = [
        Route("/model.json", guard(model(contract, keyed=keyed))),
        Route("/figures/{name}", guard(figure)),
        Route("/{name}", file),
    ]
    return Router(routes, redirect_slashes=False)


def model(contract: Contract, *, keyed: bool) -> Endpoint:
    """Return the endpoint of the page's data."""

    async def get(_request: Request) -> Response:
        return JSONResponse(document(contract, PACKAGE) | {"keyed": keyed}, headers=HEADERS)

    return get


def document(contract: Contract, package: Path) -> dict[str, Any]:
    """Return contract, deployment, training, the time the package was written, and how cells are read."""
    words = contract.table.words if contract.table else ()
    written = datetime.fromtimestamp((package / FILE).stat().st_mtime, timezone.utc)
    return (
        dataclasses.asdict(contract)
        | deployment_info.deployed()
        | {
            "written": written.isoformat(timespec="seconds"),
            "training": training_info.read(package),
            "figures": list(training_info.figures(package)),
            "explanations": dataclasses.asdict(ExplanationRecord.read(package)),
            "cells": {"missing": sorted(words or MISSING), "booleans": BOOLEANS},
        }
    )
