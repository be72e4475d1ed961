"""The gate before all routes: the log of calls, bearer tokens, and the faults that strike a call."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from azure_emulator.common import addresses
from azure_emulator.common.errors import service_exists, size_text
from azure_emulator.common.responses import EmulatorState, management_error, refusal, service_error
from azure_emulator.common.tokens import TokenError

_log = logging.getLogger("emulator")


class AuthAndFaults:
    """Stands before the routes: writes the log, checks bearer tokens, lets faults strike, shortens the path.

    Behind it ``/history/v1.0/subscriptions/.../workspaces/emulator/experiments`` is ``/history/v1.0/experiments``.
    """

    # the identity service gives the tokens, and blobs have signed addresses
    _GUARDED = frozenset({addresses.MANAGEMENT_HOST, addresses.SERVICES_HOST, addresses.CONTROL_HOST})
    _PUBLIC = re.compile(r"/(discovery|metadata/endpoints)")

    def __init__(self, app: ASGIApp, world: EmulatorState, cut: Callable[[int], None]) -> None:
        self._app = app
        self._world = world
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
        asked = f"{scope['method']} {host}{scope['path']}"
        if host == addresses.SERVICES_HOST:
            # a workspace that is not ours keeps its path, and so finds no route
            scope = {**scope, "path": scope["path"].replace(addresses.WORKSPACE_PATH, "", 1)}

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                _log.log(
                    logging.WARNING if message["status"] >= 400 else logging.INFO, "%s %s", asked, message["status"]
                )
            await send(message)

        response = self._refuse_caller(host, scope) or await self._strike(scope, receive)
        return await (response or self._app)(scope, receive, tell)

    def _refuse_caller(self, host: str, scope: Scope) -> Response | None:
        if host not in self._GUARDED or self._PUBLIC.match(scope["path"]):
            return None
        given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        try:
            self._world.tokens.check_token(given.removeprefix("Bearer "))
        except TokenError as error:
            return _unauthorized(error.code, str(error))
        return None

    async def _strike(self, scope: Scope, receive: Receive) -> Response | None:
        struck = self._world.faults.strike_call(scope["method"], scope["path"])
        if struck is None:
            return None
        _log.warning("fault %s strikes %s %s", struck, scope["method"], scope["path"])
        if struck == "cut_upload":
            await receive()  # some of the blob has arrived
            self._cut(scope["client"][1])
        return _STRUCK[struck]()


def _unauthorized(code: str, message: str) -> Response:
    response = service_error(401, code, message)
    response.headers["WWW-Authenticate"] = (
        f'Bearer authorization_uri="https://{addresses.IDENTITY_HOST}/{addresses.TENANT}"'
    )
    return response


def _later(status: int, code: str, message: str) -> Response:
    response = management_error(status, code, message)
    response.headers["Retry-After"] = "1"
    return response


_STRUCK: Mapping[str, Callable[[], Response]] = {
    "cut_upload": lambda: Response(status_code=500),  # nobody hears it
    "expired_token": lambda: _unauthorized(
        "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."
    ),
    "throttled_429": lambda: _later(429, "TooManyRequests", "The request was throttled. Please try again later."),
    "server_5xx": lambda: _later(503, "ServiceUnavailable", "The service is temporarily unavailable."),
    "conflict_409": lambda: refusal(service_exists("another-service")),
    "size": lambda: management_error(400, "BadRequest", size_text(4.1, 16.5)),
}
