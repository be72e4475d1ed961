"""What the service answers over HTTP: its routes, its keys, and the form of every reply that is not 200."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from score.admission import Admission
from score.problems import PROBLEM, problem_document
from score.scorer import Answer

Page = Callable[[], tuple[bytes, str]]  # a body and its media type


class Service(Protocol):
    """What is served: a loaded ``Scorer``, or what stands in for one."""

    def answer(self, body: bytes) -> Answer:
        """The response to ``POST /score``."""


def application(
    service: Service, admission: Admission, keys: Sequence[str] = (), pages: Mapping[str, Page] | None = None
) -> Starlette:
    """The routes; scoring goes through ``admission``, so that ``GET /`` answers while it is busy.

    ``pages`` are for who runs the service: they tell of its data and libraries, so they ask for the key as scoring does.
    """

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("Healthy")  # Azure ML's own words

    def admit(request: Request) -> None:
        if keys and not permitted(request.headers.get("authorization", ""), keys):
            raise HTTPException(
                401, "send the service's key: 'Authorization: Bearer <key>'", {"WWW-Authenticate": "Bearer"}
            )

    async def score(request: Request) -> Response:
        admit(request)
        status, body, headers = await admission.answer(request, service.answer)
        return Response(body, status, headers)

    def shown(page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request) -> Response:
            admit(request)
            body, media_type = await run_in_threadpool(page)
            return Response(body, media_type=media_type)

        return show

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        plain = error.detail == HTTPStatus(error.status_code).phrase  # Starlette's own, which says nothing new
        return problem(error.status_code, "there are POST /score and GET /" if plain else error.detail, error.headers)

    async def gone(_request: Request, _error: Exception) -> Response:
        return problem(400, "the client went away while it was sending")  # nobody reads this but the log

    async def failed(_request: Request, _error: Exception) -> Response:
        return problem(500, "scoring failed: see the service's log")

    app = Starlette(
        routes=[
            Route("/", healthy, methods=["GET"]),
            Route("/score", score, methods=["POST"]),
            *(Route(path, shown(page), methods=["GET"]) for path, page in (pages or {}).items()),
        ],
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
