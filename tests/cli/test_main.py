from __future__ import annotations

import pytest

from orchestrator.cli.main import _heading
from orchestrator.errors import DeployError, OrchestratorError, PlanError, Problem, SpecError


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (PlanError("stages: a circle"), "plan failed: stages: a circle"),
        (SpecError([Problem("seed", "is missing")]), "configuration failed: seed: is missing"),
        (DeployError("deploy: no service"), "deploy failed: no service"),
        (
            DeployError("deploy: full; more\n  proof: x", "out_of_memory"),
            "deploy failed: full; more [deploy-out-of-memory]\n  proof: x",
        ),
    ],
)
def test_an_error_begins_with_its_kind_and_a_diagnosis_ends_with_its_code(
    error: OrchestratorError, printed: str
) -> None:
    assert _heading(error) == printed
