"""The server at twice its capacity for a minute: ``python -m benchmarks.overload``.

It measures how many requests of 100 rows a second one worker answers, and the median latency of one connection. Then it
sends requests at twice that rate, open-loop: each on an idle connection, or on a new one. Every response must be equal to
the byte, or a 503 with ``Retry-After``; the health route is polled meanwhile. Afterwards it measures the latency again.
It prints the results, and exits with 1 if a response was wrong or missing.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks import serving

ROWS = 100
MAX_CONNECTIONS = 8000
TICK_SECONDS = 0.005
LAST_RESPONSE_SECONDS = 10  # for the last responses
IDLE_SECONDS = 4  # before the server's 5: as every pool of connections does, use none that it may be closing
HEALTH = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Connection(asyncio.Protocol):
    """A connection that returns to the idle ones once it has its response."""

    def __init__(self, overload: Overload) -> None:
        self._overload, self._answer, self.waiting = overload, bytearray(), True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport: Any = transport
        self.send()

    def send(self) -> None:
        """Send a request."""
        self._answer.clear()
        self.waiting, self._sent = True, time.perf_counter()
        self._transport.write(self._overload.request)

    def data_received(self, data: bytes) -> None:
        """Receive a response, or a part of one."""
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length:")[2]
        if end and len(body) >= int(length.split(None, 1)[0]):
            self.waiting, self._idle_since = False, time.perf_counter()
            self._overload.answered(bytes(head), bytes(body), self._idle_since - self._sent)
            self._overload.idle.append(self)

    def is_fresh(self) -> bool:
        """Whether the server surely keeps the connection open."""
        return time.perf_counter() - self._idle_since < IDLE_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Count a loss during a request; a server may close an idle connection."""
        if self.waiting:
            self._overload.outcomes["broken connections"] += 1
        elif self in self._overload.idle:
            self._overload.idle.remove(self)


class Overload:
    """An open-loop load, and its outcomes."""

    def __init__(self, port: int, request: bytes, expected: bytes) -> None:
        self.port, self.request, self._expected = port, request, expected
        self.idle: list[Connection] = []
        self.outcomes: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.health: list[float] = []
        self.memory: list[float] = []
        self.sent = 0
        self._connections: list[Connection] = []

    def answered(self, head: bytes, body: bytes, seconds: float) -> None:
        """Check and count a response."""
        if head.startswith(b"HTTP/1.1 200") and body == self._expected:
            self.outcomes["200"] += 1
            self.latencies.append(seconds)
        elif head.startswith(b"HTTP/1.1 503") and b"\r\nretry-after:" in head.lower():
            self.outcomes["503"] += 1
        else:
            self.outcomes[f"wrong: {head[:60]!r} {body[:60]!r}"] += 1

    async def run(self, rate: float, seconds: float, server: psutil.Process) -> None:
        """Send ``rate`` requests a second for ``seconds``, and wait for the responses."""
        loop = asyncio.get_running_loop()
        watcher = loop.create_task(self._watch(server))
        began, sent = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            opening = []
            for _ in range(int(passed * rate) - sent):
                sent += 1
                if self.idle and self.idle[-1].is_fresh():  # the last one is the freshest
                    self.idle.pop().send()
                elif len(self._connections) < MAX_CONNECTIONS:
                    self._connections.append(Connection(self))
                    opening.append(self._open(self._connections[-1]))
                else:
                    self.outcomes["no connection left to send on"] += 1
            await asyncio.gather(asyncio.sleep(TICK_SECONDS), *opening)
        self.sent = sent
        deadline = time.perf_counter() + LAST_RESPONSE_SECONDS
        while any(connection.waiting for connection in self._connections) and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        self.outcomes["without an answer"] = sum(connection.waiting for connection in self._connections)
        watcher.cancel()

    async def _open(self, connection: Connection) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", self.port)
        except OSError as error:
            connection.waiting = False
            self.outcomes[f"wrong: {error}"] += 1

    async def _watch(self, server: psutil.Process) -> None:
        """Sample the server's memory and the latency of its health route, five times a second."""
        while True:
            began = time.perf_counter()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(HEALTH)
            if not (await reader.readline()).startswith(b"HTTP/1.1 200"):
                self.outcomes["wrong: health"] += 1
            writer.close()
            self.health.append(time.perf_counter() - began)
            self.memory.append(server.memory_full_info().uss / 2**20)
            await asyncio.sleep(0.2)


def answer(port: int, request: bytes) -> bytes:
    """Return the body of one response."""
    head, _, body = request.partition(b"\r\n\r\n")
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", head.split(None, 2)[1].decode(), body, {"Content-Type": "application/json"})
    body_received = connection.getresponse().read()
    connection.close()
    return body_received


def main() -> int:
    """Measure, overload, measure again and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="a package of the bundled data; else one is trained")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        package = (options.package or serving.trained(folder)).resolve()
        peer = serving.own_server(package)
        request = serving.http(peer, serving.drawn(ROWS))
        with serving.started(peer, request, folder / "log") as (port, _, server):
            expected = answer(port, request)
            serving.asked(port, request, 4, 2)  # warm
            rate, _ = serving.asked(port, request, 16, 5)
            _, before = serving.asked(port, request, 1, 3)
            overload = Overload(port, request, expected)
            uvloop.install()
            asyncio.run(overload.run(2 * rate, options.seconds, server))
            _, after = serving.asked(port, request, 1, 3)
    outcomes = overload.outcomes
    print(f"capacity {rate:.0f} a second; {overload.sent / options.seconds:.0f} a second were sent")
    for what, count in sorted(outcomes.items()):
        print(f"  {count:8}  {what}")
    accepted = statistics.quantiles(overload.latencies, n=100)
    print(f"answered {len(overload.latencies) / options.seconds:.0f} a second, p50 {accepted[49]:.3f} s, "
          f"p99 {accepted[98]:.3f} s; health at most {max(overload.health):.3f} s")  # fmt: skip
    tenth = max(1, len(overload.memory) // 10)
    parts = (overload.memory[part * tenth : (part + 1) * tenth] for part in (1, 5, 9))
    first, middle, last = map(statistics.median, parts)
    print(
        f"memory {first:.0f} MB after a tenth of the time, {middle:.0f} MB after half of it, {last:.0f} MB at its end"
    )
    print(f"p50 on one connection: {before:.2f} ms before, {after:.2f} ms after: {after / before:.2f} ×")
    return any(count for what, count in outcomes.items() if what not in ("200", "503", "no connection left to send on"))


if __name__ == "__main__":
    sys.exit(main())
