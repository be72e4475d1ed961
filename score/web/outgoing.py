"""What a connection sends: all of one turn of the event loop in one piece, since each piece costs a call of the system."""

from __future__ import annotations

import asyncio
from typing import Any


class CoalescingTransport:
    """A transport that keeps what is written, such as an answer's head and its body, until the next turn.

    What was to be called then before the first of it was written is called before it leaves.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._kept: list[bytes] = []
        self._last = False  # whether the transport is to be closed behind what is kept
        self.pause_reading = transport.pause_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send this, soon."""
        if not self._kept:
            self._loop.call_soon(self._send)
        self._kept.append(data)

    def close(self) -> None:
        """Send what is kept, and close; what comes in from now on is for nobody."""
        if self._kept:
            self._last = True
            self._transport.pause_reading()
        else:
            self._transport.close()

    def resume_reading(self) -> None:
        """Read on, unless this is to be closed."""
        if not self._last:
            self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._last or self._transport.is_closing()

    def _send(self) -> None:
        kept, self._kept = self._kept, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(kept))
        if self._last:
            self._transport.close()
