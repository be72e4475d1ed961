"""A wheel of this project in an environment of its own, as a user installs it: fixtures, and commands typed there.

The environment borrows the libraries of the one that runs the tests, so nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from orchestrator.bundled import CONF
from orchestrator.deploy.local.state import find_server_processes
from tests.command import ROOT, SECONDS

PLUGIN = """
from hydra.plugins.search_path_plugin import SearchPathPlugin


class AcmeOptions(SearchPathPlugin):
    def manipulate_search_path(self, search_path):
        search_path.append("acme", "pkg://acme.conf")
"""


@dataclass(frozen=True)
class Installed:
    """A folder of a user's, and the environment in which the wheel is installed."""

    folder: Path
    venv: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        own = {"PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80", "TERM": "dumb"}
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own | {**self.settings}

    def run(self, *command: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        done = self.try_to_run(*command)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def try_to_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def bash(self, line: str) -> str:
        """Run a line as it is typed in a shell."""
        return self.run("bash", "-c", line)


@contextmanager
def stopped_at_the_end(*folders: Path) -> Iterator[None]:
    """Kill the services that were started in these projects, whatever happens."""
    try:
        yield
    finally:
        left = running(*folders)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)


def running(*folders: Path) -> list[psutil.Process]:
    """Return the processes that serve for these projects."""
    services = [service.resolve() for folder in folders for service in (folder / "state" / "services").glob("*")]
    return [process for service in services for process in find_server_processes(service)]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatch_vcs", reason="pip install -e '.[build]' brings what builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and, like a second distribution, with the options of acme."""
    venv = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=SECONDS)
    site = next(venv.glob("lib/python*/site-packages"))
    borrowed = [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    install = ["-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([sys.executable, *install, str(wheel)], check=True, timeout=SECONDS)
    options = site / "acme" / "conf" / "model"
    options.mkdir(parents=True)
    shutil.copy(CONF / "model" / "logistic_regression.yaml", options / "anvil.yaml")
    (site / "acme" / "__init__.py").touch()
    (site / "acme" / "conf" / "__init__.py").touch()
    (site / "hydra_plugins").mkdir()
    (site / "hydra_plugins" / "acme_options.py").write_text(PLUGIN)
    return venv
