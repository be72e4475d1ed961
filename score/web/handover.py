"""How a service changes hands: its listening socket, and what is said to starter, predecessor and successor.

With ``--control PATH`` a successor finds its predecessor at that unix socket and is handed the listening socket itself,
so the queue of waiting connections never goes away. With ``--ready-fd N`` whoever starts the server decides: the
server says ``ready`` once the model is loaded and the port is held, accepts nothing until it is told ``keep``, then
takes over and says ``serving``. When the starter dies before ``keep``, the server leaves and nothing has changed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("uvicorn.error")


class Handover:
    """One server's part in it: made once the model is loaded, it holds the port."""

    def __init__(self, host: str, port: int, control: str | None = None, ready_fd: int | None = None) -> None:
        self._control = control
        self._predecessor = find_predecessor(control) if control else None
        self.listener = listen(host, port, self._predecessor)
        self._starter = inherited(ready_fd) if ready_fd is not None else None

    @property
    def url(self) -> str:
        """Where the service is found on this machine."""
        host, port = self.listener.getsockname()[:2]
        return f"http://{host}:{port}"

    def kept(self) -> bool:
        """Whether this server is to serve, as its starter decides."""
        return self._starter is None or kept(self._starter)

    def take_over(self, retire: Callable[[], object]) -> None:
        """From here on this is the service; ``retire`` is called, from a thread, when a successor has taken over."""
        if self._control:
            control = open_control(self._control)
            threading.Thread(target=attend, args=(control, self.listener, retire), daemon=True).start()
        for channel, word in ((self._predecessor, b"retire"), (self._starter, b"serving\n")):
            if channel is not None:
                with channel, contextlib.suppress(OSError):  # either may have died since; this server serves on
                    channel.sendall(word)


def inherited(fd: int) -> socket.socket:
    """A socket that the process that started this one has left to it, and to nobody after it."""
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


def kept(starter: socket.socket) -> bool:
    """Say that this server is ready, and wait for the word to serve; False if the starter has gone instead."""
    starter.sendall(b"ready\n")
    if starter.recv(16) == b"keep\n":
        return True
    log.error("The process that started this server has gone; leaving without having served")
    return False


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
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port is free right after its server left
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


def attend(control: socket.socket, listener: socket.socket, retire: Callable[[], object]) -> None:
    """Hand the listening socket to whoever asks; leave when a successor says that it has taken over."""
    while True:
        channel, _ = control.accept()
        try:
            with channel:
                socket.send_fds(channel, [b"listener"], [listener.fileno()])
                if channel.recv(16) == b"retire":  # nothing, when the successor gave up
                    retire()
                    return
        except OSError:
            log.info("A successor went away before it took over")
