"""One connection: uvicorn's on httptools, which for a small request takes a third of the time that h11 takes."""

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
    """Closes a connection whose next request's head takes too long or is too long; uvicorn alone would wait for ever."""

    _deadline: asyncio.TimerHandle | None = None  # there between two calls as long as a head is not complete
    _open = True  # whether a head has to come, or to be completed
    _held = 0
    _mixed = False  # whether what came held the end of a request before a head

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._open = False
        self._wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is still part of a head and too much."""
        self._mixed = False
        super().data_received(data)
        if self._open or self._deadline is not None:
            if not self._mixed:
                self._held += len(data)
            self._wait()

    def on_message_begin(self) -> None:
        """A head has begun."""
        self._open = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is complete."""
        self._open = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._mixed = True
        super().on_message_complete()

    def _wait(self) -> None:
        """Have a timer for a head that is not complete, and none else."""
        if not self._open:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline, self._held = None, 0
        elif self._held > HEAD_BYTES:
            log.warning("A head of more than %d bytes was refused", HEAD_BYTES)
            self.transport.close()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)
