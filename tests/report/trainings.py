"""Small trainings as the stages hand them to the report: a table, a fitted pipeline, its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from orchestrator.artifacts import Candidate, Evaluation, Report, ScoreContext, Split, Trained
from orchestrator.findings import CheckedTable
from orchestrator.report.inspection import Inspection
from orchestrator.report.inspector import inspect_training
from orchestrator.report.page import Content, build_page
from orchestrator.reporting.scores import dummy_scores, score_intervals, score_notes
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import ModelSpec
from orchestrator.spec.report import ReportSpec
from orchestrator.spec.search import SearchSpec

METRICS = {True: ("roc_auc", "accuracy"), False: ("r2", "neg_mean_absolute_error")}


@dataclass
class Training:
    """A trained pipeline with all that the report takes; keys of the spec can be changed before anything is asked for."""

    split: Split
    trained: Trained
    evaluation: Evaluation
    search: SearchSpec
    model: ModelSpec = field(default_factory=lambda: ModelSpec(estimator="sklearn.linear_model.LogisticRegression"))
    data: DataSpec = field(
        default_factory=lambda: DataSpec(path=Path("t.csv"), format="csv", target="y", test_size=0.25)
    )

    def inspect(self, **report: Any) -> Inspection:
        spec = ReportSpec(**report)
        return inspect_training(self.split, self.trained, self.evaluation, self.data, self.model, self.search, spec, 0)

    def report(self, **changes: Any) -> Report:
        best, scores = self.trained.best, self.evaluation
        metrics = {f"mean_test_{name}": value for name, value in best.mean.items()}
        metrics |= {f"std_test_{name}": value for name, value in best.std.items()}
        metrics |= {f"holdout_{name}": value for name, value in scores.metrics.items()}
        metrics |= {f"dummy_{name}": value for name, value in scores.dummy.items()}
        params = {**self.data.flat(), **self.model.flat(), **self.search.flat()}
        made = Report(
            params,
            {},
            dict(best.params),
            metrics,
            self.trained.candidates,
            {},
            "",
            "2026-11-30T08:00:00+00:00",
            scores.notes,
            intervals=scores.intervals,
        )
        return replace(made, **changes)

    def page(
        self, *, inspection: Inspection | None = None, report: Mapping[str, Any] | None = None, **content: Any
    ) -> str:
        seen = inspection or self.inspect()
        found = {"findings": seen.findings, "checked": CheckedTable(()), **content}
        return build_page(Content(self.report(**(report or {})), seen, **found))


def train(
    X: pd.DataFrame,
    y: pd.Series,
    *,
    candidates: Sequence[Candidate] = (),
    estimator: Any = None,
    held_out: float = 0.25,
) -> Training:
    """Fit a pipeline on the first rows and score it on the others; text and integer targets are classes."""
    is_class = y.dtype.kind != "f"
    classes = tuple(sorted(y.unique().tolist())) if is_class else None
    codes = y.map({label: code for code, label in enumerate(classes)}).astype("int64") if classes else y
    border = len(y) - round(held_out * len(y))
    split = Split(X[:border], X[border:], codes[:border], codes[border:], classes, "0" * 64)
    names: tuple[str, ...] = METRICS[is_class] if classes is None or len(classes) == 2 else ("roc_auc_ovr", "accuracy")
    names = names if estimator is None or len(classes or ()) < 3 else ("accuracy",)  # it may have no probabilities
    scorers = {name: get_scorer(name) for name in names}
    encode = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    usual = LogisticRegression(max_iter=500) if is_class else LinearRegression()
    model = usual if estimator is None else estimator
    pipeline = Pipeline([("encode", encode), ("model", model)]).fit(split.X_train, split.y_train)
    metrics = {name: float(score(pipeline, split.X_test, split.y_test)) for name, score in scorers.items()}
    made = candidates or [Candidate({"C": 1.0}, metrics, dict.fromkeys(metrics, 0.01), 1, 0.1)]
    search = SearchSpec.model_validate(
        {"_target_": "sklearn.model_selection.GridSearchCV", "cv": 4, "scoring": list(names), "refit": names[0]}
    )
    notes: ScoreContext = score_notes(split, scorers)
    best = min(range(len(made)), key=lambda at: made[at].rank)
    intervals = score_intervals(pipeline, split, scorers, metrics, own=(), seed=0)
    evaluation = Evaluation(metrics, {}, dummy_scores(scorers, split), notes, intervals)
    return Training(split, Trained(pipeline, best, list(made)), evaluation, search)


def table(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return a table of two numbers, of which the first decides the target, and a category."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"a": rng.normal(size=rows), "b": rng.normal(size=rows), "city": rng.choice(["Rome", "Oslo", "Lima"], rows)}
    )


def two_classes(rows: int = 200, seed: int = 0) -> Training:
    """Return a training on two classes by column a, with noise."""
    X = table(rows, seed)
    noise = np.random.default_rng(seed + 1).normal(size=rows)
    return train(X, pd.Series(np.where(X["a"] + 0.7 * noise > 0, "yes", "no")))


HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "{{ 7 * 7 }} </title></style>",
    "🦊 emoji & 汉字",
    "שלום עולם \u202e abc",
    "long " + "x" * 300,
)


def hostile(rows: int = 300) -> Training:
    """Return a training whose columns, values and classes are texts that would break a page that does not escape them."""
    rng = np.random.default_rng(0)
    y = pd.Series(rng.choice(HOSTILE, rows), name=HOSTILE[0])
    X = pd.DataFrame({name: rng.choice(HOSTILE, rows) for name in HOSTILE})
    X[HOSTILE[0]] = y.where(rng.random(rows) < 0.8, HOSTILE[1])
    X["number"] = rng.normal(size=rows)
    candidates = [
        Candidate(
            {name: f"{name}{at}" for name in HOSTILE}, {"roc_auc_ovr": 0.9 - at / 99, "accuracy": 0.5}, {}, at + 1, 0.1
        )
        for at in range(60)
    ]
    candidates[-1] = replace(candidates[-1], mean={}, error=HOSTILE[1])
    return train(X, y, candidates=candidates)
