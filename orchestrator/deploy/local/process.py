"""Starting a server that outlives us: the handshake of score/server.py, seen from the side of the starter."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.deploy.local.state import ServiceState, mark
from orchestrator.diagnostics import Evidence, diagnose, format_diagnosis
from orchestrator.errors import DeployError
from score.contract.deployment_info import ORIGIN
from score.web import log_rotation

CONTROL = "control.sock"  # relative to the service folder: a unix socket's path may have about 100 characters


@dataclass
class Server:
    """A server that holds its port and waits to be kept. Until then it serves nothing and can just be dropped."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    log: Path
    deadline: float
    settings: Mapping[str, Any]
    kept: bool = False

    def hear(self, word: str) -> None:
        """Wait until the server says this word."""
        self.channel.settimeout(max(self.deadline - time.monotonic(), 0.01))
        try:
            said = self.channel.recv(16)
        except TimeoutError:
            raise self._failure("the service is not ready in time") from None
        except OSError:
            said = b""
        if said != f"{word}\n".encode():
            code = self._exit_code()
            how = f": killed by {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}"
            raise self._failure("the service died while starting", how)

    def _failure(self, what: str, how: str = "") -> DeployError:
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        evidence = Evidence("local", "unhealthy", what + how, container_log=log, settings=self.settings)
        return DeployError(format_diagnosis(diagnose(evidence), self.log, what))

    def _exit_code(self) -> int:
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # a thread of the model's own may hold up its exit
            self.process.kill()
            return self.process.wait()

    def keep(self) -> None:
        """The point of no return: from here on this is the service, also if we are killed now."""
        self.kept = True
        try:
            self.channel.sendall(b"keep\n")
        except OSError:
            self.hear("serving")  # it has died; this tells why


@contextmanager
def started(folder: Path, wanted: ServiceState, keys: Path | None, log: Path, seconds: float) -> Iterator[Server]:
    """A server for ``wanted`` that is loaded; ended if the block raises a DeployError or before it is kept."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs, log.open("ab") as out:
            process = subprocess.Popen(
                # Python leaves -X options of others alone, so a package's server need not know about our mark
                [sys.executable, "-X", mark(folder), "-m", "score.server", "--host", wanted.host, "--port", str(wanted.port),
                 "--control", CONTROL, "--ready-fd", str(theirs.fileno()), *(["--keys", str(keys)] if keys else []),
                 *wanted.limits.split()],
                cwd=folder,
                env={
                    **os.environ,
                    ORIGIN: wanted.origin,
                    "PYTHONPATH": str(wanted.path),
                    "AZUREML_MODEL_DIR": str(wanted.path),
                    log_rotation.VARIABLE: str(log),  # a server of an older package does not look at it
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONDONTWRITEBYTECODE": "1",  # packages never change
                },
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # neither Ctrl-C nor a closed terminal reaches it
            )  # fmt: skip
        settings = {"service_name": folder.name, "port": wanted.port, "timeout_seconds": seconds}
        server = Server(process, ours, log, time.monotonic() + seconds, settings)
        try:
            server.hear("ready")
            yield server
        except BaseException as error:
            if isinstance(error, DeployError) or not server.kept:  # a kept one has taken over: Ctrl-C is too late
                process.kill()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)  # whoever looks next finds it gone
            raise
        finally:
            # It is meant to outlive us, but may end earlier: somebody has to bury it, and a Popen dropped while its
            # process runs would warn. A thread that waits for it does both, and does not hold up our own end.
            threading.Thread(target=process.wait, name=f"bury-{process.pid}", daemon=True).start()
