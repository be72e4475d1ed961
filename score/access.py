"""Around every request: its id, and once it is answered one line of JSON in the log and one count in the metrics.

A line holds no body, no query and no key. The ids are those of Azure ML's inference server: ``x-request-id`` is taken
from the client or made here, ``x-ms-client-request-id`` is the client's own and given back, and ``x-ms-request-id``
is the latter if it is there, else the former.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from uuid import uuid4

from score.notes import CURRENT, Note

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from score.metrics import Metrics

_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,100}").fullmatch  # what is no such id is not given back, nor logged


def log(line: str) -> None:
    """Write one line of the access log: to standard output, which is where a container's log is read from."""
    sys.stdout.write(line)
    sys.stdout.flush()


class Access:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics | None = None, log: Callable[[str], None] = log) -> None:
        self.app, self.metrics, self.log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and tell of it."""
        began = time.perf_counter()
        given = {name: value for name, value in scope["headers"] if name.startswith(b"x-") and _SANE(value)}
        own = given.get(b"x-request-id") or uuid4().hex.encode()
        client = given.get(b"x-ms-client-request-id")
        ids = [(b"x-request-id", own), (b"x-ms-request-id", client or own)]
        if client:
            ids.append((b"x-ms-client-request-id", client))
        note = Note(self.metrics.watch if self.metrics else None)
        CURRENT.set(note)  # each request is a task, and so has a context of its own
        status, sent, told = 0, 0, False  # 0: the connection was lost before there was an answer

        def tell() -> None:
            nonlocal told
            told, seconds = True, time.perf_counter() - began
            if self.metrics:
                self.metrics.in_flight.dec()
                self.metrics.count(_route(scope), status, seconds, note.rows)
            self.log(_line(scope, own, client, status, seconds, sent, note.rows))

        async def noted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *ids]
            else:
                sent += len(message.get("body", b""))
                if not message.get("more_body", False):
                    tell()  # before the client knows, so that whoever has an answer finds it counted
            await send(message)

        if self.metrics:
            self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, noted)
        finally:
            if not told:
                tell()


def _route(scope: Scope) -> str:
    """The path as its route has it, below whatever it is mounted at: there are few of these."""
    path = getattr(scope.get("route"), "path", None)
    return "other" if path is None else f"{scope.get('root_path', '')}{path}"


def _line(
    scope: Scope, own: bytes, client: bytes | None, status: int, seconds: float, sent: int, rows: int | None
) -> str:
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "id": own.decode(),
        **({"client_id": client.decode()} if client else {}),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 3),
        "bytes": sent,
        **({} if rows is None else {"rows": rows}),
    }
    return json.dumps(line) + "\n"
