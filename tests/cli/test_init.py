"""``orchestrate init`` on tables of many kinds: what it writes composes, is valid, and trains."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import Package, Report, compose, execute, invocation
from orchestrator.cli import init
from orchestrator.config.validate import validate
from orchestrator.locations.storage import open_write
from orchestrator.spec import by_task
from orchestrator.spec.run_spec import RunSpec
from tests.conftest import forget_modules
from tests.nightly import at_night
from tests.project.tables import TABLES, write_table


@pytest.fixture(autouse=True)
def typed_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["orchestrate"])


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all tables: an estimator that was checked is not checked again."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def _forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the features.py of a written project."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    forget_modules(tmp_path)


def composed(name: str, state: Path, *overrides: str) -> Any:
    search_path = f"hydra.searchpath=[file://{Path.cwd()}/conf]"
    return compose(search_path, f"experiment={name}", f"state_dir={state}", *overrides)


def value_of(values: Mapping[str, Any], key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


@pytest.mark.parametrize("file", TABLES)
def test_the_experiment_of_any_table_is_valid(
    file: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path, file)
    status = init.main(["--data", file, "--target", "y"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    name = out.rstrip().rpartition("orchestrate experiment=")[2]
    assert out.endswith(f"Next\n  orchestrate experiment={name}\n")
    configuration = composed(name, state)
    spec = validate(configuration).spec
    assert isinstance(spec, RunSpec)
    assert spec.name == name
    for key, expected in TABLES[file][2].items():
        assert value_of(by_task.resolve(configuration.values, spec.data.task).values, key) == expected, key


@pytest.mark.parametrize(("file", "metric"), [("table.parquet", "roc_auc"), at_night("prices.csv", "r2")])
def test_the_written_project_trains(
    file: str, metric: str, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path, file)
    assert init.main([str(tmp_path / "new"), "--data", str(table), "--target", "y", "--name", "mine"]) == 0
    monkeypatch.chdir(tmp_path / "new")
    quick = ("model.param_grid.n_estimators=[5]", "model.param_grid.max_depth=[3]")
    artifacts = execute(composed("mine", state, "deploy=none", "tracking=none", "package.compile=never", *quick))
    assert f"mean_test_{metric}" in artifacts[Report].metrics
    assert artifacts[Package].path.is_dir()


@pytest.mark.nightly
def test_the_printed_command_is_the_next_one_to_type(tmp_path: Path) -> None:
    write_table(tmp_path, "three.csv")

    def run(*arguments: str, folder: Path) -> str:
        command = [sys.executable, "-m", "orchestrator", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    printed = run("init", "new", "--data", "three.csv", "--target", "y", folder=tmp_path)
    change, typed = printed.splitlines()[-1].strip().split(" && ")
    folder = tmp_path / change.removeprefix("cd ")
    options = ("deploy=none", "tracking=none", "package.compile=never", "model.param_grid.n_estimators=[5]")
    assert "roc_auc_ovr" in run(*typed.partition("orchestrator ")[2].split(), *options, folder=folder)
    assert (folder / "state/packages").is_dir()


def test_the_example_passes_its_own_test(tmp_path: Path) -> None:
    table = write_table(tmp_path, "two_ints.csv")
    assert init.main([str(tmp_path / "new"), "--data", str(table), "--target", "y"]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error"],
        cwd=tmp_path / "new",
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "7 passed" in done.stdout, done.stdout


def test_what_was_found_and_chosen_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    table = write_table(tmp_path, "identifiers.csv")
    assert init.main([str(tmp_path / "my project"), "--data", str(table), "--target", "y"]) == 0
    out = capsys.readouterr().out
    assert "120 rows; 2 numbers; nothing missing" in out
    assert "y: two classes (0 60, 1 60); positive: 1 (the greater of the two)" in out
    assert "whole groups of 'account'" in out
    assert "outside of the project, read from ../identifiers.csv" in out
    assert out.endswith(f"  cd '{tmp_path}/my project' && orchestrate experiment=identifiers\n")


def test_ci_files_are_yaml_and_name_the_commands(tmp_path: Path) -> None:
    table = write_table(tmp_path, "two_ints.csv")
    assert init.main([str(tmp_path), "--data", str(table), "--target", "y"]) == 0
    text = (tmp_path / ".github/workflows/train.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    typed = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert typed["check"][-1] == "orchestrate experiment=two-ints $OPTIONS dry_run=true"
    train, probe = typed["train"][-2:]
    assert train.startswith("orchestrate experiment=two-ints $OPTIONS ||")
    assert probe == "orchestrate experiment=two-ints $OPTIONS stages=probe"
    for code, ends in ((0, 0), (1, 1), (3, 0)):  # 3: the gate keeps the champion
        assert (
            subprocess.run(["bash", "-ec", f"orchestrate() {{ return {code}; }}; {train}"], check=False).returncode
            == ends
        )
    assert typed["rollback"][-1] == "orchestrate experiment=two-ints $OPTIONS stages=rollback"
    assert "%%" not in text
    pipeline = (tmp_path / "azure-pipelines.yml").read_text()
    assert "$ORCHESTRATE_OPTIONS || [ $? -eq 3 ]; } &&" in pipeline
    assert {"trigger", "pr", "schedules", "parameters", "steps"} <= set(yaml.safe_load(pipeline))
    assert len((tmp_path / "README.md").read_text().splitlines()) == 10


@pytest.mark.parametrize(
    ("program", "next_command"),
    [
        ("/site/orchestrator/__main__.py", "cd shop && {python} -m orchestrator experiment=grades"),
        (".venv/bin/orchestrate", "cd shop && {folder}/.venv/bin/orchestrate experiment=grades"),
        ("shop/.venv/bin/orchestrate", "cd shop && .venv/bin/orchestrate experiment=grades"),
    ],
)
def test_the_printed_command_calls_the_program_as_it_was_called(
    program: str, next_command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [program])
    write_table(tmp_path, "grades.csv")
    assert init.main(["shop", "--data", "grades.csv", "--target", "y"]) == 0
    expected = next_command.format(python=invocation.python(), folder=tmp_path)
    assert capsys.readouterr().out.endswith(f"Next\n  {expected}\n")


def test_help_is_printed_without_a_library() -> None:
    code = (
        "import sys\nfrom orchestrator.cli.init import main\nsys.argv[0] = 'orchestrate'\n"
        "try:\n    main(['--help'])\nfinally:\n    print(*{*sys.modules} & {'pandas', 'pydantic', 'numpy', 'rich'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: orchestrate init")
    assert done.stdout.endswith("\n\n")


def test_a_table_behind_a_url(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_write("memory://init/churn.csv") as file:
        file.write(b"x,y\n" + b"1,a\n2,b\n3,a\n4,b\n" * 20)
    assert init.main(["--data", "memory://init/churn.csv", "--target", "y"]) == 0
    assert "read from memory://init/churn.csv; CI needs the rights to read it" in " ".join(
        capsys.readouterr().out.split()
    )
    spec = validate(composed("churn", state)).spec
    assert (str(spec.data.path), spec.data.path.name) == ("memory://init/churn.csv", "churn.csv")
    assert len(list((state / "copies").rglob("churn.csv"))) == 1
    assert init.main(["--data", "https://me:hunter2@host/churn.csv", "--target", "y"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("--data: holds credentials")
    assert "hunter2" not in err
