from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

import orchestrator
from orchestrator import Split, artifacts, compose, errors, execute, services
from orchestrator.cli import notebook
from orchestrator.config import compose as composing

HEAVY = ("hydra", "matplotlib", "mlflow", "numpy", "omegaconf", "pandas", "pydantic", "sklearn")
SMALL = ("model=logistic_regression", "model/param_grid=none", "stages=train", "tracking=none", "deploy=none")


def test_every_public_name_is_the_one_of_its_module() -> None:
    assert sorted(orchestrator.__all__) == orchestrator.__all__
    homes = {"compose": composing, "execute": notebook, "OrchestratorError": errors, "SpecError": errors}
    homes |= {"Keys": services, "ServiceStatus": services}
    for name in orchestrator.__all__:
        assert getattr(orchestrator, name) is getattr(homes.get(name, artifacts), name)
    assert {*orchestrator.__all__} <= {*dir(orchestrator)}
    with pytest.raises(AttributeError, match="module 'orchestrator' has no attribute 'compse'"):
        _ = orchestrator.compse


@pytest.mark.parametrize("code", ["import orchestrator", "from orchestrator import Trained, SpecError"])
def test_importing_it_loads_no_library(code: str) -> None:
    code += f"; import sys; print(*{{*sys.modules}} & {{*{HEAVY!r}}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_composed_configuration_and_its_values_both_run(tmp_path: Path) -> None:
    trains = [f"stages.{name}=null" for name in ("train", "evaluate", "report", "inspect", "render", "track")]
    composed = compose(*SMALL, f"state_dir={tmp_path}", *trains)
    first, second = execute(composed)[Split], execute(composed.values)[Split]
    assert first.X_train.equals(second.X_train)
    with pytest.raises(FrozenInstanceError):
        composed.text = ""  # type: ignore[misc]
