"""A package with a transformer of the project, served by a container."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.docker.target import Docker
from orchestrator.deploy.probe import probe_endpoint
from tests.deploy.docker.engine_queries import only
from tests.stages.conftest import Kit

if TYPE_CHECKING:
    from docker import DockerClient

FILES = {
    "own_steps.py": (
        "from own_helpers.scaling import scaled\n"
        "from sklearn.base import BaseEstimator, TransformerMixin\n\n\n"
        "class Scaled(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, X, y=None):\n        self.n_features_in_ = X.shape[1]\n        return self\n\n"
        "    def transform(self, X):\n        return scaled(X)\n"
    ),
    "own_helpers/__init__.py": "",
    "own_helpers/scaling.py": "def scaled(X):\n    return X * 2\n",
}


@pytest.mark.nightly
@pytest.mark.slow
def test_a_container_has_the_projects_modules(
    engine: DockerClient,
    make_docker: Callable[..., Docker],
    version: Callable[[Package], ModelVersion],
    kit: Kit,
    project: Any,
) -> None:
    project.write(FILES)
    table = pd.DataFrame({"a": range(40), "b": [2.5, 1.5] * 20, "y": [1, 0] * 20})
    search = kit.search(
        "sklearn.linear_model.LogisticRegression", preprocess={"steps": {"own": {"_target_": "own_steps.Scaled"}}}
    )
    target = make_docker()
    deployed = target.deploy(version(kit.package(*kit.train(table, search))))
    assert probe_endpoint(deployed.endpoint).requests == 5
    there = only(engine, target).exec_run("ls").output.decode().split()
    assert {"own_steps.py", "own_helpers", "code.json", "score"} <= set(there)
