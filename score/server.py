"""Serves the package it lies in over HTTP: ``python -m score.server``, with the package folder on the path.

A running server can be replaced without refusing a request. With ``--control PATH`` a successor finds its
predecessor at that unix socket and is handed the listening socket itself, so the queue of waiting connections
never goes away. With ``--ready-fd N`` whoever starts the server decides: the server says ``ready`` once the model
is loaded and the port is held, accepts nothing until it is told ``keep``, then takes over and says ``serving``.
When the starter dies before ``keep``, the server leaves and nothing has changed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import uvicorn

from score.application import MAX_BYTES, application

PACKAGE = Path(__file__).resolve().parent.parent
KEEP_ALIVE_SECONDS = 5  # an idle connection is closed after this long, draining or not
DRAIN_SECONDS = 25  # a request that takes longer does not hold up a stop

log = logging.getLogger("uvicorn.error")


class Server(uvicorn.Server):
    """uvicorn that tells when it accepts, and that breaks no connection when it leaves."""

    def __init__(self, config: uvicorn.Config, accepting: Callable[[], None]) -> None:
        super().__init__(config)
        self.accepting = accepting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, and tell."""
        await super().startup(sockets)
        self.accepting()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close.

        uvicorn alone would close idle keep-alive connections at once, under the next request of a client that
        is just sending it. Here each connection gets one more answer, which says ``Connection: close``, or runs
        into the usual keep-alive timeout.
        """
        signal.alarm(DRAIN_SECONDS)  # its default action ends the process, also where scoring hangs in C code
        loop = asyncio.get_running_loop()
        for listener in sockets or ():
            loop.remove_reader(listener)  # stop accepting, but close later: asyncio drops what it has just accepted
        self.server_state.default_headers.append((b"connection", b"close"))
        patience = loop.time() + KEEP_ALIVE_SECONDS
        await asyncio.sleep(0.1)
        while self.server_state.tasks or (self.server_state.connections and loop.time() < patience):  # noqa: ASYNC110 -- uvicorn counts both itself and sets no event
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)


def listen(host: str, port: int, predecessor: socket.socket | None) -> socket.socket:
    """The predecessor's listening socket if it has the wanted address, else a new one."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if predecessor is not None:
        _, handed, _, _ = socket.recv_fds(predecessor, 16, 1)
        for fd in handed:
            os.set_inheritable(fd, False)
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=fd)
            if listener.getsockname() == address:
                return listener
            listener.close()  # plain close(), never shutdown(): the predecessor still listens on it
    # create_server would leave the protocol open, and asyncio then leaves Nagle's algorithm on: 40 ms for each answer
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a port is free again right after its server left
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def find_predecessor(control: str) -> socket.socket | None:
    """A connection to the server that holds the control socket; None where none is alive."""
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(10)
    try:
        channel.connect(control)
    except OSError:  # none, or a name that a killed server left behind
        channel.close()
        return None
    return channel


def open_control(control: str) -> socket.socket:
    """A unix socket for successors, put in the place of the predecessor's in one step."""
    channel = socket.socket(socket.AF_UNIX)
    temporary = f"{control}.{os.getpid()}"
    Path(temporary).unlink(missing_ok=True)
    channel.bind(temporary)
    channel.listen()
    Path(temporary).replace(control)
    return channel


def attend(control: socket.socket, listener: socket.socket, retire: Callable[[], None]) -> None:
    """Hand the listening socket to whoever asks; leave when a successor says that it has taken over."""
    while True:
        channel, _ = control.accept()
        try:
            with channel:
                socket.send_fds(channel, [b"listener"], [listener.fileno()])
                if channel.recv(16) == b"retire":  # nothing, when the successor gave up
                    return retire()
        except OSError:
            log.info("A successor went away before it took over")


def log_config() -> dict[str, object]:
    """The logging of uvicorn with the time in front of each line."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    for formatter in config["formatters"].values():
        formatter["fmt"] = "%(asctime)s " + formatter["fmt"]
    return config


def read_keys(path: Path) -> tuple[str, ...]:
    """Both keys of a keys file."""
    held = json.loads(path.read_text())
    keys = (held["primary"], held["secondary"])
    if not all(keys):
        raise ValueError(f"{path} holds an empty key")  # it would match a request without one
    return keys


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model, hold the port, serve until told to stop."""
    parser = argparse.ArgumentParser("python -m score.server", description="Serve this package over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6789)
    parser.add_argument("--keys", type=Path, help="a JSON file with 'primary' and 'secondary'; /score then needs one")
    parser.add_argument("--max-bytes", type=int, default=MAX_BYTES, help="the longest request that is read")
    parser.add_argument("--control", help="a unix socket's name: replace the server found there")
    parser.add_argument("--ready-fd", type=int, help="an inherited socket: say ready, and wait for keep")
    options = parser.parse_args(argv)

    os.environ.setdefault("AZUREML_MODEL_DIR", str(PACKAGE))
    from score import score  # here, so that --help and the tests of the routes need no model

    score.init()
    fingerprint = json.loads((PACKAGE / "contract.json").read_text())["fingerprint"]
    config = uvicorn.Config(
        application(score.loaded(), read_keys(options.keys) if options.keys else (), options.max_bytes),
        http="h11",  # as the draining was tried with
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=log_config(),
        use_colors=False,
        server_header=False,
        headers=[("x-package-fingerprint", fingerprint)],
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()  # whatever can fail, fails before "ready"

    predecessor = find_predecessor(options.control) if options.control else None
    try:
        listener = listen(options.host, options.port, predecessor)
    except OSError as error:
        log.error("Cannot listen on %s:%d: %s", options.host, options.port, error)  # noqa: TRY400 -- says it all
        return 1

    starter = socket.socket(fileno=options.ready_fd) if options.ready_fd is not None else None
    if starter is not None:
        os.set_inheritable(starter.fileno(), False)
        starter.sendall(b"ready\n")
        if starter.recv(16) != b"keep\n":
            log.error("The process that started this server has gone; leaving without having served")
            return 1

    def take_over() -> None:
        log.info("Serving package %s on http://%s:%d", fingerprint, options.host, listener.getsockname()[1])
        if options.control:
            threading.Thread(target=attend, args=(open_control(options.control), listener, retire), daemon=True).start()
        for channel, word in ((predecessor, b"retire"), (starter, b"serving\n")):
            if channel is not None:
                with channel, contextlib.suppress(OSError):  # either may have died since; this server serves on
                    channel.sendall(word)

    server = Server(config, take_over)
    retire = partial(setattr, server, "should_exit", True)
    server.run([listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
