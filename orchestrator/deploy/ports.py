"""Check that a port is free; name the process that listens on it, and a free port nearby."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import psutil

from orchestrator.errors import DeployError

SHOWN_CHARACTERS = 100  # of a command line


def check(host: str, port: int) -> None:
    """Raise a DeployError if nothing can listen there, naming the holder and a port that is free."""
    if not taken(host, port):
        return
    free = next((p for p in range(port + 1, min(port + 200, 65536)) if not taken(host, p)), None)
    use = f"use deploy.port={free}" if free else "choose another deploy.port"
    raise DeployError(f"deploy.port: {port} is in use by {holder(port)}; stop it or {use}")


def taken(host: str, port: int) -> bool:
    """Return whether a process listens on this port already."""
    local = reachable(host)
    # The URL says `localhost`, which may mean ::1 first: another server there would get the clients' requests.
    if any(_answers(name, port) for name in ((local, "::1") if local == "127.0.0.1" else (local,))):
        return True
    family, _, _, _, address = _resolve(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise DeployError(f"deploy: cannot listen on {host}:{port}: {error.strerror}; "
                              "choose another deploy.host or deploy.port") from error  # fmt: skip
    return False


def holder(port: int) -> str:
    """Return which process holds a port, as text for the user."""
    return next(filter(None, map(_named, _holders(port))), "a process of another user")


def reachable(host: str) -> str:
    """Return the address under which this machine reaches a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def url(host: str, port: int) -> str:
    """Return the scoring URI of a server that listens there, as this machine reaches it."""
    address = reachable(host)
    name = "localhost" if address == "127.0.0.1" else f"[{address}]" if ":" in address else address
    return f"http://{name}:{port}/score"


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


def _resolve(host: str, port: int) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]  # type: ignore[return-value]
    except OSError as error:
        raise DeployError(f"deploy.host: '{host}' is no address of this machine; use 127.0.0.1") from error


def _named(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"'{_command(process)}' (pid {pid})"
    except psutil.Error:
        return ""


def _command(process: psutil.Process) -> str:
    """Return the start of its command line, as the name alone is mostly 'python'."""
    try:
        program, *arguments = process.cmdline()
    except (psutil.AccessDenied, ValueError):  # another user's on macOS, or one that has none
        return process.name()
    line = " ".join(" ".join([os.path.basename(program), *arguments]).split())  # in one line  # noqa: PTH119
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


def _holders(port: int) -> Iterator[int]:
    try:
        connections = [(c.pid, c.status, c.laddr) for c in psutil.net_connections("tcp")]
    except psutil.AccessDenied:  # macOS shows all only to root, but each own process can be queried
        connections = [(p.pid, c.status, c.laddr) for p in psutil.process_iter() for c in _connections(p)]
    holding = [(status, pid) for pid, status, address in connections if pid and address[1:2] == (port,)]
    # A listener first; but an outgoing connection that has this number as its local port blocks it, too.
    yield from (pid for _, pid in sorted(holding, key=lambda entry: entry[0] != psutil.CONN_LISTEN))


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections("tcp"))
    except psutil.Error:
        return []
