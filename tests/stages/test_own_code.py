"""A package with a transformer of the project: it is served wherever the package's folder lies."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator import compose, execute
from orchestrator.artifacts import Package
from orchestrator.caching.cache import CheckpointDir
from orchestrator.events import Progress
from orchestrator.packaging.project_path import make_project_importable
from orchestrator.spec.evaluate import EvaluateSpec
from orchestrator.spec.field_types import Seed
from orchestrator.spec.named_code import NamedCode
from orchestrator.stages.package import verify
from orchestrator.stages.train import evaluate, train
from orchestrator.tracking.mlflow.mlmodel import write_mlmodel
from score.contract import golden
from score.models.onnx import Compilation
from score.predict.predictor import InitError, Predictor

from .conftest import Kit

FEATURES = """
from sklearn.base import BaseEstimator, TransformerMixin
from own_helpers.scaling import scaled


class Ratio(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        from own_helpers.late import shifted

        return shifted(scaled(X))
"""
FILES = {
    "transforms.py": FEATURES,  # as a module of score/, which Azure's server has on sys.path
    "own_helpers/__init__.py": "",
    "own_helpers/scaling.py": "import yaml\n\n\ndef scaled(X):\n    return X * 2\n",
    "own_helpers/late.py": "def shifted(X):\n    return X + 1\n",
}
STEP = {"steps": {"own": {"_target_": "transforms.Ratio"}}}
LOGISTIC = "sklearn.linear_model.LogisticRegression"


@pytest.fixture
def own(kit: Kit, numbers: pd.DataFrame, project: Any) -> Package:
    project.write(FILES)
    return kit.package(*kit.train(numbers, kit.search(LOGISTIC, preprocess=STEP)))


def run_elsewhere(code: str, folder: Path, **environment: str) -> Any:
    """Run code in a process that knows nothing of the project or of this repository."""
    folder.mkdir()
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env=known | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_sources_lie_beside_score_and_count_like_every_file(own: Package) -> None:
    assert {"transforms.py", "own_helpers", "score", "code.json"} <= {path.name for path in own.path.iterdir()}
    assert verify(own).requests == 5
    assert f"PyYAML=={importlib.metadata.version('pyyaml')}" in (own.path / "requirements.txt").read_text()
    (own.path / "own_helpers" / "late.py").write_text("def shifted(X):\n    return X + 2\n")
    assert not own.is_intact()


def test_the_pickle_serves_as_there_is_no_converter(own: Package) -> None:
    assert Compilation.read(own.path).reason == "no converter for transforms.Ratio"


@pytest.mark.nightly
def test_the_dockerfile_copies_them(own: Package, tmp_path: Path) -> None:
    copies = re.findall(r"^COPY (?!--from)(.+) (\S+)$", (own.path / "Dockerfile").read_text(), re.MULTILINE)
    assert {("transforms.py", "transforms.py"), ("own_helpers", "own_helpers")} <= set(copies)
    image = tmp_path / "image"
    image.mkdir()
    for patterns, _ in copies:
        for path in (path for pattern in patterns.split() for path in own.path.glob(pattern)):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, image / path.name)
    assert verify(replace(own, path=image)).requests == 5


@pytest.mark.nightly
def test_an_entry_script_beside_a_mounted_model_finds_them(own: Package, tmp_path: Path) -> None:
    """As on a managed endpoint, where score/ is deployed as code, and on sys.path as the folder of its script."""
    app = tmp_path / "app"
    shutil.copytree(own.path / "score", app / "score")
    code = (
        "import importlib.util, json, sys\n"
        f"sys.path += [{str(app)!r}, {str(app / 'score')!r}]\n"
        f"spec = importlib.util.spec_from_file_location('entry_module', {str(app / 'score' / 'score.py')!r})\n"
        "entry = importlib.util.module_from_spec(spec); spec.loader.exec_module(entry); entry.init()\n"
        f"print(json.dumps([entry.run({request(own).body!r}), sys.modules['transforms'].__file__]))"
    )
    reply, where = run_elsewhere(code, tmp_path / "elsewhere", AZUREML_MODEL_DIR=str(own.path))
    assert request(own).difference(200, reply) == ""
    assert where == str(own.path / "transforms.py")


def test_mlflow_loads_them_from_the_version(own: Package, tmp_path: Path) -> None:
    version = tmp_path / "version"
    shutil.copytree(own.path, version)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow's own, when it is imported
        write_mlmodel(version, "toy_model", "run", None)
    body = json.loads(request(own).body)["data"]
    code = (
        "import json, sys, mlflow.pyfunc, pandas as pd\n"
        f"model = mlflow.pyfunc.load_model({str(version)!r})\n"
        f"answers = model.predict(pd.DataFrame({body!r})).tolist()\n"
        "print(json.dumps([answers, sys.modules['transforms'].__file__]))"
    )
    answers, where = run_elsewhere(code, tmp_path / "elsewhere")
    assert answers == request(own).reply["predictions"]
    assert where == str(version / "transforms.py")


def request(package: Package) -> golden.Golden:
    return next(one for one in golden.read(package.path) if one.name == golden.RECORDS)


def test_a_package_with_other_code_than_this_process_is_refused(own: Package, tmp_path: Path) -> None:
    assert Predictor.load(own.path)
    copy = tmp_path / "copy"
    shutil.copytree(own.path, copy)
    (copy / "own_helpers" / "late.py").write_text("def shifted(X):\n    return X + 2\n")
    with pytest.raises(
        InitError, match=r"^this process has loaded 'own_helpers' from .*; load the package in a process"
    ):
        Predictor.load(copy)


def test_named_code_decides_what_is_trained(project: Any) -> None:
    project.write({"own_lib/words.txt": "a", "own_lib/steps.py": "", "own_lib/__pycache__/steps.pyc": ""})
    before = NamedCode(("own_lib/",)).cache_parts()
    assert sorted(before) == ["code own_lib.steps", "file own_lib/words.txt"]
    project.write({"own_lib/words.txt": "b"})
    after = NamedCode(("own_lib/",)).cache_parts()
    assert [name for name in before if before[name] != after[name]] == ["file own_lib/words.txt"]


def test_what_named_code_imports_decides_as_well_since_it_ships(project: Any) -> None:
    project.write({"own_plugin.py": "def f():\n    import own_table\n", "own_table.py": "A = 1\n"})
    make_project_importable()
    assert {"code own_plugin", "code own_table"} == {*NamedCode(("own_plugin.py",)).cache_parts()}


def test_named_code_may_be_written_below_the_home_folder(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"own_lib/words.txt": "a", "own_lib/steps.py": ""})
    make_project_importable()
    monkeypatch.setenv("HOME", str(Path.cwd().parent))
    typed = f"~/{Path.cwd().name}/own_lib"
    assert NamedCode((typed,)).cache_parts() == NamedCode(("own_lib",)).cache_parts()


def test_named_code_that_was_edited_after_it_was_loaded_never_has_the_key_of_the_new_code(project: Any) -> None:
    project.write({"own_edited.py": "A = 1\n"})
    make_project_importable()
    NamedCode(("own_edited.py",)).cache_parts()
    project.write({"own_edited.py": "A = 22\n"})
    (part,) = NamedCode(("own_edited.py",)).cache_parts().values()
    assert part.startswith("edited while this process runs")


@pytest.mark.parametrize(
    ("search_class", "options"),
    [("orchestrator.search.SharedGridSearchCV", {}), ("orchestrator.search.SharedHalvingGridSearchCV", {"factor": 2})],
)
def test_a_scorer_of_the_project_chooses(
    kit: Kit, numbers: pd.DataFrame, project: Any, search_class: str, options: dict[str, Any]
) -> None:
    project.write(
        {
            "own_scorers.py": (
                "def hits(estimator, X, y):\n"
                "    assert list(X.columns) == ['a', 'b']\n"
                "    return 1000 * float((estimator.predict(X) == y).mean())\n"
            )
        }
    )
    names: dict[str, Any] = {
        "_target_": search_class,
        "scoring": ["accuracy", "own_scorers.hits"],
        "refit": "own_scorers.hits",
    }
    search = kit.search(grid={"max_depth": [1, 2]}, **names, **options)
    parts = kit.split(numbers, search)
    spec = kit.search_spec(**names, **options)
    trained = train(parts, search, spec, Progress(), CheckpointDir())
    assert trained.best.mean["own_scorers.hits"] > 500
    scored = evaluate(parts, trained, spec, EvaluateSpec(), Seed(0))
    assert scored.metrics["own_scorers.hits"] == pytest.approx(1000 * scored.metrics["accuracy"])
    assert {name: one.method for name, one in scored.intervals.items()} == {
        "accuracy": "wilson",
        "own_scorers.hits": "bootstrap-bca",
        "brier_score": "bootstrap-t",
    }
    assert "code own_scorers" in spec.cache_parts()


@pytest.mark.nightly
def test_a_notebook_uses_a_module_beside_it(project: Any) -> None:
    project.write(FILES)
    step = "+preprocess.steps.own._target_=transforms.Ratio"
    small = ("model=logistic_regression", "model/param_grid=none", "preprocess=none", "search.cv=2", step)
    state = f"state_dir={project.folder.parent / 'state'}"
    made = execute(compose(*small, "stages=package", "tracking=none", "deploy=none", state))[Package]
    assert (made.path / "transforms.py").read_text() == FEATURES
