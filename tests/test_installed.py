"""The wheel of this project, used outside of the clone as a user types it."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.bundled import CONF
from tests.command import free_port
from tests.installed import Installed, stopped_at_the_end

pytestmark = pytest.mark.slow

MODEL = "defaults:\n  - param_grid: none\n  - _self_\nestimator: sklearn.linear_model.LogisticRegression\nparams: {max_iter: 5000}\n"
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


@pytest.fixture(scope="module")
def project(venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    made = Installed(tmp_path_factory.mktemp("project"), venv)
    model = made.folder / "conf" / "model"
    model.mkdir(parents=True)
    (model / "mine.yaml").write_text(MODEL)
    with stopped_at_the_end(made.folder):
        yield made


def test_the_wheel_holds_the_options_and_the_example_table(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    options = {f"orchestrator/conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")}
    assert options - {name for name in options if name.startswith("orchestrator/conf/local/")} <= names
    assert {"orchestrator/data/diabetes.csv", "score/api/page/page.html", "score/py.typed"} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"orchestrator", "score", "azure_emulator"}


def test_help_shows_every_option_and_imports_nothing_heavy(project: Installed) -> None:
    shown = project.run("python", "-c", HELP)
    assert (
        "model: anvil, catboost, hist_gradient_boosting, lightgbm, linear, logistic_regression, mine, random_forest, "
        in shown
    )
    assert shown.splitlines()[-2:] == ["code 0", "imported"]


def test_the_main_job_runs_in_the_project(project: Installed) -> None:
    port = free_port()
    shown = project.run("orchestrate", "model=mine", f"deploy.port={port}")
    assert f"stop it      orchestrate deploy.port={port} stages=remove" in shown
    assert (
        "\ntable        diabetes.csv, the example; for yours: orchestrate init --data FILE --target COLUMN\n" in shown
    )
    assert {path.name for path in project.folder.iterdir()} == {"conf", "outputs", "state"}
    with urllib.request.urlopen(f"http://localhost:{port}/meta", timeout=30) as response:
        assert json.load(response)["rebuild"] == "orchestrate model=mine deploy=none"
    again = project.run("python", "-m", "orchestrator", "model=mine", f"deploy.port={port}")
    assert "✓ train" not in again, "nothing has changed"
    assert "-m orchestrator" in again.partition("stop it")[2].partition("\n")[0]
    project.run("orchestrate", f"deploy.port={port}", "stages=remove")


def test_a_real_bash_completes_groups_options_and_keys(project: Installed) -> None:
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
