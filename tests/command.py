"""Run commands as subprocesses, each with a folder, a state and a port of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from orchestrator.deploy.local.state import find_server_processes
from tests.warm_interpreter import warm_interpreter

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 600  # against a hang: an emulator may have to build an image first


@dataclass(frozen=True)
class Done:
    """A command that has ended, and the folder that was its own."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def result(self) -> Any:
        return json.loads((self.folder / "result.json").read_text())

    @property
    def ran(self) -> list[str]:
        """The stages that were run and not skipped."""
        return [stage["name"] for stage in self.result["stages"] if not stage["cached"] and "skipped" not in stage]

    def shown(self, label: str) -> str:
        """Return the text behind a label in the last lines."""
        found = re.search(rf"^{label} +(.*)$", self.out, re.MULTILINE)
        assert found, f"{label!r} is not shown in:\n{self.out}\n{self.err}"
        return found[1]

    def well(self) -> Done:
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self


@dataclass(frozen=True)
class Desk:
    """Where commands are typed: none of them writes anywhere but below ``home``."""

    home: Path
    port: int
    modules: Path | None = None
    _numbers: Iterator[int] = field(default_factory=count, repr=False, compare=False)

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def cwd(self) -> Path:
        folder = self.home / "cwd"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def env(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        modules = [str(folder) for folder in (self.modules, ROOT) if folder]
        return {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(modules), "COLUMNS": "80"}

    def run(self, *overrides: str, warm: bool = True) -> Done:
        """``python run.py``, with this desk's state, port and run folder.

        ``warm=False`` takes an interpreter that has imported nothing, as for modules that hide installed ones.
        """
        folder = self.home / "runs" / str(next(self._numbers))
        arguments = [*self._own(overrides), f"hydra.{'sweep' if '-m' in overrides else 'run'}.dir={folder}"]
        if not warm:
            process = self.popen(sys.executable, str(ROOT / "run.py"), *arguments)
            out, err = process.communicate(timeout=SECONDS)
            return Done(process.returncode, out, err, folder)
        ended = warm_interpreter().run(ROOT / "run.py", arguments, env=self.env, cwd=self.cwd, seconds=SECONDS)
        return Done(*ended, folder)

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        """Start ``python run.py`` in an interpreter of its own."""
        return self.popen(sys.executable, str(ROOT / "run.py"), *self._own(overrides))

    def _own(self, overrides: Sequence[str]) -> list[str]:
        own = [f"state_dir={self.state}"]
        if not any(override.startswith(("-m", "deploy=")) for override in overrides):
            own.append(f"deploy.port={self.port}")
        return [*overrides, *own]

    def bash(self, line: str) -> Done:
        """Run a line as it was printed in a shell."""
        process = self.popen("bash", "-c", line)
        out, err = process.communicate(timeout=SECONDS)
        return Done(process.returncode, out, err, self.cwd)

    def popen(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.cwd,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509 - it only sets a signal back
        )

    def mlflow(self) -> Any:
        """Return a client of this desk's store."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mlflow's own dependencies warn of deprecations
            from mlflow import MlflowClient

            return MlflowClient(f"sqlite:///{self.state}/mlflow.db")

    def runs(self) -> list[Any]:
        """Every run in the store."""
        client = self.mlflow()
        return [run for one in client.search_experiments() for run in client.search_runs([one.experiment_id])]

    def top_runs(self) -> list[Any]:
        """Return the runs that are nested under no other."""
        return [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]


def listen_to_ctrl_c() -> None:
    """Restore SIGINT as in a terminal: tests in the background inherit that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def free_port() -> int:
    """Return a port that no process listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def desk(home: Path, modules: Path | None = None) -> Iterator[Desk]:
    """A desk; the services that were started there are gone at the end."""
    made = Desk(home, free_port(), modules)
    try:
        yield made
    finally:
        left = [
            process
            for folder in (made.state / "services").glob("*")
            for process in find_server_processes(folder.resolve())
        ]
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)


def listing(*folders: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with size and time: two equal listings mean that nothing was changed."""
    found = (path for folder in folders for path in (folder, *folder.rglob("*")) if path.exists())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
