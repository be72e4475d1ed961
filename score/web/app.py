"""The HTTP application: routes, keys, and one exception path that gives every error its response."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from score.api import docs, html_page, openapi, swagger, v2, v2_binary
from score.contract import deployment_info
from score.contract.columns import shown
from score.payload.errors import PROBLEM, BadRequest, problem_document
from score.predict import explaining
from score.predict.predictor import ScoringError, log_failure
from score.predict.response import encode
from score.web.admission import Admission, RequestCodec
from score.web.request_body import RequestBody

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from score.predict.predictor import Predictor
    from score.predict.response import HttpReply

JSON = "application/json"
MODEL = "/v2/models/{name}"
VERSION = f"{MODEL}/versions/{{version}}"
Endpoint = Callable[[Request], Awaitable[Response]]
Page = Callable[[], tuple[bytes, str]]  # a body and its media type

log = logging.getLogger("uvicorn.error")


class Application:
    """Dispatches requests to routes, and turns what they raise into responses."""

    def __init__(self, routes: Sequence[Route | Mount]) -> None:
        self.routes = tuple(routes)
        self._router = Router(routes, redirect_slashes=False)
        self._listed = ", ".join(
            f"{method} {route.path}"
            for route in routes
            for method in ("POST", "GET")
            if isinstance(route, Route) and method in (route.methods or ())
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = self  # then Starlette raises 404 and 405 as exceptions
        body = RequestBody(scope, receive)
        try:
            await self._router(scope, body, send)
        except Exception as error:
            response = self._error_response(scope, error)
            if not isinstance(error, ClientDisconnect) and response.status_code != HTTPStatus.REQUEST_TIMEOUT:
                await body.discard()
            await response(scope, receive, send)
            if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, ScoringError):
                raise  # uvicorn logs it

    def _error_response(self, scope: Scope, error: Exception) -> Response:
        """Return the response to what a request raised: a problem document, or V2's own form for V2's paths."""
        log_failure(error)
        status, detail, headers = 500, "scoring failed: see the service's log", None
        if isinstance(error, HTTPException):
            status, detail, headers = error.status_code, error.detail, error.headers
            if status == HTTPStatus.METHOD_NOT_ALLOWED and scope["method"] == "OPTIONS":
                allowed = (headers or {}).get("Allow", "GET, HEAD")  # static files name none
                return Response(status_code=204, headers={"Allow": f"{allowed}, OPTIONS"})
            if detail == HTTPStatus(status).phrase:  # Starlette's own detail
                detail = f"there are {self._listed}"
        elif isinstance(error, ClientDisconnect):  # only the log gets to see it
            status, detail = 400, "the client went away while it was sending"
        elif isinstance(error, BadRequest | ScoringError):
            status, detail = error.status, str(error)
        if scope["path"].startswith("/v2"):
            return _response(v2.error_reply(status, detail), headers)
        if isinstance(error, BadRequest | ScoringError):
            document = error.document()
        else:
            document = problem_document(status, HTTPStatus(status).phrase, detail)
        return Response(json.dumps(document), status, headers, PROBLEM)


def application(
    predictor: Predictor, admission: Admission, keys: Sequence[str] = (), pages: Mapping[str, Page] | None = None
) -> Application:
    """Return the application; scoring goes through ``admission``, so that ``GET /`` answers while it is busy.

    ``pages`` are for operators: they describe data and libraries, and so ask for the key as scoring does.
    """
    version = deployment_info.deployed()["version"]
    score_codec = RequestCodec(predictor.parse, predictor.respond_http)
    explain_codec = RequestCodec(
        partial(explaining.parse, predictor), partial(explaining.respond, predictor), slow=True
    )

    async def score(request: Request) -> Response:
        codec = score_codec
        if request.scope["query_string"] and explaining.is_wanted(request.query_params.multi_items()):
            codec = explain_codec
        return _response(await admission.answer(RequestBody(request.scope, request.receive), codec))

    async def infer(request: Request) -> Response:
        if request.scope["query_string"]:
            explaining.refuse_if_wanted(request.query_params.multi_items())
        length = request.headers.get(v2_binary.HEADER)
        codec = RequestCodec(
            partial(v2.parse, predictor, length=length), partial(v2.respond, predictor, version=version)
        )
        return _response(await admission.answer(RequestBody(request.scope, request.receive), codec))

    checked_infer = check_model(predictor.contract.model_name, version, infer)
    posts: dict[str, Endpoint] = {
        "/score": score,
        f"{MODEL}/infer": checked_infer,
        f"{VERSION}/infer": checked_infer,
    }
    gets: dict[str, Endpoint] = {
        "/": html_page.home,
        "/docs": docs.page,
        **documents(predictor, version, keyed=bool(keys)),
        **{path: run_page(page) for path, page in (pages or {}).items()},
    }
    routes = [("POST", path, endpoint) for path, endpoint in posts.items()]  # first, as requests mostly are
    routes += [("GET", path, endpoint) for path, endpoint in gets.items()]
    return Application(
        [
            *(
                Route(path, endpoint if path in openapi.OPEN else require_key(endpoint, keys), methods=[method])
                for method, path, endpoint in routes
            ),
            Mount("/docs", docs.assets),
            Mount("/page", html_page.parts(predictor.contract, partial(require_key, keys=keys), keyed=bool(keys))),
        ]
    )


def documents(predictor: Predictor, version: str | None, *, keyed: bool) -> dict[str, Endpoint]:
    """Return the routes that describe the model and the service, whose documents are encoded once."""
    contract = predictor.contract
    explains = predictor.explanation.method != "none"
    described = openapi.document(contract, probable=predictor.probable, keyed=keyed, explains=explains, version=version)
    openapi_json = encode(described)
    swagger_2 = encode(swagger.document(contract, keyed=keyed, explains=explains))
    versions = {"2": swagger_2, "2.0": swagger_2, "3": openapi_json, "3.1": openapi_json}  # Azure ML's names for them

    def static(document: bytes) -> Endpoint:
        async def get(_request: Request) -> Response:
            return Response(document, media_type=JSON)

        return get

    async def swagger_json(request: Request) -> Response:
        version = request.query_params.get("version", "2")
        if version not in versions:
            raise HTTPException(404, f"there is no Swagger {shown(version)} here; versions are {', '.join(versions)}")
        return Response(versions[version], media_type=JSON)

    document = v2.metadata(contract, probable=predictor.probable, compiled=predictor.compiled, version=version)
    metadata = check_model(contract.model_name, version, static(encode(document)))
    ready = check_model(contract.model_name, version, static(encode({"name": contract.model_name, "ready": True})))
    return {
        "/openapi.json": static(openapi_json),
        "/swagger.json": swagger_json,
        "/v2": static(encode(v2.server(contract))),
        "/v2/health/live": static(b'{"live":true}'),
        "/v2/health/ready": static(b'{"ready":true}'),
        MODEL: metadata,
        f"{MODEL}/ready": ready,
        VERSION: metadata,
        f"{VERSION}/ready": ready,
    }


def run_page(page: Page) -> Endpoint:
    """Return the endpoint of a page that takes a while to make."""

    async def get(_request: Request) -> Response:
        body, media_type = await run_in_threadpool(page)
        return Response(body, media_type=media_type)

    return get


def check_model(name: str, version: str | None, endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with a 404 for another model, or another version, than the one that is served."""

    async def checked(request: Request) -> Response:
        asked = request.path_params["name"]
        if asked != name:
            raise HTTPException(404, f"there is no model {shown(asked)} here, only {shown(name)}")
        wanted = request.path_params.get("version", version)
        if wanted != version:
            here = f"only {shown(version)}" if version else "and which one is here is not known: ask without a version"
            raise HTTPException(404, f"there is no version {shown(wanted)} of model {shown(name)} here, {here}")
        return await endpoint(request)

    return checked


def require_key(endpoint: Endpoint, keys: Sequence[str]) -> Endpoint:
    """Return the endpoint with a 401 for a request without a key, before its body is read; unchanged without keys."""

    async def checked(request: Request) -> Response:
        check_key(request.headers.get("authorization", ""), keys)
        return await endpoint(request)

    return checked if keys else endpoint


def check_key(header: str, keys: Sequence[str]) -> None:
    """Compare an Authorization header with all keys, each in constant time.

    Raises:
        HTTPException: 401 if it holds none of them.
    """
    scheme, _, token = header.partition(" ")
    matches = [hmac.compare_digest(token.strip().encode(), key.encode()) for key in keys]
    if scheme.lower() != "bearer" or not any(matches):
        raise HTTPException(
            401, "send the service's key: 'Authorization: Bearer <key>'", {"WWW-Authenticate": "Bearer"}
        )


def _response(reply: HttpReply, headers: Mapping[str, str] | None = None) -> Response:
    return Response(reply.body, reply.status, {**reply.headers, **(headers or {})})
