"""Flags that nothing takes are answered with what to type, in one line each; Hydra's own stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.flags import without_unknown_flags

UNKNOWN = "there is no such flag"


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        (
            ["--data", "churn.csv", "--target", "left or not"],
            (
                f"--data: {UNKNOWN}; a project for a table is written by `orchestrate init --data churn.csv --target "
                "'left or not'`, and a run takes `data.path=churn.csv data.target='left or not'`"
            ),
        ),
        (
            ["--data=churn.csv"],
            (
                f"--data: {UNKNOWN}; a project for a table is written by `orchestrate init --data churn.csv`, and a run "
                "takes `data.path=churn.csv`"
            ),
        ),
        (["--port", "80"], f"--port: {UNKNOWN}; keys are typed without dashes: deploy.port=80"),
        (["--model", "mine"], f"--model: {UNKNOWN}; keys are typed without dashes: model=mine"),
        (["--dry-run"], f"--dry-run: {UNKNOWN}; keys are typed without dashes: dry_run=true"),
        (
            ["--timeout-seconds=5"],
            (
                f"--timeout-seconds: {UNKNOWN}; keys are typed without dashes: tracking.timeout_seconds=5 or "
                "deploy.timeout_seconds=5"
            ),
        ),
        (["--n-job", "2"], f"--n-job: {UNKNOWN}; did you mean search.n_jobs=... or batch.n_jobs=...?"),
        (["--multirum"], f"--multirum: {UNKNOWN}; did you mean --multirun?"),
        (["-x"], f"-x: {UNKNOWN}; orchestrate --help lists what there is to type: key=value"),
        (["--cfg", "jobs"], "--cfg: invalid choice: 'jobs' (choose from "),
        (["--config-dir"], "--config-dir: expected one argument"),
    ],
)
def test_a_flag_that_is_wrong_is_answered_with_what_to_type(
    typed: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORCHESTRATOR_CALLED_AS", raising=False)
    kept, problems = without_unknown_flags(["seed=3", "stages=train", *typed])
    assert [str(one)[: len(problem)] for one in problems] == [problem]
    assert "\n" not in str(problems[0])
    assert kept[:2] == ["seed=3", "stages=train"]
    assert not {"churn.csv", "80", "mine", "2"} & {*kept}


def test_every_flag_that_is_wrong_is_reported() -> None:
    _, problems = without_unknown_flags(["--data", "x.csv", "--seed", "5", "--cfg", "jobs"])
    assert [one.at for one in problems] == ["--data", "--seed", "--cfg"]


def test_groups_of_the_project_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "flavour").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (problem,) = without_unknown_flags(["--flavour", "sweet"])[1]
    assert str(problem).endswith("keys are typed without dashes: flavour=sweet")


@pytest.mark.parametrize(
    "typed",
    [
        ["-m", "seed=1,2"],
        ["--mult", "seed=1,2"],
        ["--cfg", "job", "-p", "model", "--resolve"],
        ["-cjob"],
        ["--config-dir", "mine", "model=x"],
        ["--config-dir=mine"],
        ["--info", "searchpath"],
        ["-v", "stages=train"],
        ["-i"],
        ["--hydra-help"],
        ["--version"],
        ["--help", "deploy=docker"],
        ["~stages.train", "+a=1"],
    ],
)
def test_flags_of_hydra_stay(typed: list[str]) -> None:
    assert without_unknown_flags(typed) == (typed, [])
