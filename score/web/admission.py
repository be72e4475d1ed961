"""Who is scored now, who waits and who is sent away, so that no load makes the service slow, deaf or fat.

Small requests and large ones wait in queues of their own, before threads of their own. Both queues are bounded: who
finds no place gets a 503 and may try again. A small request is scored on the event loop as long as its like take next
to no time, since the way to a thread and back costs about 0.1 ms, more than a compiled model; and with all others that
are there by then. What once took longer there, be it the model or a refusal of many words, sends all to the threads for
a while.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import fail_after
from starlette.exceptions import HTTPException

from score.predict.batching import MicroBatcher, Predict, alone, at_once
from score.web.content_encoding import Declared, declared

if TYPE_CHECKING:
    from score.models.base import Columns, Model
    from score.predict.predictor import HttpReply
    from score.web.request_body import RequestBody

    Answered = Callable[[bytes, Predict], Coroutine[Any, Any, HttpReply]]

T = TypeVar("T")

LARGE_BYTES = 2**17  # a longer request is a large one: it may take long, and memory
LOOP_BYTES = 2**13  # a longer one never runs on the event loop
LOOP_SECONDS = 0.002  # nor does any, once one took longer there, for
LOOP_SHARE = 20  # times as long as that one took: the slow ones get a twentieth of the loop's time
RETRY_SECONDS = 1
REFUSAL_SECONDS = 0.5
BYTES_A_SECOND = 10_000  # a body may take so much longer than body_timeout_seconds


@dataclass(frozen=True)
class Limits:
    """What one process takes on. ``python -m score.server --help`` tells what each of them means."""

    max_bytes: int = 64 * 2**20
    max_queued_requests: int = 128
    body_timeout_seconds: float = 20
    scoring_timeout_seconds: float = 60


class BoundedExecutor:
    """Some threads with a bounded queue before them; what takes room in it is for the caller to say."""

    def __init__(self, name: str, threads: int, room: int, seconds: float) -> None:
        self._room, self._taken, self._seconds = room, 0, seconds
        self._threads = ThreadPoolExecutor(threads, f"score-{name}")
        self.waiting = 0  # for a thread
        self._free = asyncio.Semaphore(threads)  # before the threads: what they queue themselves cannot be given up

    async def take(self, size: int) -> None:
        """Take room for a request, to be given back once it is answered; 503 where there is none."""
        if self._taken and self._taken + size > self._room:
            # Clients that try again at once would leave no time for anything but refusing them
            await asyncio.sleep(REFUSAL_SECONDS)
            raise _busy("too many requests are waiting")
        self._taken += size

    def give(self, size: int) -> None:
        """Give room back."""
        self._taken -= size

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, from one of the threads; 503 if none is free in time, 504 if it takes too long."""
        self.waiting += 1
        try:
            with fail_after(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise _busy(f"no thread was free for {self._seconds:g} s") from None
        finally:
            self.waiting -= 1
        context = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self._threads, context.run, work)
        # a thread cannot be stopped, so it is free when it is done and not when its client is told
        future.add_done_callback(lambda _: self._free.release())
        done, _ = await asyncio.wait([future], timeout=self._seconds)
        if not done:
            # neither 503 nor 408, which make clients send again what would take as long again
            raise HTTPException(504, f"scoring took longer than {self._seconds:g} s; send fewer rows at a time")
        return future.result()


class Admission:
    """The way of every request that is scored: a place, its body, a thread. One for each process, made in its loop."""

    def __init__(self, limits: Limits, model: Model) -> None:
        self.limits = limits
        self._alone, self._together = alone(model), MicroBatcher(model, self._took).predict
        self.small = BoundedExecutor(
            "small", min(4, os.cpu_count() or 1), limits.max_queued_requests, limits.scoring_timeout_seconds
        )
        # Parsed, a body takes many times its length: so large ones one after another, and few in memory
        self.large = BoundedExecutor("large", 1, 2 * limits.max_bytes, limits.scoring_timeout_seconds)
        self._quick = False  # whether small requests take next to no time
        self._doubted = 0.0  # until when none is taken for a sign of it

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return self.small.waiting + self.large.waiting

    async def answer(self, incoming: RequestBody, answered: Answered) -> HttpReply:
        """What ``answered`` gives for the body.

        Raises:
            HTTPException: 400, 408, 413, 415, 503 or 504.
            ClientDisconnect: nobody waits for an answer.
        """
        if incoming.length > self.limits.max_bytes:
            raise self._too_long()
        form = declared(incoming.headers)
        body = bytearray()
        if incoming.length <= LARGE_BYTES:
            await self._read(incoming, body, LARGE_BYTES)
            if len(body) <= LARGE_BYTES:
                await self.small.take(1)
                try:
                    plain = bytes(body) if form is None else form.read(bytes(body), LARGE_BYTES)
                    if plain is not None:
                        return await self._small(plain, answered)
                finally:
                    self.small.give(1)
        packed = form is not None and form.coding is not None
        room = (0 if packed else incoming.length) or self.limits.max_bytes  # of unknown length: as long as can be
        await self.large.take(room)
        try:
            await self._read(incoming, body, self.limits.max_bytes)
            return await self.large.run(lambda: at_once(answered(self._plain(body, form), self._alone)))
        finally:
            self.large.give(room)

    def _plain(self, body: bytearray, form: Declared | None) -> bytes:
        plain = bytes(body) if form is None else form.read(bytes(body), self.limits.max_bytes)
        if plain is None:
            raise self._too_long()
        return plain

    async def _small(self, body: bytes, answered: Answered) -> HttpReply:
        if not self._quick or len(body) > LOOP_BYTES:
            return await self.small.run(lambda: self._apart(body, answered))
        waited = 0.0

        async def predict(columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
            nonlocal waited
            asked = time.perf_counter()
            try:
                return await self._together(columns, labels=labels)
            finally:
                waited = time.perf_counter() - asked

        began = time.perf_counter()
        try:
            return await answered(body, predict)
        finally:
            self._took(time.perf_counter() - began - waited)

    def _apart(self, body: bytes, answered: Answered) -> HttpReply:
        began = time.perf_counter()
        given = at_once(answered(body, self._alone))
        took = time.perf_counter() - began
        # a quick refusal says nothing of how long the model takes
        if given.status == HTTPStatus.OK and took < LOOP_SECONDS and began > self._doubted:
            self._quick = True
        return given

    def _took(self, seconds: float) -> None:
        """So long the loop was held up."""
        if seconds >= LOOP_SECONDS:
            self._quick = False
            self._doubted = max(self._doubted, time.perf_counter() + LOOP_SHARE * seconds)

    async def _read(self, incoming: RequestBody, body: bytearray, enough: int) -> None:
        """Add to the body until it ends or is longer than ``enough``; 408 and 413 for what takes or is too long."""
        until = incoming.loop.time() + self.limits.body_timeout_seconds
        while not incoming.ended and len(body) <= enough:
            try:
                body += await incoming.chunk(until + len(body) / BYTES_A_SECOND)
            except TimeoutError:
                detail = f"the body did not come within {self.limits.body_timeout_seconds:g} s; send it faster"
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            if len(body) > self.limits.max_bytes:
                raise self._too_long()

    def _too_long(self) -> HTTPException:
        return HTTPException(
            413, f"the request is longer than {self.limits.max_bytes} bytes; send fewer rows at a time"
        )


def _busy(why: str) -> HTTPException:
    return HTTPException(503, f"{why}; try again", {"Retry-After": str(RETRY_SECONDS)})
