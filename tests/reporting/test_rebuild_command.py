"""The command that rebuilds a package."""

from __future__ import annotations

import shlex

import pytest

from orchestrator.caching.fingerprints import code_fingerprint
from orchestrator.reporting.rebuild_command import MAX_LENGTH, rebuild_command


def overrides_of(command: str) -> list[str]:
    program, *overrides, last = shlex.split(command)
    assert (program, last) == ("orchestrate", "deploy=none")
    return overrides


def test_overrides_that_affect_the_package_stay_as_typed() -> None:
    typed = [
        "hydra.searchpath=[pkg://acme.conf]", "experiment=article", "name=churn", "seed=3", "~model.param_grid.max_depth",
        "model.param_grid.n_estimators=[50,100]", "data.missing_values=['it's $HOME','-']", "package.compile=never",
        "stages.load=acme.load",
    ]  # fmt: skip
    assert overrides_of(rebuild_command(typed)) == typed


@pytest.mark.parametrize(
    "override",
    [
        "deploy=aci", "deploy.port=7000", "++deploy.build_args.INDEX=https://me:word@host", "+deploy.tags.a=b",
        "~deploy.description", "tracking=server", "azure.faults=[crash_loop]", "state_dir=/home/me/state", "dry_run=true",
        "batch.input=a.csv", "'deploy.key'=a", "+azure@deploy=a", "hydra.run.dir=/tmp/x", "hydra/launcher=joblib", "search=optuna",
        "sweep.deploy_best=true",
    ],
)  # fmt: skip
def test_overrides_that_do_not_affect_the_package_are_left_out(override: str) -> None:
    assert overrides_of(rebuild_command(["seed=3", override])) == ["seed=3"]


def test_a_name_that_only_begins_like_a_section_stays() -> None:
    assert overrides_of(rebuild_command(["deployment=x", "search=halving"])) == ["deployment=x", "search=halving"]


@pytest.mark.parametrize(
    ("typed", "redacted"),
    [
        ("model.params.api_key=abc123", "model.params.api_key=***"),
        ("+data.token='a b&c'", "+data.token=***"),
        ("model.params={n: 3, sas: abc}", "model.params=***"),
        ("data.path=https://host/a.csv?sig=abc", "data.path=https://host/a.csv?sig=***"),
    ],
)
def test_secrets_are_redacted_everywhere(typed: str, redacted: str) -> None:
    assert overrides_of(rebuild_command([typed])) == [redacted]


def test_a_very_long_command_is_left_out() -> None:
    assert len(rebuild_command(["seed=3", f"data.target={'x' * (MAX_LENGTH - 100)}"])) <= MAX_LENGTH
    assert rebuild_command([f"data.target={'x' * MAX_LENGTH}"]) == ""


def test_redaction_is_no_part_of_the_cache_key_of_training() -> None:
    code = code_fingerprint("orchestrator.stages.train")
    assert "code orchestrator.reporting.provenance" in code
    assert not any("diagnos" in name or "rebuild" in name for name in code)
