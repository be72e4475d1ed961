"""Code of the project that cannot ship is reported before anything is trained."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from orchestrator import compose
from orchestrator.config.validate import validate
from orchestrator.errors import SpecError

STEP = (
    "from sklearn.base import BaseEstimator, TransformerMixin\n{}\n\n"
    "class Step(TransformerMixin, BaseEstimator):\n"
    "    def fit(self, X, y=None):\n        return self\n\n"
    "    def transform(self, X):\n        return X\n"
)
SCORERS = (
    "from sklearn.metrics import accuracy_score, make_scorer\n"
    "good = make_scorer(accuracy_score)\n"
    "def plain(estimator, X, y):\n    return 1.0\n"
    "def metric(y_true, y_pred, weight=None):\n    return 1.0\n"
    "number = 3\n"
)


def problems(project: Any, *overrides: str, target: str = "own_steps.Step") -> list[str]:
    step = f"+preprocess.steps.own._target_={target}"
    state = f"state_dir={project.folder.parent / 'state'}"
    try:
        validate(compose("preprocess=none", step, "model=logistic_regression", "deploy=none", state, *overrides))
    except SpecError as error:
        return list(map(str, error.problems))
    return []


def test_a_class_of_the_project_needs_no_key(project: Any) -> None:
    project.write({"own_steps.py": STEP.format("import own_more"), "own_more.py": ""})
    assert problems(project) == []
    assert problems(project, "package.code=own_steps.py") == []
    assert problems(project, "package.code=[own_steps.py,own_more.py]") == []


@pytest.mark.parametrize(
    ("source", "overrides", "expected"),
    [
        (
            "",
            ["package.code=[own_step.py]"],
            "package.code: own_step.py: there is no such file or folder; did you mean",
        ),
        ("", ["package.code=3"], "package.code: should be "),
        ("", ["package.code=['']"], "package.code: should name files and folders, such as features.py, got"),
        ("", ["package.cod=x"], "package.cod: there is no such key; did you mean 'code'?"),
        ("import no_such_thing", [], "preprocess.steps.own._target_: importing own_steps failed: No module named"),
        ("def f(:", [], "preprocess.steps.own._target_: importing own_steps failed: SyntaxError: invalid syntax"),
        (
            "def f():\n    import no_such_thing",
            [],
            "preprocess.steps.own._target_: own_steps.py: it imports 'no_such_thing', which is not installed",
        ),
        (
            "def f():\n    import own_broken",
            [],
            "preprocess.steps.own._target_: own_broken.py: it is no Python: invalid syntax, line 1",
        ),
        ("import orchestrator", [], "preprocess.steps.own._target_: own_steps.py: it imports orchestrator, which"),
    ],
)
def test_a_mistake_is_one_problem(project: Any, source: str, overrides: list[str], expected: str) -> None:
    project.write({"own_steps.py": STEP.format(source), "own_broken.py": "def f(:\n"})
    (found,) = problems(project, *overrides)
    assert found.startswith(expected)
    assert "\n" not in found


def test_a_class_of_a_notebook_is_refused_where_it_would_be_packaged(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"own_steps.py": STEP.format("")})
    import own_steps  # type: ignore[import-not-found]

    monkeypatch.setattr(sys.modules["__main__"], "Step", own_steps.Step, raising=False)
    (found,) = problems(project, target="__main__.Step")
    assert found == (
        "preprocess.steps.own._target_: __main__.Step: no server can import a script or a notebook; "
        "move it to a module of the project, such as features.py"
    )
    assert problems(project, "stages=train", target="__main__.Step") == []


def test_scorers_of_the_project_are_checked(project: Any) -> None:
    project.write({"own_steps.py": STEP.format(""), "own_scorers.py": SCORERS})
    own = "search.scoring=[accuracy,own_scorers.{}]"
    refit = "search.refit=accuracy"
    assert problems(project, own.format("good"), "search.refit=own_scorers.good") == []
    assert problems(project, own.format("plain"), refit) == []
    (found,) = problems(project, own.format("metric"), refit)
    assert found.endswith("got 'own_scorers.metric(y_true, y_pred, weight)'")
    (found,) = problems(project, own.format("number"), refit)
    assert found.endswith("a function of (estimator, X, y), got 'own_scorers.number'")
    (found,) = problems(project, own.format("god"), refit)
    assert found == "search.scoring: own_scorers has no 'god'; did you mean 'good'?"
