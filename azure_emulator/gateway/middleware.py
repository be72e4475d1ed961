"""ASGI middleware in front of all routes: call log, bearer tokens, and faults of calls."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from azure_emulator.common import addresses
from azure_emulator.common.errors import service_exists, size_text
from azure_emulator.common.responses import EmulatorState, failure_response, management_error, service_error
from azure_emulator.common.tokens import TokenError

_log = logging.getLogger("emulator")


class AuthAndFaults:
    """Logs calls, checks bearer tokens, triggers faults, and removes the workspace from the path.

    Routes see ``/history/v1.0/subscriptions/.../workspaces/emulator/experiments`` as ``/history/v1.0/experiments``.
    """

    # not the identity service, which issues the tokens, nor blobs, whose addresses are signed
    _GUARDED = frozenset({addresses.MANAGEMENT_HOST, addresses.SERVICES_HOST, addresses.CONTROL_HOST})
    _PUBLIC = re.compile(r"/(discovery|metadata/endpoints)")

    def __init__(self, app: ASGIApp, emulator: EmulatorState, cut: Callable[[int], None]) -> None:
        self._app = app
        self._emulator = emulator
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI scope."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
        call = f"{scope['method']} {host}{scope['path']}"
        if host == addresses.SERVICES_HOST:
            # another workspace keeps its path, so that no route matches
            scope = {**scope, "path": scope["path"].replace(addresses.WORKSPACE_PATH, "", 1)}

        async def send_and_log(message: Message) -> None:
            if message["type"] == "http.response.start":
                _log.log(
                    logging.WARNING if message["status"] >= 400 else logging.INFO, "%s %s", call, message["status"]
                )
            await send(message)

        response = self._refuse_caller(host, scope) or await self._inject_fault(scope, receive)
        return await (response or self._app)(scope, receive, send_and_log)

    def _refuse_caller(self, host: str, scope: Scope) -> Response | None:
        if host not in self._GUARDED or self._PUBLIC.match(scope["path"]):
            return None
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        try:
            self._emulator.tokens.check_token(header.removeprefix("Bearer "))
        except TokenError as error:
            return _unauthorized(error.code, str(error))
        return None

    async def _inject_fault(self, scope: Scope, receive: Receive) -> Response | None:
        fault = self._emulator.faults.trigger_call(scope["method"], scope["path"])
        if fault is None:
            return None
        _log.warning("fault %s hits %s %s", fault, scope["method"], scope["path"])
        if fault == "cut_upload":
            await receive()  # a part of the blob has arrived
            self._cut(scope["client"][1])
        return _FAULT_RESPONSES[fault]()


def _unauthorized(code: str, message: str) -> Response:
    response = service_error(401, code, message)
    response.headers["WWW-Authenticate"] = (
        f'Bearer authorization_uri="https://{addresses.IDENTITY_HOST}/{addresses.TENANT}"'
    )
    return response


def _retry_later(status: int, code: str, message: str) -> Response:
    response = management_error(status, code, message)
    response.headers["Retry-After"] = "1"
    return response


_FAULT_RESPONSES: Mapping[str, Callable[[], Response]] = {
    "cut_upload": lambda: Response(status_code=500),  # never arrives: the connection is cut
    "expired_token": lambda: _unauthorized(
        "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."
    ),
    "throttled_429": lambda: _retry_later(429, "TooManyRequests", "The request was throttled. Please try again later."),
    "server_5xx": lambda: _retry_later(503, "ServiceUnavailable", "The service is temporarily unavailable."),
    "conflict_409": lambda: failure_response(service_exists("another-service")),
    "size": lambda: management_error(400, "BadRequest", size_text(4.1, 16.5)),
}
