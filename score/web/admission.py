"""Admission control: bounded queues keep latency, health checks and memory stable under overload.

Small and large requests have queues and threads of their own; a request that finds its queue full gets a 503 and may
retry. A small request is scored on the event loop, batched with the others of that iteration, as long as small requests
take next to no time: to a thread and back costs about 0.1 ms, more than a compiled model. Whatever takes longer there,
the model or a refusal with many problems, sends all small requests to the threads for a while.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from anyio import fail_after
from starlette.exceptions import HTTPException

from score.predict.batching import MicroBatcher
from score.predict.predictor import log_failure
from score.web.content_encoding import ContentEncoding, declared
from score.web.request_log import CURRENT, RequestContext

if TYPE_CHECKING:
    from score.contract.columns import Columns
    from score.predict.predictor import Prediction, Predictor
    from score.predict.response import HttpReply
    from score.web.request_body import RequestBody

T = TypeVar("T")

LARGE_BYTES = 2**17  # a longer body is a large request, which has the second queue
LOOP_BYTES = 2**13  # a longer body is never scored on the event loop
LOOP_SECONDS = 0.002  # once a request took longer there, none is scored there for a while:
LOOP_SHARE = 20  # times as long as that request took, so that slow ones get a twentieth of the loop's time
RETRY_SECONDS = 1
REFUSAL_SECONDS = 0.5
BYTES_A_SECOND = 10_000  # the rate that extends body_timeout_seconds for a long body


@dataclass(frozen=True)
class Limits:
    """The limits of one process; ``python -m score.server --help`` describes each of them."""

    max_bytes: int = 64 * 2**20
    max_queued_requests: int = 128
    body_timeout_seconds: float = 20
    scoring_timeout_seconds: float = 60


class ParsedRequest(Protocol):
    """The result of ``RequestCodec.parse``: checked columns, and whether labels are wanted."""

    @property
    def columns(self) -> Columns: ...  # noqa: D102

    @property
    def labels(self) -> bool: ...  # noqa: D102


class RequestCodec(NamedTuple):
    """How one HTTP interface parses a request and encodes its reply; both synchronous.

    A ``slow`` one has a queue and a thread of its own, so that no other request waits for it, and shares no run of the
    model with others.
    """

    parse: Callable[[bytes], ParsedRequest]
    respond: Callable[[Any, Prediction], HttpReply]
    slow: bool = False


class BoundedExecutor:
    """Threads with a bounded queue; the caller says how much of its capacity a request takes."""

    def __init__(self, name: str, threads: int, capacity: int, seconds: float) -> None:
        self._capacity, self._used, self._seconds = capacity, 0, seconds
        self._threads = ThreadPoolExecutor(threads, f"score-{name}")
        self.waiting = 0  # for a thread
        self._free = asyncio.Semaphore(threads)  # before the threads: what they queue themselves cannot be given up

    async def reserve(self, size: int) -> None:
        """Reserve capacity for a request, to be released once it is answered; 503 where there is none."""
        if self._used and self._used + size > self._capacity:
            # Clients that retry at once would leave no time for anything but refusing them
            await asyncio.sleep(REFUSAL_SECONDS)
            raise _busy("too many requests are waiting")
        self._used += size

    def release(self, size: int) -> None:
        """Release reserved capacity."""
        self._used -= size

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of ``work``, run in a thread; 503 if none is free in time, 504 if it takes too long."""
        self.waiting += 1
        try:
            with fail_after(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise _busy(f"no thread was free for {self._seconds:g} s") from None
        finally:
            self.waiting -= 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # a thread cannot be stopped: it is free when it is done, and not when its request times out
        future.add_done_callback(lambda _: self._free.release())
        try:
            done, _ = await asyncio.wait([future], timeout=self._seconds)
        finally:
            if not future.done():
                future.add_done_callback(_log_late_failure)
        if not done:
            # neither 503 nor 408, which make clients send again what would take as long again
            raise HTTPException(504, f"scoring took longer than {self._seconds:g} s; send fewer rows at a time")
        return future.result()


def _log_late_failure(future: asyncio.Future[Any]) -> None:
    """Log the failure of a request whose client got a 504 or is gone; asyncio would log the request's values."""
    if not future.cancelled() and isinstance(error := future.exception(), Exception):
        log_failure(error)


class Admission:
    """Reserves a queue slot, reads the body, then scores the request on the event loop or on a worker thread.

    One for each process, made in its loop.
    """

    def __init__(self, limits: Limits, predictor: Predictor) -> None:
        self.limits = limits
        self._predict = predictor.predict
        self._batcher = MicroBatcher(
            predictor.predict, batchable=predictor.model.batchable, report=self._record_blocking
        )
        self.small = BoundedExecutor(
            "small", min(4, os.cpu_count() or 1), limits.max_queued_requests, limits.scoring_timeout_seconds
        )
        # Parsed, a body takes many times its length: so large ones one after another, and few in memory
        self.large = BoundedExecutor("large", 1, 2 * limits.max_bytes, limits.scoring_timeout_seconds)
        self.slow = BoundedExecutor("slow", 1, limits.max_queued_requests, limits.scoring_timeout_seconds)
        self._loop_allowed = False  # whether small requests take next to no time
        self._blocked_until = 0.0  # a request that started before is no evidence that they are fast again

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a thread."""
        return self.small.waiting + self.slow.waiting + self.large.waiting

    async def answer(self, incoming: RequestBody, codec: RequestCodec) -> HttpReply:
        """Read the body and score it.

        Raises:
            HTTPException: 400, 408, 413, 415, 503 or 504.
            BadRequest, ScoringError: as the codec and the predictor raise them.
            ClientDisconnect: the client closed the connection.
        """
        if incoming.length > self.limits.max_bytes:
            raise self._too_long()
        encoding = declared(incoming.headers)
        context = CURRENT.get()
        body = bytearray()
        if incoming.length <= LARGE_BYTES:
            await self._read(incoming, body, LARGE_BYTES)
            if len(body) <= LARGE_BYTES:
                queue = self.slow if codec.slow else self.small
                await queue.reserve(1)
                try:
                    plain = bytes(body) if encoding is None else encoding.read(bytes(body), LARGE_BYTES)
                    if plain is not None:
                        return await self._score_small(plain, codec, context)
                finally:
                    queue.release(1)
        compressed = encoding is not None and encoding.coding is not None
        size = (0 if compressed else incoming.length) or self.limits.max_bytes  # unknown: assume the longest
        await self.large.reserve(size)
        try:
            await self._read(incoming, body, self.limits.max_bytes)
            return await self.large.run(lambda: self._score(self._decode(body, encoding), codec, context))
        finally:
            self.large.release(size)

    def _score(self, body: bytes, codec: RequestCodec, context: RequestContext | None) -> HttpReply:
        """Parse, predict and respond, on this thread."""
        request = codec.parse(body)
        if context is not None:
            context.record(request.columns)
        return codec.respond(request, self._predict(request.columns, labels=request.labels))

    async def _score_small(self, body: bytes, codec: RequestCodec, context: RequestContext | None) -> HttpReply:
        if codec.slow:
            return await self.slow.run(lambda: self._score(body, codec, context))
        if not self._loop_allowed or len(body) > LOOP_BYTES:
            return await self.small.run(lambda: self._score_in_thread(body, codec, context))
        started = time.perf_counter()
        waited = 0.0
        try:
            request = codec.parse(body)
            if context is not None:
                context.record(request.columns)
            parsed = time.perf_counter()
            try:
                prediction = await self._batcher.predict(request.columns, labels=request.labels)
            finally:
                waited = time.perf_counter() - parsed
            return codec.respond(request, prediction)
        finally:
            self._record_blocking(time.perf_counter() - started - waited)

    def _score_in_thread(self, body: bytes, codec: RequestCodec, context: RequestContext | None) -> HttpReply:
        started = time.perf_counter()
        reply = self._score(body, codec, context)  # a refusal raises, and says nothing of how long the model takes
        if time.perf_counter() - started < LOOP_SECONDS and started > self._blocked_until:
            self._loop_allowed = True
        return reply

    def _record_blocking(self, seconds: float) -> None:
        """Record how long a request blocked the event loop."""
        if seconds >= LOOP_SECONDS:
            self._loop_allowed = False
            self._blocked_until = max(self._blocked_until, time.perf_counter() + LOOP_SHARE * seconds)

    async def _read(self, incoming: RequestBody, body: bytearray, enough: int) -> None:
        """Read until the body ends or is longer than ``enough``; 408 for one that is too slow, 413 for too long."""
        deadline = 0.0
        while not incoming.ended and len(body) <= enough:
            deadline = deadline or asyncio.get_running_loop().time() + self.limits.body_timeout_seconds
            try:
                body += await incoming.read_chunk(deadline + len(body) / BYTES_A_SECOND)
            except TimeoutError:
                detail = f"the body did not come within {self.limits.body_timeout_seconds:g} s; send it faster"
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            if len(body) > self.limits.max_bytes:
                raise self._too_long()

    def _decode(self, body: bytearray, encoding: ContentEncoding | None) -> bytes:
        plain = bytes(body) if encoding is None else encoding.read(bytes(body), self.limits.max_bytes)
        if plain is None:
            raise self._too_long()
        return plain

    def _too_long(self) -> HTTPException:
        return HTTPException(
            413, f"the request is longer than {self.limits.max_bytes} bytes; send fewer rows at a time"
        )


def _busy(reason: str) -> HTTPException:
    return HTTPException(503, f"{reason}; try again", {"Retry-After": str(RETRY_SECONDS)})
