"""What the service answers over HTTP: its routes, its keys, and the form of every reply that is not 200."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from score.api import docs, html_page, openapi, swagger, v2, v2_binary
from score.contract import deployment_info
from score.contract.columns import shown
from score.payload.errors import PROBLEM, problem_document
from score.predict.response import encoded
from score.web.admission import Admission
from score.web.direct import ScoreEndpoint
from score.web.request_body import RequestBody

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from score.predict.predictor import HttpReply, Predictor

JSON = "application/json"
MODEL = "/v2/models/{name}"
VERSION = f"{MODEL}/versions/{{version}}"
Endpoint = Callable[[Request], Awaitable[Response]]
Page = Callable[[], tuple[bytes, str]]  # a body and its media type


class Application(Starlette):
    """Starlette, with one route before its own: the one that is asked for most."""

    direct: ScoreEndpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scored = scope["path"] == self.direct.path and scope["method"] == "POST"
        await (self.direct if scored else super().__call__)(scope, RequestBody(scope, receive), send)


def application(
    scorer: Predictor, admission: Admission, keys: Sequence[str] = (), pages: Mapping[str, Page] | None = None
) -> Application:
    """The routes; scoring goes through ``admission``, so that ``GET /`` answers while it is busy.

    ``pages`` are for who runs the service: they tell of its data and libraries, so they ask for the key as scoring does.
    """
    version = deployment_info.deployed()["version"]

    async def scored(incoming: RequestBody) -> HttpReply:
        check_key(incoming.headers.get(b"authorization", b"").decode("latin-1"), keys)
        return await admission.answer(incoming, scorer.answered)

    async def inferred(request: Request) -> Response:
        length = request.headers.get(v2_binary.HEADER)
        answered = partial(v2.infer, scorer, length=length, version=version)
        status, body, headers = await admission.answer(_incoming(request), answered)
        return Response(body, status, headers)

    handlers = {HTTPException: refused, ClientDisconnect: gone, Exception: failed}
    direct = ScoreEndpoint("/score", scored, handlers)
    infer = of_model(scorer.contract.model_name, version, inferred)
    posts: dict[str, Endpoint] = {f"{MODEL}/infer": infer, f"{VERSION}/infer": infer}
    gets: dict[str, Endpoint] = {
        "/": html_page.home,
        "/docs": docs.page,
        **documents(scorer, version, keyed=bool(keys)),
    }
    gets |= {path: paged(page) for path, page in (pages or {}).items()}
    routes = [("POST", path, endpoint) for path, endpoint in posts.items()]
    routes += [("GET", path, endpoint) for path, endpoint in gets.items()]
    app = Application(
        routes=[
            Route(direct.path, direct, methods=["POST"]),  # for who comes with another method
            *(
                Route(path, endpoint if path in openapi.OPEN else guarded(endpoint, keys), methods=[method])
                for method, path, endpoint in routes
            ),
            Mount("/docs", docs.assets),
            Mount("/page", html_page.parts(scorer.contract, partial(guarded, keys=keys), keyed=bool(keys))),
        ],
        exception_handlers=handlers,
    )
    app.direct = direct
    app.state.told = ", ".join(["POST /score", *(f"{method} {path}" for method, path, _ in routes)])
    app.router.redirect_slashes = False
    return app


def documents(scorer: Predictor, version: str | None, *, keyed: bool) -> dict[str, Endpoint]:
    """The routes that tell about the model and about the service; what they tell is made once."""
    contract = scorer.contract
    described = encoded(openapi.document(contract, probable=scorer.probable, keyed=keyed, version=version))
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

    known = v2.metadata(contract, probable=scorer.probable, compiled=scorer.compiled, version=version)
    metadata = of_model(contract.model_name, version, told(encoded(known)))
    ready = of_model(contract.model_name, version, told(encoded({"name": contract.model_name, "ready": True})))
    return {
        "/openapi.json": told(described),
        "/swagger.json": swagger_json,
        "/v2": told(encoded(v2.server(contract))),
        "/v2/health/live": told(b'{"live":true}'),
        "/v2/health/ready": told(b'{"ready":true}'),
        MODEL: metadata,
        f"{MODEL}/ready": ready,
        VERSION: metadata,
        f"{VERSION}/ready": ready,
    }


def paged(page: Page) -> Endpoint:
    """The endpoint for a page that takes a while to make."""

    async def show(_request: Request) -> Response:
        body, media_type = await run_in_threadpool(page)
        return Response(body, media_type=media_type)

    return show


def of_model(name: str, version: str | None, endpoint: Endpoint) -> Endpoint:
    """The endpoint for who asks for the one model that is here, and for no version of it or for the one that is here."""

    async def named(request: Request) -> Response:
        asked = request.path_params["name"]
        if asked != name:
            raise HTTPException(404, f"there is no model {shown(asked)} here, only {shown(name)}")
        wanted = request.path_params.get("version", version)
        if wanted != version:
            here = f"only {shown(version)}" if version else "and which one is here is not known: ask without a version"
            raise HTTPException(404, f"there is no version {shown(wanted)} of model {shown(name)} here, {here}")
        return await endpoint(request)

    return named


async def refused(request: Request, error: Exception) -> Response:
    """The reply to a request that no route took, or that its route refused."""
    assert isinstance(error, HTTPException)
    if error.status_code != HTTPStatus.REQUEST_TIMEOUT:  # whose body did not come
        await _incoming(request).discard()
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and request.method == "OPTIONS":
        allowed = (error.headers or {}).get("Allow", "GET, HEAD")  # without for files
        return Response(status_code=204, headers={"Allow": f"{allowed}, OPTIONS"})
    plain = error.detail == HTTPStatus(error.status_code).phrase  # Starlette's own, which says nothing new
    detail = f"there are {request.app.state.told}" if plain else error.detail
    return problem(request, error.status_code, detail, error.headers)


async def gone(request: Request, _error: Exception) -> Response:
    """Nobody reads this but the log."""
    return problem(request, 400, "the client went away while it was sending")


async def failed(request: Request, _error: Exception) -> Response:
    """The reply where an endpoint has a bug; the log has the cause."""
    return problem(request, 500, "scoring failed: see the service's log")


def guarded(endpoint: Endpoint, keys: Sequence[str]) -> Endpoint:
    """The endpoint for who has a key, before anything of the request is read; the endpoint itself without keys."""

    async def guard(request: Request) -> Response:
        check_key(request.headers.get("authorization", ""), keys)
        return await endpoint(request)

    return guard if keys else endpoint


def problem(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A reply that is not 200: a problem document, or in V2's own form for who speaks V2."""
    if request.url.path.startswith("/v2"):
        answer = v2.refusal(status, detail)
        return Response(answer.body, status, {**answer.headers, **(headers or {})})
    document = problem_document(status, HTTPStatus(status).phrase, detail)
    return Response(json.dumps(document), status, headers, PROBLEM)


def check_key(header: str, keys: Sequence[str]) -> None:
    """Refuse an Authorization header that holds none of the keys, if there are keys.

    Raises:
        HTTPException: 401.
    """
    if keys and not permitted(header, keys):
        raise HTTPException(
            401, "send the service's key: 'Authorization: Bearer <key>'", {"WWW-Authenticate": "Bearer"}
        )


def permitted(header: str, keys: Sequence[str]) -> bool:
    """Whether an Authorization header holds one of the keys; all are compared, each in constant time."""
    scheme, _, token = header.partition(" ")
    matches = [hmac.compare_digest(token.strip().encode(), key.encode()) for key in keys]
    return scheme.lower() == "bearer" and any(matches)


def _incoming(request: Request) -> RequestBody:
    receive = request.receive
    assert isinstance(receive, RequestBody)
    return receive
