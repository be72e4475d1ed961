"""Start a server that outlives this process: the starter's side of the handshake with score/server.py."""

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
from orchestrator.deploy.service_dir import CONTROL
from orchestrator.diagnostics import Evidence, diagnose, format_diagnosis
from orchestrator.errors import DeployError
from score.contract.deployment_info import ORIGIN
from score.web import log_rotation


@dataclass
class Server:
    """A server that holds its port and waits for the commit. Until then it serves nothing and can just be ended."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    log: Path
    deadline: float
    settings: Mapping[str, Any]
    committed: bool = False

    def expect(self, message: str) -> None:
        """Wait until the server sends this message."""
        self.channel.settimeout(max(self.deadline - time.monotonic(), 0.01))
        try:
            received = self.channel.recv(16)
        except TimeoutError:
            raise self._failure("the service is not ready in time") from None
        except OSError:
            received = b""
        if received != f"{message}\n".encode():
            code = self._exit_code()
            how = f": killed by {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}"
            raise self._failure("the service died while starting", how)

    def commit(self) -> None:
        """Let it serve. From here on this is the service, also if this process is killed now."""
        self.committed = True
        try:
            self.channel.sendall(b"keep\n")
        except OSError:
            self.expect("serving")  # it has died; this raises the reason

    def _failure(self, what: str, how: str = "") -> DeployError:
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        evidence = Evidence("local", "unhealthy", what + how, container_log=log, settings=self.settings)
        diagnosis = diagnose(evidence)
        return DeployError(format_diagnosis(diagnosis, self.log, what), diagnosis.kind)

    def _exit_code(self) -> int:
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # a thread of the model's own may delay its exit
            self.process.kill()
            return self.process.wait()


@contextmanager
def started(folder: Path, wanted: ServiceState, keys: Path | None, log: Path, seconds: float) -> Iterator[Server]:
    """Yield a server for ``wanted`` that is loaded; end it if the block raises a DeployError or does not commit it."""
    own_end, its_end = socket.socketpair()
    with own_end:
        with its_end, log.open("ab") as out:
            process = subprocess.Popen(
                # Python ignores -X options that it does not know, so the server of any package accepts the mark
                [sys.executable, "-X", mark(folder), "-m", "score.server", "--host", wanted.host, "--port", str(wanted.port),
                 "--control", CONTROL, "--ready-fd", str(its_end.fileno()), *(["--keys", str(keys)] if keys else []),
                 *wanted.limits.split()],
                cwd=folder,
                env={
                    **os.environ,
                    ORIGIN: wanted.origin,
                    "PYTHONPATH": str(wanted.path),
                    "AZUREML_MODEL_DIR": str(wanted.path),
                    log_rotation.VARIABLE: str(log),  # a server of an older package does not read it
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONDONTWRITEBYTECODE": "1",  # packages never change
                },
                pass_fds=[its_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # neither Ctrl-C nor a closed terminal reaches it
            )  # fmt: skip
        settings = {"service_name": folder.name, "port": wanted.port, "timeout_seconds": seconds}
        server = Server(process, own_end, log, time.monotonic() + seconds, settings)
        try:
            server.expect("ready")
            yield server
        except BaseException as error:
            if isinstance(error, DeployError) or not server.committed:  # after the commit, Ctrl-C comes too late
                process.kill()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)  # the next command must not find it alive
            raise
        finally:
            # Reap the child in a thread, so that it leaves no zombie and Popen does not warn; our exit does not wait.
            threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
