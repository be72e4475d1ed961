"""A request's body while it comes, and what becomes of the rest of one that nobody wants."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

DISCARD_BYTES, DISCARD_SECONDS = 2**28, 5


class RequestBody:
    """An ASGI ``receive`` that knows its request's head, and whether the body has ``ended``; made in the event loop."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.length = int(self.headers.get(b"content-length", 0))  # 0 where it is not told
        self.loop = asyncio.get_running_loop()  # asked once, as each time is a call of the system
        self.ended = self._late = False
        self._receive = receive

    async def __call__(self) -> Message:
        """The next message."""
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        return message

    async def chunk(self, until: float) -> bytes:
        """The next bytes of a body that has not ended; ``until`` is a time of the event loop.

        Raises:
            ClientDisconnect: no more will come.
            TimeoutError: none have come until then.
        """
        task = asyncio.current_task(self.loop)
        assert task is not None
        # as asyncio.timeout does it, which Python 3.10 lacks, and in a third of the time that anyio takes
        timer = self.loop.call_at(until, self._give_up, task)
        try:
            message = await self()
        except asyncio.CancelledError:
            if not self._late:
                raise
            if sys.version_info >= (3, 11):
                task.uncancel()
            raise TimeoutError from None
        finally:
            timer.cancel()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        return chunk

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        self._late = True
        task.cancel()

    async def discard(self) -> None:
        """Take the rest of the body, so that its sender reads the answer and meets no reset connection.

        Who waits for a word before it sends (``Expect: 100-continue``) gets the answer at once; who is too slow, too.
        """
        left = 0 if b"expect" in self.headers else DISCARD_BYTES
        until = self.loop.time() + DISCARD_SECONDS
        with suppress(ClientDisconnect, TimeoutError):
            while left > 0 and not self.ended:
                left -= len(await self.chunk(until))
