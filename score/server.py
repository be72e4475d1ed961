"""Serves the package it lies in over HTTP: ``python -m score.server``, with the package folder on the path.

A running server can be replaced without refusing a request: see :mod:`score.web.handover`. With ``--workers N`` the process
only supervises: see :mod:`score.web.workers`.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import logging
import logging.config
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import uvloop  # noqa: F401 -- named here, it is pinned with the package

from score import memory_tuning
from score.contract import deployment_info
from score.web import cors, log_rotation, metrics, workers
from score.web.admission import Admission, Limits
from score.web.app import Page, application
from score.web.connection import KEEP_ALIVE_SECONDS, Protocol
from score.web.handover import Handover, inherited, kept
from score.web.request_log import AccessLogMiddleware

PACKAGE = Path(__file__).resolve().parent.parent
DRAIN_SECONDS = 25  # a request that takes longer does not hold up a stop
RETRY_SECONDS = 0.5
SWITCH_SECONDS = 0.0005  # how long a thread that scores may keep the event loop waiting: a tenth of Python's own

log = logging.getLogger("uvicorn.error")


class Server(uvicorn.Server):
    """uvicorn that tells when it accepts, shares its port with other workers, and breaks no connection when it leaves."""

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, accepting: Callable[[], None], *, alone: bool = True
    ) -> None:
        super().__init__(config)
        self._listener, self._accepting = listener, accepting
        self._at_once = 16 if alone else 4  # more would leave less to the other workers
        self._opening: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Start to accept, and tell."""
        await super().startup([])
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        self._accepting()

    def _accept(self) -> None:
        """Take some connections, where asyncio alone would take all that wait, and leave none to the other workers.

        A turn of the loop may hold many scorings: with one connection a turn, a burst would wait for seconds.
        """
        loop = asyncio.get_running_loop()
        for _ in range(self._at_once):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):  # another worker was faster, or the client has given up
                return
            except OSError as error:  # no descriptor is free: those that wait go on waiting
                log.warning("Cannot accept: %s", error)
                loop.remove_reader(self._listener)
                loop.call_later(RETRY_SECONDS, self._resume)
                return
            connection.setblocking(False)
            made = partial(Protocol, config=self.config, server_state=self.server_state, app_state={})
            task = loop.create_task(loop.connect_accepted_socket(made, connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _resume(self) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Drain, then close.

        uvicorn alone would close idle keep-alive connections at once, under the next request of a client that
        is just sending it. Here each connection gets one more answer, which says ``Connection: close``, or runs
        into the usual keep-alive timeout.
        """
        signal.alarm(DRAIN_SECONDS)  # its default action ends the process, also where scoring hangs in C code
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._listener.close()  # what waits there is a successor's or another worker's, who hold it too
        self.server_state.default_headers.append((b"connection", b"close"))
        patience = loop.time() + KEEP_ALIVE_SECONDS
        await asyncio.sleep(0.1)
        while self.server_state.tasks or (self.server_state.connections and loop.time() < patience):  # noqa: ASYNC110 -- uvicorn counts both itself and sets no event
            await asyncio.sleep(0.05)
        await super().shutdown([])


def log_config() -> dict[str, Any]:
    """The logging of uvicorn with the time in front of each line."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["formatters"]["default"] |= {"fmt": "%(asctime)s %(levelprefix)s %(message)s", "use_colors": False}
    return config


def read_keys(path: Path) -> tuple[str, ...]:
    """Both keys of a keys file."""
    held = json.loads(path.read_text())
    keys = (held["primary"], held["secondary"])
    if not all(keys):
        raise ValueError(f"{path} holds an empty key")  # it would match a request without one
    return keys


def parser() -> argparse.ArgumentParser:
    """The command line. Its defaults are those of a target's options (orchestrator/deploy/server_options.py), too."""
    made = argparse.ArgumentParser("python -m score.server", description="Serve this package over HTTP.")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=6789)
    made.add_argument(
        "--keys",
        type=Path,
        help="a JSON file with 'primary' and 'secondary'; all but /, /docs and /v2/health then needs one",
    )
    made.add_argument(
        "--workers", type=int, default=1, help="processes on this port; each loads the model and has limits of its own"
    )
    made.add_argument(
        "--max-bytes", type=int, default=Limits.max_bytes, help="the longest request that is read; else 413"
    )
    made.add_argument(
        "--max-queued-requests",
        type=int,
        default=Limits.max_queued_requests,
        help="so many requests wait or are scored; others get a 503",
    )
    made.add_argument(
        "--body-timeout-seconds",
        type=float,
        default=Limits.body_timeout_seconds,
        help="how long a client may send a body, and 1 s more for each 10 kB; else 408",
    )
    made.add_argument(
        "--scoring-timeout-seconds",
        type=float,
        default=Limits.scoring_timeout_seconds,
        help="how long scoring may take; else 504. A request that waits as long for its turn gets a 503",
    )
    made.add_argument(
        "--allow-origins",
        type=lambda text: tuple(text.split(",")),
        default=(),
        help="pages of these hosts may use the service in a browser, such as https://a.example,https://b.example:8443; *: all",
    )
    made.add_argument("--control", help="a unix socket's name: replace the server found there")
    made.add_argument("--ready-fd", type=int, help="an inherited socket: say ready, and wait for keep")
    made.add_argument("--listener-fd", type=int, help=argparse.SUPPRESS)  # of a worker
    return made


def configured(options: argparse.Namespace, contract: Mapping[str, Any]) -> uvicorn.Config:
    """The application with its model loaded; whatever can fail, fails here and before "ready"."""
    from score import score  # here, so that --help and the tests of the routes need no model

    score.init()
    scorer = score.loaded()
    about = deployment_info.described(contract, compiled=scorer.compiled)
    limits = Limits(
        options.max_bytes, options.max_queued_requests, options.body_timeout_seconds, options.scoring_timeout_seconds
    )
    admission = Admission(limits, scorer)
    info = {key: str(about[key] or "") for key in ("model", "version", "fingerprint", "task")}
    counted = metrics.Metrics(PACKAGE, info, lambda: admission.waiting)
    pages: dict[str, Page] = {"/metrics": counted.page, "/meta": partial(deployment_info.page, about)}
    app = application(scorer, admission, read_keys(options.keys) if options.keys else (), pages)
    config = uvicorn.Config(
        AccessLogMiddleware(cors.allowing(app, options.allow_origins), counted),
        http=Protocol,
        loop="uvloop",  # a quarter more small requests in a second than with asyncio's own
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # Access tells more
        proxy_headers=False,  # nothing here asks who the client is
        server_header=False,
        headers=[("x-package-fingerprint", contract["fingerprint"])],
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    memory_tuning.settle()
    return config


def work(config: uvicorn.Config, options: argparse.Namespace) -> int:
    """Serve as one of several workers, for as long as the supervisor lives."""
    supervisor = inherited(options.ready_fd)
    listener = socket.socket(proto=socket.IPPROTO_TCP, fileno=options.listener_fd)
    if not kept(supervisor):
        return 1
    server = Server(config, listener, lambda: supervisor.sendall(b"serving\n"), alone=False)

    def leave_with_it() -> None:
        supervisor.recv(1)  # it says nothing more, and the system says when it has gone
        server.should_exit = True
        shutil.rmtree(os.environ[metrics.FOLDER], ignore_errors=True)  # which it would have done itself

    threading.Thread(target=leave_with_it, daemon=True).start()
    server.run()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model, hold the port, serve until told to stop."""
    options = parser().parse_args(argv)
    logging.config.dictConfig(log_config())
    log_rotation.keep_bounded(owner=options.listener_fd is None)
    sys.setswitchinterval(SWITCH_SECONDS)
    memory_tuning.keep()
    os.environ.setdefault("AZUREML_MODEL_DIR", str(PACKAGE))
    contract = json.loads((PACKAGE / "contract.json").read_text())
    if options.workers > 1 and options.listener_fd is None:
        return workers.supervise(options, sys.argv[1:] if argv is None else argv, contract["fingerprint"])
    config = configured(options, contract)
    if options.listener_fd is not None:
        return work(config, options)
    try:
        handover = Handover(options.host, options.port, options.control, options.ready_fd)
    except OSError as error:
        log.error("Cannot listen on %s:%d: %s", options.host, options.port, error)  # noqa: TRY400 -- says it all
        return 1
    if not handover.kept():
        return 1

    def accepting() -> None:
        log.info("Serving package %s on %s", contract["fingerprint"], handover.url)
        handover.take_over(retire)

    server = Server(config, handover.listener, accepting)
    retire = partial(setattr, server, "should_exit", True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
