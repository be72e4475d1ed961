"""Serve its package over HTTP: ``python -m score.server``, with the package folder on the path.

A running server can be replaced without refusing a request: see :mod:`score.web.handover`. With ``--workers N`` the process
only supervises: see :mod:`score.web.workers`.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import dataclasses
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

from score import memory_tuning
from score.contract import deployment_info, training_info
from score.explain.explainer import ExplanationRecord
from score.web import cors, log_rotation, metrics, workers
from score.web.admission import Admission, Limits
from score.web.app import Page, application
from score.web.connection import KEEP_ALIVE_SECONDS, Protocol
from score.web.handover import bind, inherited_socket, wait_for_commit
from score.web.request_log import AccessLogMiddleware

try:
    import uvloop  # noqa: F401 -- named here, it is pinned with the package

    LOOP = "uvloop"  # a quarter more small requests a second than asyncio's own loop
except ImportError:  # there is none for Windows
    LOOP = "asyncio"

PACKAGE = Path(__file__).resolve().parent.parent
DRAIN_SECONDS = 25  # a request that takes longer does not delay a stop
RETRY_SECONDS = 0.5
SWITCH_SECONDS = 0.0005  # how long a scoring thread may hold the interpreter lock: a tenth of Python's default

log = logging.getLogger("uvicorn.error")


class Server(uvicorn.Server):
    """uvicorn that reports when it accepts, shares its port with other workers, and drains connections before it stops."""

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, on_accepting: Callable[[], None], *, alone: bool = True
    ) -> None:
        super().__init__(config)
        self._listener, self._on_accepting = listener, on_accepting
        self._accept_limit = 16 if alone else 4  # in one iteration; more would leave less to the other workers
        self._opening: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Start to accept connections."""
        await super().startup([])
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        self._on_accepting()

    def _accept(self) -> None:
        """Accept some of the waiting connections; asyncio would accept all of them and leave none to other workers.

        One alone in an event-loop iteration, which may score many requests, would let a burst wait for seconds.
        """
        loop = asyncio.get_running_loop()
        for _ in range(self._accept_limit):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):  # another worker was faster, or the client is gone
                return
            except OSError as error:  # no file descriptor is free: the connections keep waiting
                log.warning("Cannot accept: %s", error)
                loop.remove_reader(self._listener)
                loop.call_later(RETRY_SECONDS, self._resume)
                return
            connection.setblocking(False)
            protocol = partial(Protocol, config=self.config, server_state=self.server_state, app_state={})
            task = loop.create_task(loop.connect_accepted_socket(protocol, connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _resume(self) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Drain, then close.

        uvicorn closes idle keep-alive connections at once, even where a client is just sending its next request. Here
        each connection gets one more response, with ``Connection: close``, or reaches its keep-alive timeout.
        """
        signal.alarm(DRAIN_SECONDS)  # its default action ends the process, also where scoring hangs in C code
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._listener.close()  # waiting connections are accepted by the successor or another worker, which share it
        self.server_state.default_headers.append((b"connection", b"close"))
        deadline = loop.time() + KEEP_ALIVE_SECONDS
        await asyncio.sleep(0.1)
        while self.server_state.tasks or (self.server_state.connections and loop.time() < deadline):  # noqa: ASYNC110 -- uvicorn counts both itself and sets no event
            await asyncio.sleep(0.05)
        await super().shutdown([])


def log_config() -> dict[str, Any]:
    """Return uvicorn's logging configuration with the time in front of each line."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["formatters"]["default"] |= {"fmt": "%(asctime)s %(levelprefix)s %(message)s", "use_colors": False}
    return config


def read_keys(path: Path) -> tuple[str, ...]:
    """Read both keys of a keys file."""
    content = json.loads(path.read_text())
    keys = (content["primary"], content["secondary"])
    if not all(keys):
        raise ValueError(f"{path} holds an empty key")  # it would match a request without one
    return keys


def parser() -> argparse.ArgumentParser:
    """Return the command line; its defaults equal those of orchestrator/deploy/server_options.py."""
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
        help="most requests that wait or are scored at a time; others get a 503",
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
    made.add_argument("--control", help="path of a Unix socket: take over from the server that listens there")
    made.add_argument(
        "--ready-fd",
        type=int,
        help="file descriptor of an inherited socket: write 'ready' once loaded, serve after 'keep'",
    )
    made.add_argument("--listener-fd", type=int, help=argparse.SUPPRESS)  # of a worker
    return made


def configure(options: argparse.Namespace, contract: Mapping[str, Any]) -> uvicorn.Config:
    """Load the model and build the application; whatever can fail does so here, before the server says "ready"."""
    from score import score  # here, so that --help and the tests of the routes need no model

    score.init()
    predictor = score.loaded()
    about = deployment_info.described(contract, training_info.read(PACKAGE), compiled=predictor.compiled)
    about["explanations"] = dataclasses.asdict(ExplanationRecord.read(PACKAGE))
    limits = Limits(
        options.max_bytes, options.max_queued_requests, options.body_timeout_seconds, options.scoring_timeout_seconds
    )
    admission = Admission(limits, predictor)
    info = {key: str(about[key] or "") for key in ("model", "version", "fingerprint", "task")}
    counters = metrics.Metrics(PACKAGE, info, lambda: admission.waiting)
    pages: dict[str, Page] = {"/metrics": counters.page, "/meta": partial(deployment_info.page, about)}
    app = application(predictor, admission, read_keys(options.keys) if options.keys else (), pages)
    config = uvicorn.Config(
        AccessLogMiddleware(cors.allowing(app, options.allow_origins), counters),
        http=Protocol,
        loop=LOOP,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # AccessLogMiddleware writes its own
        proxy_headers=False,  # the client's address is not used
        server_header=False,
        headers=[("x-package-fingerprint", contract["fingerprint"])],
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    memory_tuning.freeze_gc()
    return config


def serve_as_worker(config: uvicorn.Config, options: argparse.Namespace) -> int:
    """Serve as one of several workers, as long as the supervisor lives."""
    supervisor = inherited_socket(options.ready_fd)
    listener = socket.socket(proto=socket.IPPROTO_TCP, fileno=options.listener_fd)
    if not wait_for_commit(supervisor):
        return 1
    server = Server(config, listener, lambda: supervisor.sendall(b"serving\n"), alone=False)

    def stop_with_supervisor() -> None:
        supervisor.recv(1)  # it sends nothing more: this returns when the supervisor ends
        server.should_exit = True
        shutil.rmtree(os.environ[metrics.FOLDER], ignore_errors=True)  # in the supervisor's place

    threading.Thread(target=stop_with_supervisor, daemon=True).start()
    server.run()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model, bind the port, serve until a signal or a successor stops it."""
    options = parser().parse_args(argv)
    logging.config.dictConfig(log_config())
    log_rotation.keep_bounded(owner=options.listener_fd is None)
    sys.setswitchinterval(SWITCH_SECONDS)
    os.environ.setdefault("AZUREML_MODEL_DIR", str(PACKAGE))
    contract = json.loads((PACKAGE / "contract.json").read_text())
    if options.workers > 1 and options.listener_fd is None:
        return workers.supervise(options, sys.argv[1:] if argv is None else argv, contract["fingerprint"])
    config = configure(options, contract)
    if options.listener_fd is not None:
        return serve_as_worker(config, options)
    handover = bind(options)
    if handover is None or not handover.wait_for_commit():
        return 1

    def on_accepting() -> None:
        log.info("Serving package %s on %s", contract["fingerprint"], handover.url)
        handover.take_over(retire)

    server = Server(config, handover.listener, on_accepting)
    retire = partial(setattr, server, "should_exit", True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
