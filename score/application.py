"""What the service answers over HTTP: its routes, its keys, and the form of every reply that is not 200."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from score.problems import PROBLEM, problem_document
from score.scorer import Answer

MAX_BYTES = 64 * 2**20


class Service(Protocol):
    """What is served: a loaded ``Scorer``, or what stands in for one."""

    def answer(self, body: bytes) -> Answer:
        """The response to ``POST /score``."""


def application(service: Service, keys: Sequence[str] = (), max_bytes: int = MAX_BYTES) -> Starlette:
    """The routes; scoring runs in worker threads, so that ``GET /`` answers while it is busy."""

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("Healthy")  # Azure ML's own words

    async def score(request: Request) -> Response:
        if keys and not permitted(request.headers.get("authorization", ""), keys):
            raise HTTPException(
                401, "send the service's key: 'Authorization: Bearer <key>'", {"WWW-Authenticate": "Bearer"}
            )
        status, body, headers = await run_in_threadpool(service.answer, await read(request, max_bytes))
        return Response(body, status, headers)

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        plain = error.detail == HTTPStatus(error.status_code).phrase  # Starlette's own, which says nothing new
        return problem(error.status_code, "there are POST /score and GET /" if plain else error.detail, error.headers)

    async def gone(_request: Request, _error: Exception) -> Response:
        return problem(400, "the client went away while it was sending")  # nobody reads this but the log

    async def failed(_request: Request, _error: Exception) -> Response:
        return problem(500, "scoring failed: see the service's log")

    app = Starlette(
        routes=[Route("/", healthy, methods=["GET"]), Route("/score", score, methods=["POST"])],
        exception_handlers={HTTPException: refused, ClientDisconnect: gone, Exception: failed},
    )
    app.router.redirect_slashes = False
    return app


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A reply that is not 200, in the one form that they all have."""
    document = problem_document(status, HTTPStatus(status).phrase, detail)
    return Response(json.dumps(document), status, headers, PROBLEM)


def permitted(header: str, keys: Sequence[str]) -> bool:
    """Whether an Authorization header holds one of the keys; all are compared, each in constant time."""
    scheme, _, token = header.partition(" ")
    matches = [hmac.compare_digest(token.strip().encode(), key.encode()) for key in keys]
    return scheme.lower() == "bearer" and any(matches)


async def read(request: Request, max_bytes: int) -> bytes:
    """The body; 413 as soon as it is known to be too long."""
    too_long = HTTPException(413, f"the request is longer than {max_bytes} bytes; send fewer rows at a time")
    if int(request.headers.get("content-length", "0")) > max_bytes:
        raise too_long
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_long
    return bytes(body)
