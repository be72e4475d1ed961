"""Scoring as plain ASGI: what a web framework does for a request takes longer than to score a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from score.web.request_body import RequestBody

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from score.predict.predictor import HttpReply

    Answering = Callable[[RequestBody], Awaitable[HttpReply]]
    Handlers = Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]


class ScoreEndpoint:
    """A route's endpoint that is given no more of a request than its body, whether or not Starlette has routed it.

    ``handlers`` are those of the application, for what ``answer`` raises.
    """

    def __init__(self, path: str, answer: Answering, handlers: Handlers) -> None:
        self.path, self._answer, self._handlers = path, answer, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["route"] = self  # as Starlette does, for the log
        assert isinstance(receive, RequestBody)
        try:
            status, body, more = await self._answer(receive)
        except Exception as error:
            handler = self._handlers.get(type(error))
            response = await (handler or self._handlers[Exception])(Request(scope, receive), error)
            await response(scope, receive, send)
            if handler is None:
                raise  # to the log
            return
        headers = [(b"content-length", b"%d" % len(body))]
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
