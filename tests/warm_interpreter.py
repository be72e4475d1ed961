"""Run scripts in forks of one process that has imported the libraries: each is spared seconds of imports.

What a fork does is what a new interpreter would do but for these imports: it has its own arguments, environment, folder
and pipes, and imports all modules of this project itself. Tests of what is imported, and when, start an interpreter.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

LIBRARIES = (
    *("pandas", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection", "sklearn.pipeline"),
    *(
        "hydra",
        "rich.console",
        "rich.progress",
        "rich.table",
        "mlflow.sklearn",
        "mlflow.store.tracking.sqlalchemy_store",
    ),
    *("skl2onnx", "azureml.core", "azure.ai.ml", "azure.identity"),
)
MESSAGE = 1 << 20  # bytes: more than an environment and a command line


class WarmInterpreter:
    """A process that forks for each script; one script at a time."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            command = [sys.executable, str(Path(__file__).resolve()), str(other.fileno())]
            env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # each job brings its own
            self._process = subprocess.Popen(
                command, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, env=env, start_new_session=True
            )
        self._lock = Lock()

    def run(
        self, script: Path, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, seconds: float
    ) -> tuple[int, str, str]:
        """Run ``python script arguments`` and return its exit code and what it wrote, as ``subprocess.run`` would.

        Raises:
            TimeoutError: it has not ended in time, and is killed.
        """
        job = json.dumps({"script": str(script), "arguments": [*arguments], "env": {**env}, "cwd": str(cwd)})
        with self._lock, ThreadPoolExecutor(2) as readers:
            pipes = [os.pipe(), os.pipe()]
            socket.send_fds(self._socket, [job.encode()], [write for _, write in pipes])
            for _, write in pipes:
                os.close(write)
            # as with a pipe of subprocess's, a child that keeps it open keeps the test waiting
            out, err = (readers.submit(_read, read) for read, _ in pipes)
            self._socket.settimeout(seconds)
            try:
                code = int(self._socket.recv(64))
            except TimeoutError:
                self.stop()  # ends the script, too, which closes the pipes that the readers wait for
                raise
            return code, out.result(seconds), err.result(seconds)

    def stop(self) -> None:
        """Kill the process and the script that it runs; the next script gets another one."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._socket.close()
        warm_interpreter.cache_clear()


@cache
def warm_interpreter() -> WarmInterpreter:
    """Return the one of this process. It ends with this process, as its socket is closed then."""
    return WarmInterpreter()


def _read(descriptor: int) -> str:
    with open(descriptor) as pipe:
        return pipe.read()


def _serve(connection: socket.socket) -> None:
    """Fork for each job that arrives, until the other side is gone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LIBRARIES:
            with suppress(ImportError):  # the environment for Azure has others
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # no fork visits, and so copies, what was imported here
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE, 2)
        if not message:
            return
        child = os.fork()
        if child == 0:
            connection.close()
            _become(json.loads(message), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(job: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Turn this fork into the interpreter of a script, and run it."""
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    for descriptor, standard in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [job["script"], *job["arguments"]]
    own = [entry for entry in job["env"].get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:0] = [str(Path(job["script"]).parent), *own]
    runpy.run_path(job["script"], run_name="__main__")


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file
    with socket.socket(fileno=int(sys.argv[1])) as server_side:
        _serve(server_side)
