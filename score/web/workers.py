"""Several processes on one listening socket, and one that starts, watches, replaces and stops them.

The supervisor loads no model and forks nothing: each worker is ``python -m score.server`` anew, since libraries with
threads of their own do not outlive a fork. It says to a worker what a starter says to a server (see
:mod:`score.web.handover`), and a worker leaves when the supervisor has gone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from score.web import metrics
from score.web.handover import Handover

LONGEST_PAUSE = 30  # seconds before a worker that dies again and again is started once more
STOP_SECONDS = 28  # longer than a worker takes to drain (score.server.DRAIN_SECONDS)

log = logging.getLogger("uvicorn.error")


@dataclass
class Worker:
    """A process and the channel to it."""

    process: asyncio.subprocess.Process
    channel: socket.socket

    async def hear(self, word: str) -> bool:
        """Whether it says this word; False if it has gone instead."""
        with suppress(OSError):
            return await asyncio.get_running_loop().sock_recv(self.channel, 16) == f"{word}\n".encode()
        return False

    async def keep(self) -> bool:
        """Let it serve; whether it does."""
        with suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self.channel, b"keep\n")
        return await self.hear("serving")

    async def gone(self) -> int:
        """Its exit code, once it has gone."""
        code = await self.process.wait()
        self.channel.close()
        return code

    async def stop(self) -> None:
        """Let it drain, then see that it is gone."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.gone(), STOP_SECONDS)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.gone()


class Supervisor:
    """Keeps ``count`` workers alive; ``arguments`` are a server's, ``counts`` is where workers keep what they count."""

    def __init__(self, arguments: Sequence[str], count: int, handover: Handover, counts: Path) -> None:
        self._arguments, self._count, self._handover, self._counts = arguments, count, handover, counts
        self._leave = asyncio.Event()
        self._signal: int | None = None

    async def run(self, serving: str) -> int:
        """Start, tell ``serving`` in the log, and stay until a signal or a successor ends it; the exit code."""
        loop = asyncio.get_running_loop()
        workers = [await self._start() for _ in range(self._count)]
        if not all(await asyncio.gather(*(worker.hear("ready") for worker in workers))):
            return await self._give_up(workers)
        if not await loop.run_in_executor(None, self._handover.kept):
            return await self._give_up(workers)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        if not all(await asyncio.gather(*(worker.keep() for worker in workers))):
            return await self._give_up(workers)
        log.info("%s, with %d workers", serving, self._count)
        self._handover.take_over(partial(loop.call_soon_threadsafe, self._leave.set))
        places = [loop.create_task(self._watch(worker)) for worker in workers]
        await self._leave.wait()
        self._handover.listener.close()
        for place in places:
            place.cancel()
        await asyncio.gather(*places, return_exceptions=True)
        return 0

    @property
    def signal(self) -> int | None:
        """The signal that ended it."""
        return self._signal

    def _stop(self, number: int) -> None:
        self._signal = number
        self._leave.set()

    async def _give_up(self, workers: Sequence[Worker]) -> int:
        await asyncio.gather(*(worker.stop() for worker in workers))
        return 1

    async def _start(self) -> Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            fds = [self._handover.listener.fileno(), theirs.fileno()]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "score.server", *self._arguments,
                "--listener-fd", str(fds[0]), "--ready-fd", str(fds[1]),
                pass_fds=fds,
                env={**os.environ, metrics.FOLDER: str(self._counts)},
            )  # fmt: skip
        return Worker(process, ours)

    async def _watch(self, worker: Worker) -> None:
        """One place: its worker, and whenever that has died the next, until this is cancelled."""
        pause = 0.0
        try:
            while True:
                began = asyncio.get_running_loop().time()
                code = await worker.gone()
                mark_process_dead(worker.process.pid, str(self._counts))  # type: ignore[no-untyped-call]
                if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
                    pause = 0.0
                log.error("Worker %d ended with code %d; another is started in %g s", worker.process.pid, code, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause + 1, LONGEST_PAUSE)
                worker = await self._start()
                if await worker.hear("ready"):
                    await worker.keep()
        finally:
            await worker.stop()


def supervise(options: argparse.Namespace, arguments: Sequence[str], fingerprint: str) -> int:
    """Hold the port, have it served by ``options.workers`` processes; the exit code."""
    try:
        handover = Handover(options.host, options.port, options.control, options.ready_fd)
    except OSError as error:
        log.error("Cannot listen on %s:%d: %s", options.host, options.port, error)  # noqa: TRY400 -- says it all
        return 1
    with tempfile.TemporaryDirectory(prefix="score-metrics-", ignore_cleanup_errors=True) as counts:
        supervisor = Supervisor(arguments, options.workers, handover, Path(counts))
        code = asyncio.run(supervisor.run(f"Serving package {fingerprint} on {handover.url}"))
    if supervisor.signal is not None:  # end as a signal ends a process
        signal.signal(supervisor.signal, signal.SIG_DFL)
        signal.raise_signal(supervisor.signal)
    return code
