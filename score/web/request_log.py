"""Access log middleware: request ids, and for each response one line of JSON in the log and one count in the metrics.

A line holds no body, no query and no key. The ids are those of Azure ML's inference server: ``x-request-id`` is taken
from the client or made here, ``x-ms-client-request-id`` is the client's own and sent back, and ``x-ms-request-id``
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
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from random import getrandbits
from select import PIPE_BUF
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from score.contract.columns import Columns
    from score.web.metrics import Metrics

logger = logging.getLogger("uvicorn.error")

_valid_id = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,100}").fullmatch  # another id is neither sent back nor logged


@dataclass
class RequestContext:
    """A request's record for the log and the metrics, filled while it is scored.

    Attributes:
        watch: Called with the checked columns.
        rows: Their number; None as long as no body has passed the contract.
    """

    watch: Callable[[Columns], None] | None = None
    rows: int | None = None

    def record(self, columns: Columns) -> None:
        """Record checked columns; from whatever thread scores them."""
        self.rows = len(next(iter(columns.values()), ()))
        if self.watch is not None:
            self.watch(columns)


CURRENT: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def write_lines(lines: Sequence[bytes]) -> None:
    """Write log lines to standard output.

    Workers share it, and only ``PIPE_BUF`` bytes reach a pipe in one piece. A line that cannot be written is dropped.
    """
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > PIPE_BUF:
            os.write(sys.stdout.fileno(), piece)
            piece = b""
        piece += line
    os.write(sys.stdout.fileno(), piece)


class AccessLogMiddleware:
    """The outermost middleware of the application."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics | None = None,
        write: Callable[[Sequence[bytes]], None] = write_lines,
    ) -> None:
        self.app, self.metrics, self.write = app, metrics, write
        self._lines: list[bytes] = []
        self._flush_scheduled = False
        self._log_failed = False  # whether the last write failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and log it."""
        started = time.perf_counter()
        request_id, client_id = _ids(scope)
        id_headers = [(b"x-request-id", request_id), (b"x-ms-request-id", client_id or request_id)]
        if client_id:
            id_headers.append((b"x-ms-client-request-id", client_id))
        context = RequestContext(self.metrics.watch if self.metrics else None)
        CURRENT.set(context)  # each request is a task with a context of its own
        status, sent, complete = 0, 0, False  # status 0: the connection was lost before there was a response

        async def observed_send(message: Message) -> None:
            nonlocal status, sent, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *id_headers]
            else:
                sent += len(message.get("body", b""))
                if not message.get("more_body", False):
                    complete = True
                    finish()
            await send(message)

        def finish() -> None:
            seconds = time.perf_counter() - started
            self._change_in_flight(-1)
            if self.metrics:
                self.metrics.count(_route(scope), status, seconds, context.rows)
            self._lines.append(_line(scope, request_id, client_id, status, seconds, sent, context.rows))

        self._change_in_flight(1)
        try:
            await self.app(scope, receive, observed_send)
        finally:
            if not complete:
                finish()

    def _change_in_flight(self, change: int) -> None:
        """Change the in-flight count; gauges and log lines are flushed once per event-loop iteration."""
        if self.metrics:
            self.metrics.in_flight += change
        if not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self.metrics:
            self.metrics.update()
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            self.write(lines)
            self._log_failed = False
        except OSError as error:  # such as a full disk: serving is worth more than the log
            if not self._log_failed:
                logger.warning("The access log cannot be written: %s", error)
            self._log_failed = True


def _ids(scope: Scope) -> tuple[bytes, bytes | None]:
    """Return the request's id, and its client's own if there is one."""
    request_id, client_id = b"%032x" % getrandbits(128), None  # not secret, so not worth a syscall
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _valid_id(value):
            request_id = value
        elif name == b"x-ms-client-request-id" and _valid_id(value):
            client_id = value
    return request_id, client_id


def _route(scope: Scope) -> str:
    """Return the path of the request's route, of which there are few."""
    path = getattr(scope.get("route"), "path", None)
    return "other" if path is None else f"{scope.get('root_path', '')}{path}"


def _line(
    scope: Scope, request_id: bytes, client_id: bytes | None, status: int, seconds: float, sent: int, rows: int | None
) -> bytes:
    line = {
        "time": datetime.now(timezone.utc),
        "id": request_id.decode(),
        **({"client_id": client_id.decode()} if client_id else {}),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": int(seconds * 1e6) / 1000,
        "bytes": sent,
        **({} if rows is None else {"rows": rows}),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
