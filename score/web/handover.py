"""Handover of a running service: its listening socket, and the handshake with starter, predecessor and successor.

With ``--control PATH`` a successor finds its predecessor at that unix socket and is handed the listening socket itself,
so the queue of waiting connections is never lost. With ``--ready-fd N`` the process that starts the server decides: the
server sends ``ready`` once the model is loaded and the port is bound, accepts nothing until it receives ``keep``, then
takes over and sends ``serving``. If the starter dies before ``keep``, the server exits and nothing has changed.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("uvicorn.error")


class Handover:
    """One server's side of the handshake; made once the model is loaded, it binds the port."""

    def __init__(self, host: str, port: int, control: str | None = None, ready_fd: int | None = None) -> None:
        self._control = control
        self._predecessor = find_predecessor(control) if control else None
        self.listener = listen(host, port, self._predecessor)
        self._starter = inherited_socket(ready_fd) if ready_fd is not None else None

    @property
    def url(self) -> str:
        """The service's address on this machine."""
        host, port = self.listener.getsockname()[:2]
        return f"http://{host}:{port}"

    def wait_for_commit(self) -> bool:
        """Return whether this server is to serve, as its starter decides."""
        return self._starter is None or wait_for_commit(self._starter)

    def take_over(self, retire: Callable[[], object]) -> None:
        """Become the service; ``retire`` is called, from a thread, when a successor has taken over."""
        if self._control:
            control = open_control(self._control)
            threading.Thread(target=serve_handover, args=(control, self.listener, retire), daemon=True).start()
        for channel, word in ((self._predecessor, b"retire"), (self._starter, b"serving\n")):
            if channel is not None:
                with channel, contextlib.suppress(OSError):  # either may have died since; this server keeps serving
                    channel.sendall(word)


def bind(options: argparse.Namespace) -> Handover | None:
    """Bind the port of the server's command line; log why that fails, and return None."""
    try:
        return Handover(options.host, options.port, options.control, options.ready_fd)
    except OSError as error:
        log.error("Cannot listen on %s:%d: %s", options.host, options.port, error)  # noqa: TRY400 -- the message suffices
        return None


def inherited_socket(fd: int) -> socket.socket:
    """Return a socket inherited from the parent process; children will not inherit it."""
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


def wait_for_commit(starter: socket.socket) -> bool:
    """Send that this server is ready, and wait for the order to serve; False if the starter ended instead."""
    starter.sendall(b"ready\n")
    if starter.recv(16) == b"keep\n":
        return True
    log.error("The process that started this server has ended; exiting without having served")
    return False


def listen(host: str, port: int, predecessor: socket.socket | None) -> socket.socket:
    """Return the predecessor's listening socket if it has the wanted address, else a new one."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if predecessor is not None:
        _, handed, _, _ = socket.recv_fds(predecessor, 16, 1)
        for fd in handed:
            os.set_inheritable(fd, False)
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=fd)
            if listener.getsockname() == address:
                return listener
            listener.close()  # plain close(), never shutdown(): the predecessor still listens on it
    # create_server leaves the protocol unset, and asyncio then leaves Nagle's algorithm on: 40 ms for each response
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port is free right after its server left
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def find_predecessor(control: str) -> socket.socket | None:
    """Connect to the server that holds the control socket; None where none is alive."""
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(10)
    try:
        channel.connect(control)
    except OSError:  # no socket, or one that a killed server left behind
        channel.close()
        return None
    return channel


def open_control(control: str) -> socket.socket:
    """Open a unix socket for successors, atomically in place of the predecessor's."""
    channel = socket.socket(socket.AF_UNIX)
    temporary = f"{control}.{os.getpid()}"
    Path(temporary).unlink(missing_ok=True)
    channel.bind(temporary)
    channel.listen()
    Path(temporary).replace(control)
    return channel


def serve_handover(control: socket.socket, listener: socket.socket, retire: Callable[[], object]) -> None:
    """Send the listening socket to each successor that connects; return once one has taken over."""
    while True:
        channel, _ = control.accept()
        try:
            with channel:
                socket.send_fds(channel, [b"listener"], [listener.fileno()])
                if channel.recv(16) == b"retire":  # nothing where the successor gave up
                    retire()
                    return
        except OSError:
            log.info("A successor ended before it took over")
