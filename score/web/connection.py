"""The HTTP protocol: uvicorn's on httptools, with limits on the time and length of a request's head."""

from __future__ import annotations

import asyncio
import logging

import httptools  # noqa: F401 -- named here, it is pinned with the package
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KEEP_ALIVE_SECONDS = 5  # an idle connection is closed after this long, draining or not
HEAD_SECONDS = 20
HEAD_BYTES = 2**16

log = logging.getLogger("uvicorn.error")


class Protocol(HttpToolsProtocol):
    """Closes a connection whose request head takes too long or is too long; uvicorn would wait forever.

    httptools takes a third of the time that h11 takes for a small request.
    """

    _deadline: asyncio.TimerHandle | None = None  # set as long as a head is incomplete
    _head_incomplete = True
    _head_bytes = 0
    _ended_request = False  # whether the received data began with the end of a request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first head."""
        super().connection_made(transport)
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._head_incomplete = False
        self._update_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data; close the connection where it is an incomplete head that is too long."""
        self._ended_request = False
        super().data_received(data)
        if self._head_incomplete or self._deadline is not None:
            if not self._ended_request:
                self._head_bytes += len(data)
            self._update_timer()

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._head_incomplete = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._head_incomplete = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        self._ended_request = True
        super().on_message_complete()

    def _update_timer(self) -> None:
        """Run the timer exactly while a head is incomplete."""
        if not self._head_incomplete:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline, self._head_bytes = None, 0
        elif self._head_bytes > HEAD_BYTES:
            log.warning("A head of more than %d bytes was refused", HEAD_BYTES)
            self.transport.close()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)
