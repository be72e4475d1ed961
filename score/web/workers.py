"""Several worker processes on one listening socket, and the supervisor that starts, restarts and stops them.

The supervisor loads no model and does not fork: each worker is a new ``python -m score.server``, since libraries with
threads of their own do not survive a fork. It starts a worker with the handshake of :mod:`score.web.handover`, and a
worker exits when the supervisor has ended.
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
from score.web.handover import Handover, bind

LONGEST_PAUSE = 30  # seconds before a worker that dies repeatedly is restarted
STOP_SECONDS = 28  # longer than a worker takes to drain (score.server.DRAIN_SECONDS)

log = logging.getLogger("uvicorn.error")


@dataclass
class Worker:
    """A process and the channel to it."""

    process: asyncio.subprocess.Process
    channel: socket.socket

    async def expect(self, word: str) -> bool:
        """Wait for this word; False if the worker ended instead."""
        with suppress(OSError):
            return await asyncio.get_running_loop().sock_recv(self.channel, 16) == f"{word}\n".encode()
        return False

    async def commit(self) -> bool:
        """Order the worker to serve; return whether it does."""
        with suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self.channel, b"keep\n")
        return await self.expect("serving")

    async def wait(self) -> int:
        """Return the exit code once the worker has ended."""
        code = await self.process.wait()
        self.channel.close()
        return code

    async def stop(self) -> None:
        """Let the worker drain; kill it where that takes too long."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.wait(), STOP_SECONDS)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.wait()


class Supervisor:
    """Keeps ``count`` workers alive; ``arguments`` are a server's, ``counts`` is the folder of their metrics."""

    def __init__(self, arguments: Sequence[str], count: int, handover: Handover, counts: Path) -> None:
        self._arguments, self._count, self._handover, self._counts = arguments, count, handover, counts
        self._stopped = asyncio.Event()
        self._signal: int | None = None

    async def run(self, serving: str) -> int:
        """Start the workers, log ``serving``, and run until a signal or a successor; return the exit code."""
        loop = asyncio.get_running_loop()
        workers = [await self._start() for _ in range(self._count)]
        if not all(await asyncio.gather(*(worker.expect("ready") for worker in workers))):
            return await self._give_up(workers)
        if not await loop.run_in_executor(None, self._handover.wait_for_commit):
            return await self._give_up(workers)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        if not all(await asyncio.gather(*(worker.commit() for worker in workers))):
            return await self._give_up(workers)
        log.info("%s, with %d workers", serving, self._count)
        self._handover.take_over(partial(loop.call_soon_threadsafe, self._stopped.set))
        tasks = [loop.create_task(self._watch(worker)) for worker in workers]
        await self._stopped.wait()
        self._handover.listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return 0

    @property
    def signal(self) -> int | None:
        """The signal that stopped the supervisor."""
        return self._signal

    def _stop(self, number: int) -> None:
        self._signal = number
        self._stopped.set()

    async def _give_up(self, workers: Sequence[Worker]) -> int:
        await asyncio.gather(*(worker.stop() for worker in workers))
        return 1

    async def _start(self) -> Worker:
        own_end, worker_end = socket.socketpair()
        own_end.setblocking(False)
        with worker_end:
            fds = [self._handover.listener.fileno(), worker_end.fileno()]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "score.server", *self._arguments,
                "--listener-fd", str(fds[0]), "--ready-fd", str(fds[1]),
                pass_fds=fds,
                env={**os.environ, metrics.FOLDER: str(self._counts)},
            )  # fmt: skip
        return Worker(process, own_end)

    async def _watch(self, worker: Worker) -> None:
        """Restart a worker whenever it dies, with growing pauses, until cancelled."""
        pause = 0.0
        try:
            while True:
                started = asyncio.get_running_loop().time()
                code = await worker.wait()
                mark_process_dead(worker.process.pid, str(self._counts))  # type: ignore[no-untyped-call]
                if asyncio.get_running_loop().time() - started > LONGEST_PAUSE:
                    pause = 0.0
                log.error("Worker %d ended with code %d; another is started in %g s", worker.process.pid, code, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause + 1, LONGEST_PAUSE)
                worker = await self._start()
                if await worker.expect("ready"):
                    await worker.commit()
        finally:
            await worker.stop()


def supervise(options: argparse.Namespace, arguments: Sequence[str], fingerprint: str) -> int:
    """Bind the port and serve it with ``options.workers`` processes; return the exit code."""
    handover = bind(options)
    if handover is None:
        return 1
    with tempfile.TemporaryDirectory(prefix="score-metrics-", ignore_cleanup_errors=True) as counts:
        supervisor = Supervisor(arguments, options.workers, handover, Path(counts))
        code = asyncio.run(supervisor.run(f"Serving package {fingerprint} on {handover.url}"))
    if supervisor.signal is not None:  # end as a signal ends a process
        signal.signal(supervisor.signal, signal.SIG_DFL)
        signal.raise_signal(supervisor.signal)
    return code
