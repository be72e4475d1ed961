"""The jobs of a sweep as they are read, and their table."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from orchestrator.cli import sweep_table
from orchestrator.cli.sweep_jobs import SweepFolder, read_jobs


def job(folder: Path, number: int, overrides: list[str], **result: Any) -> None:
    path = folder / str(number)
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))
    (path / "result.json").write_text(json.dumps({"error": None, "refit": None, "metrics": None, **result}))


def scored(mean: float, held_out: float = 0.5) -> dict[str, Any]:
    metrics = {"mean_test_f1": mean, "std_test_f1": 0.01, "holdout_f1": held_out}
    return {"refit": "f1", "metrics": metrics}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    hydra = {
        "sweep": {"dir": str(tmp_path)},
        "overrides": {"hydra": [], "task": []},
        "job": {"config_name": "config"},
        "runtime": {"config_sources": []},
    }
    SweepFolder().on_multirun_start(OmegaConf.create({"dry_run": False, "hydra": hydra}))
    return tmp_path


def table(sweep: Path) -> str:
    return sweep_table.table(read_jobs(), sweep)


def test_jobs_are_best_first_with_what_differs(sweep: Path) -> None:
    job(sweep, 0, ["++seed=1", "++name=x"], **scored(0.6))
    stages = [{"name": "load", "seconds": 0.5, "cached": True}, {"name": "train", "seconds": 11.5, "cached": False}]
    found = scored(0.8, 0.75)
    found["intervals"] = {"f1": {"low": 0.7, "high": 0.8}}
    job(sweep, 1, ["++seed=2", "++name=x"], **found, stages=stages)
    job(sweep, 2, ["++seed=3", "++name=x"], error="train: burnt")
    job(sweep, 10, ["++seed=4", "++name=x"], **scored(0.7))
    (sweep / "3").mkdir()  # its configuration was wrong
    assert table(sweep).splitlines() == [
        "jobs, best first:",
        "   job  metric  cross-validated  hold-out              seconds  overrides",
        "1  1    f1      0.800 ± 0.010    0.750 [0.700, 0.800]  12       seed=2 name=x",
        "2  10   f1      0.700 ± 0.010    0.500                 0        seed=4 name=x",
        "3  0    f1      0.600 ± 0.010    0.500                 0        seed=1 name=x",
        "   2    failed                                         0        seed=3 name=x",
        "   3    failed                                         0",
    ]
    verdicts = ["the best", "within one standard error", "", "failed: train: burnt", "failed: it is wrong"]
    _, header, best, *_, failed, _ = sweep_table.table(read_jobs(), sweep, None, verdicts).splitlines()
    assert header.endswith("seconds  verdict                    overrides")
    assert best.endswith("12       the best                   seed=2 name=x")
    assert failed.endswith("0                                   seed=3 name=x")


def test_parameters_outside_of_the_grid_count_too(sweep: Path) -> None:
    job(sweep, 0, [], **scored(0.6), best={"params": {"max_depth": 9, "n_estimators": 5}}, best_params={"max_depth": 2})
    assert read_jobs()[0].params == {"max_depth": 2, "n_estimators": 5}


def test_what_all_jobs_have_is_left_out(sweep: Path) -> None:
    for number in range(40):
        job(sweep, number, [f"++seed={number}", "++name=x"], **scored(number / 100))
    lines = table(sweep).splitlines()
    assert lines[2].endswith("seed=39")
    assert lines[-1] == f"and 10 more in {sweep / 'sweep.csv'}"


def test_jobs_of_an_earlier_sweep_are_left_out(sweep: Path) -> None:
    job(sweep, 0, ["++seed=1"], **scored(0.6))
    job(sweep, 1, ["++seed=2"], **scored(0.9))
    os.utime(sweep / "1", (0, 0))
    assert "seed=2" not in table(sweep)


def test_jobs_that_train_nothing_have_no_table(sweep: Path) -> None:
    job(sweep, 0, ["++seed=1"])
    job(sweep, 1, ["++seed=2"])
    assert table(sweep) == ""


def test_the_file_has_all_jobs_with_a_verdict(sweep: Path) -> None:
    job(sweep, 0, ["++seed=1", "++name=x"], **scored(0.6))
    job(sweep, 1, ["++seed=2", "++name=x"], error="train: burnt, twice")
    file = sweep_table.write_csv(read_jobs(), sweep, ["the best", "failed: train: burnt, twice"])
    header, *lines = csv.reader(file.read_text().splitlines())
    assert tuple(header) == sweep_table.COLUMNS
    assert lines == [
        ["0", "f1", "0.6", "0.01", "0.5", "", "", "0", "the best", "seed=1"],
        ["1", "", "", "", "", "", "", "0", "failed: train: burnt, twice", "seed=2"],
    ]
