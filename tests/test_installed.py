"""A wheel of this project in an environment of its own, used outside of the clone as a user types it.

The environment borrows the libraries of the one that runs the tests, so nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from orchestrator.bundled import CONF
from orchestrator.deploy.local.state import find_server_processes
from tests.command import ROOT, SECONDS, free_port

pytestmark = pytest.mark.slow

MODEL = "defaults:\n  - param_grid: none\n  - _self_\nestimator: sklearn.linear_model.LogisticRegression\nparams: {max_iter: 5000}\n"
PLUGIN = """
from hydra.plugins.search_path_plugin import SearchPathPlugin


class AcmeOptions(SearchPathPlugin):
    def manipulate_search_path(self, search_path):
        search_path.append("acme", "pkg://acme.conf")
"""
HELP = """
import sys
from orchestrator.cli.command import main

sys.argv = ["orchestrate", "--help"]
try:
    main()
except SystemExit as ended:
    print("code", ended.code)
print("imported", *sorted({"sklearn", "pandas", "numpy", "mlflow", "matplotlib", "pydantic"} & set(sys.modules)))
"""


@dataclass(frozen=True)
class Project:
    """A folder of a user's, and the environment in which the wheel is installed."""

    folder: Path
    venv: Path

    @property
    def env(self) -> dict[str, str]:
        own = {"PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80", "TERM": "dumb"}
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own

    def run(self, *command: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatch_vcs", reason="pip install -e '.[build]' brings what builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def project(venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("project"), venv)
    model = made.folder / "conf" / "model"
    model.mkdir(parents=True)
    (model / "mine.yaml").write_text(MODEL)
    yield made
    services = [folder.resolve() for folder in (made.folder / "state" / "services").glob("*")]
    left = [process for folder in services for process in find_server_processes(folder)]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)


def test_the_wheel_holds_the_options_and_the_example_table(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    options = {f"orchestrator/conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")}
    assert options - {name for name in options if name.startswith("orchestrator/conf/local/")} <= names
    assert {"orchestrator/data/diabetes.csv", "score/api/page/page.html", "score/py.typed"} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"orchestrator", "score", "azure_emulator"}


def test_help_shows_every_option_and_imports_nothing_heavy(project: Project) -> None:
    shown = project.run("python", "-c", HELP)
    assert "model: anvil, hist_gradient_boosting, logistic_regression, mine, random_forest" in shown
    assert shown.splitlines()[-2:] == ["code 0", "imported"]


def test_the_main_job_runs_in_the_project(project: Project) -> None:
    port = free_port()
    shown = project.run("orchestrate", "model=mine", f"deploy.port={port}")
    assert f"stop it      orchestrate deploy.port={port} stages=remove" in shown
    assert {path.name for path in project.folder.iterdir()} == {"conf", "outputs", "state"}
    with urllib.request.urlopen(f"http://localhost:{port}/meta", timeout=30) as response:
        assert json.load(response)["rebuild"] == "orchestrate model=mine deploy=none"
    again = project.run("python", "-m", "orchestrator", "model=mine", f"deploy.port={port}")
    assert "✓ train" not in again, "nothing has changed"
    assert "-m orchestrator" in again.partition("stop it")[2].partition("\n")[0]
    project.run("orchestrate", f"deploy.port={port}", "stages=remove")


def test_a_real_bash_completes_groups_options_and_keys(project: Project) -> None:
    terminal, keyboard = pty.openpty()
    bash = ["bash", "--norc", "--noprofile", "-i"]
    env = {**project.env, "PS1": "$ ", "INPUTRC": os.devnull}
    process = subprocess.Popen(
        bash, cwd=project.folder, env=env, stdin=keyboard, stdout=keyboard, stderr=keyboard, start_new_session=True
    )
    try:
        typed(terminal, 'eval "$(orchestrate -sc install=bash)"; echo rea""dy\n', "\nready")
        for keys, completed in (
            ("orchestrate model=mi", "model=mine"),
            ("orchestrate model=anv", "model=anvil"),
            ("orchestrate experim", "experiment="),
            ("orchestrate model=mine model.estim", "model.estimator="),
        ):
            typed(terminal, f"{keys}\t", completed)
            typed(terminal, '\x15echo cle""an\n', "\nclean")  # Ctrl-U empties the line
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(keyboard)


def typed(terminal: int, keys: str, expected: str) -> None:
    """Type keys, and wait until the terminal shows what is expected."""
    os.write(terminal, keys.encode())
    shown, end = "", time.monotonic() + 120
    while expected not in shown.replace("\r", ""):
        assert time.monotonic() < end, f"{expected!r} is not shown in {shown!r}"
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
