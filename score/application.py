"""What the service answers over HTTP: its routes, its keys, and the form of every reply that is not 200."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from anyio import move_on_after
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from score import docs, openapi, swagger, v2, v2_binary, webpage
from score.admission import Admission
from score.problems import PROBLEM, problem_document
from score.replies import encoded
from score.values import shown

if TYPE_CHECKING:
    from score.scorer import Answer, Scorer

JSON = "application/json"
MODEL = "/v2/models/{name}"
DISCARD_BYTES, DISCARD_SECONDS = 2**28, 5
Endpoint = Callable[[Request], Awaitable[Response]]
Page = Callable[[], tuple[bytes, str]]  # a body and its media type


def application(
    scorer: Scorer, admission: Admission, keys: Sequence[str] = (), pages: Mapping[str, Page] | None = None
) -> Starlette:
    """The routes; scoring goes through ``admission``, so that ``GET /`` answers while it is busy.

    ``pages`` are for who runs the service: they tell of its data and libraries, so they ask for the key as scoring does.
    """

    async def scored(request: Request) -> Response:
        return await answered(request, scorer.answer)

    async def inferred(request: Request) -> Response:
        return await answered(request, partial(v2.infer, scorer, length=request.headers.get(v2_binary.HEADER)))

    async def answered(request: Request, answer: Callable[[bytes], Answer]) -> Response:
        status, body, headers = await admission.answer(request, answer)
        return Response(body, status, headers)

    posts: dict[str, Endpoint] = {"/score": scored, f"{MODEL}/infer": of_model(scorer.contract.model_name, inferred)}
    gets: dict[str, Endpoint] = {"/": webpage.home, "/docs": docs.page, **documents(scorer, keyed=bool(keys))}
    gets |= {path: paged(page) for path, page in (pages or {}).items()}
    routes = [("POST", path, endpoint) for path, endpoint in posts.items()]
    routes += [("GET", path, endpoint) for path, endpoint in gets.items()]
    app = Starlette(
        routes=[
            *(
                Route(path, endpoint if path in openapi.OPEN else guarded(endpoint, keys), methods=[method])
                for method, path, endpoint in routes
            ),
            Mount("/docs", docs.assets),
            Mount("/page", webpage.parts(scorer.contract, partial(guarded, keys=keys), keyed=bool(keys))),
        ],
        exception_handlers={HTTPException: refused, ClientDisconnect: gone, Exception: failed},
    )
    app.state.told = ", ".join(f"{method} {path}" for method, path, _ in routes)
    app.router.redirect_slashes = False
    return app


def documents(scorer: Scorer, *, keyed: bool) -> dict[str, Endpoint]:
    """The routes that tell about the model and about the service; what they tell is made once."""
    contract = scorer.contract
    described = encoded(openapi.document(contract, probable=scorer.probable, keyed=keyed))
    older = encoded(swagger.document(contract, keyed=keyed))
    versions = {"2": older, "2.0": older, "3": described, "3.1": described}  # Azure ML's names for them

    def told(document: bytes) -> Endpoint:
        async def tell(_request: Request) -> Response:
            return Response(document, media_type=JSON)

        return tell

    async def swagger_json(request: Request) -> Response:
        version = request.query_params.get("version", "2")
        if version not in versions:
            raise HTTPException(404, f"there is no Swagger {shown(version)} here; versions are {', '.join(versions)}")
        return Response(versions[version], media_type=JSON)

    metadata = told(encoded(v2.metadata(contract, probable=scorer.probable, compiled=scorer.compiled)))
    ready = told(encoded({"name": contract.model_name, "ready": True}))
    return {
        "/openapi.json": told(described),
        "/swagger.json": swagger_json,
        "/v2": told(encoded(v2.server(contract))),
        "/v2/health/live": told(b'{"live":true}'),
        "/v2/health/ready": told(b'{"ready":true}'),
        MODEL: of_model(contract.model_name, metadata),
        f"{MODEL}/ready": of_model(contract.model_name, ready),
    }


def paged(page: Page) -> Endpoint:
    """The endpoint for a page that takes a while to make."""

    async def show(_request: Request) -> Response:
        body, media_type = await run_in_threadpool(page)
        return Response(body, media_type=media_type)

    return show


def of_model(name: str, endpoint: Endpoint) -> Endpoint:
    """The endpoint for who asks for the one model that is here."""

    async def named(request: Request) -> Response:
        asked = request.path_params["name"]
        if asked != name:
            raise HTTPException(404, f"there is no model {shown(asked)} here, only {shown(name)}")
        return await endpoint(request)

    return named


async def refused(request: Request, error: Exception) -> Response:
    """The reply to a request that no route took, or that its route refused."""
    assert isinstance(error, HTTPException)
    if error.status_code != HTTPStatus.REQUEST_TIMEOUT:  # whose body did not come
        await discard(request)
    plain = error.detail == HTTPStatus(error.status_code).phrase  # Starlette's own, which says nothing new
    detail = f"there are {request.app.state.told}" if plain else error.detail
    return problem(request, error.status_code, detail, error.headers)


async def discard(request: Request) -> None:
    """Take the rest of a body that nobody wants, so that its sender reads the answer and meets no reset connection.

    Who waits for a word before it sends (``Expect: 100-continue``) gets the answer at once; who is too slow, too.
    """
    if "expect" in request.headers:
        return
    left = DISCARD_BYTES
    with suppress(ClientDisconnect, RuntimeError), move_on_after(DISCARD_SECONDS):  # or it was read to its end
        async for chunk in request.stream():
            left -= len(chunk)
            if left < 0:
                break


async def gone(request: Request, _error: Exception) -> Response:
    """Nobody reads this but the log."""
    return problem(request, 400, "the client went away while it was sending")


async def failed(request: Request, _error: Exception) -> Response:
    """The reply where an endpoint has a bug; the log has the cause."""
    return problem(request, 500, "scoring failed: see the service's log")


def guarded(endpoint: Endpoint, keys: Sequence[str]) -> Endpoint:
    """The endpoint for who has a key, before anything of the request is read; the endpoint itself without keys."""

    async def guard(request: Request) -> Response:
        if not permitted(request.headers.get("authorization", ""), keys):
            raise HTTPException(
                401, "send the service's key: 'Authorization: Bearer <key>'", {"WWW-Authenticate": "Bearer"}
            )
        return await endpoint(request)

    return guard if keys else endpoint


def problem(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A reply that is not 200: a problem document, or in V2's own form for who speaks V2."""
    if request.url.path.startswith("/v2"):
        answer = v2.refusal(status, detail)
        return Response(answer.body, status, {**answer.headers, **(headers or {})})
    document = problem_document(status, HTTPStatus(status).phrase, detail)
    return Response(json.dumps(document), status, headers, PROBLEM)


def permitted(header: str, keys: Sequence[str]) -> bool:
    """Whether an Authorization header holds one of the keys; all are compared, each in constant time."""
    scheme, _, token = header.partition(" ")
    matches = [hmac.compare_digest(token.strip().encode(), key.encode()) for key in keys]
    return scheme.lower() == "bearer" and any(matches)
