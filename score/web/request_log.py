"""Around every request: its id, and once it is answered one line of JSON in the log and one count in the metrics.

A line holds no body, no query and no key. The ids are those of Azure ML's inference server: ``x-request-id`` is taken
from the client or made here, ``x-ms-client-request-id`` is the client's own and given back, and ``x-ms-request-id``
is the latter if it is there, else the former.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from random import getrandbits
from select import PIPE_BUF
from typing import TYPE_CHECKING

import orjson

from score.predict.request_context import CURRENT, RequestContext

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from score.web.metrics import Metrics

logger = logging.getLogger("uvicorn.error")

_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,100}").fullmatch  # what is no such id is not given back, nor logged


def log(lines: Sequence[bytes]) -> None:
    """Write lines of the access log: to standard output, which is where a container's log is read from.

    Workers share it, and only so much at once reaches a pipe in one piece. Nothing is kept that could not be written.
    """
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > PIPE_BUF:
            os.write(sys.stdout.fileno(), piece)
            piece = b""
        piece += line
    os.write(sys.stdout.fileno(), piece)


class AccessLogMiddleware:
    """The outermost layer of the application."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics | None = None, log: Callable[[Sequence[bytes]], None] = log
    ) -> None:
        self.app, self.metrics, self.log = app, metrics, log
        self._lines: list[bytes] = []
        self._telling = False  # whether _tell is about to be called
        self._unheard = False  # whether the log takes no lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and tell of it."""
        began = time.perf_counter()
        own, client = _ids(scope)
        ids = [(b"x-request-id", own), (b"x-ms-request-id", client or own)]
        if client:
            ids.append((b"x-ms-client-request-id", client))
        note = RequestContext(self.metrics.watch if self.metrics else None)
        CURRENT.set(note)  # each request is a task, and so has a context of its own
        status, sent, told = 0, 0, False  # 0: the connection was lost before there was an answer
        head: Message | None = None

        def tell() -> None:
            nonlocal told
            told, seconds = True, time.perf_counter() - began
            self._changed(-1)
            if self.metrics:
                self.metrics.count(_route(scope), status, seconds, note.rows)
            self._lines.append(_line(scope, own, client, status, seconds, sent, note.rows))

        async def noted(message: Message) -> None:
            nonlocal status, sent, head
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *ids]
                head = message
                return
            sent += len(message.get("body", b""))
            if not message.get("more_body", False):
                tell()
            if head is not None:  # only now: an answer of one piece leaves after _tell then, see Outgoing
                await send(head)
                head = None
            await send(message)

        self._changed(1)
        try:
            await self.app(scope, receive, noted)
        finally:
            if not told:
                tell()

    def _changed(self, more: int) -> None:
        """So many requests more are in flight; the word of it goes out once for all of this turn of the event loop."""
        if self.metrics:
            self.metrics.in_flight += more
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        if self.metrics:
            self.metrics.update()
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self.log(lines)
            self._unheard = False
        except OSError as error:  # a full disk, say: to answer is worth more than to tell
            if not self._unheard:
                logger.warning("The access log cannot be written: %s", error)
            self._unheard = True


def _ids(scope: Scope) -> tuple[bytes, bytes | None]:
    """The request's id, and its client's own if there is one."""
    own, client = b"%032x" % getrandbits(128), None  # no secret, so not worth a call of the system
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE(value):
            own = value
        elif name == b"x-ms-client-request-id" and _SANE(value):
            client = value
    return own, client


def _route(scope: Scope) -> str:
    """The path as its route has it, below whatever it is mounted at: there are few of these."""
    path = getattr(scope.get("route"), "path", None)
    return "other" if path is None else f"{scope.get('root_path', '')}{path}"


def _line(
    scope: Scope, own: bytes, client: bytes | None, status: int, seconds: float, sent: int, rows: int | None
) -> bytes:
    line = {
        "time": datetime.now(timezone.utc),
        "id": own.decode(),
        **({"client_id": client.decode()} if client else {}),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": int(seconds * 1e6) / 1000,
        "bytes": sent,
        **({} if rows is None else {"rows": rows}),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
