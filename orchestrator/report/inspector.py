"""Inspect a training: the numbers of every section of the report that need the rows or the model."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from orchestrator.artifacts import Evaluation, Split, Trained
from orchestrator.caching.fingerprints import versions_of
from orchestrator.modeling.scorers import scorer_named
from orchestrator.modeling.threshold import decided
from orchestrator.report.columns import summarise_table
from orchestrator.report.curves import figures_of
from orchestrator.report.importance import importance_of
from orchestrator.report.inspection import Inspection
from orchestrator.report.model_checks import check_model
from orchestrator.report.slices import slices_of
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import ModelSpec
from orchestrator.spec.report import ReportSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.uncertainty.recorded import RecordedEstimator

TRAINING_ROWS = 20_000  # that the model is scored on again; of more a sample
VERSIONS = ("scikit-learn", "pandas", "numpy")


def inspect_training(
    split: Split,
    trained: Trained,
    evaluation: Evaluation,
    data: DataSpec,
    model: ModelSpec,
    search: SearchSpec,
    spec: ReportSpec,
    seed: int,
) -> Inspection:
    """Return what a look at the table and the trained model finds; the same seed samples and shuffles alike."""
    own = trained.pipeline
    trained = replace(trained, pipeline=decided(own, evaluation.decision))
    scorers = {name: scorer_named(name, search.scorers) for name in search.scoring}
    recorded = RecordedEstimator(trained.pipeline, split.X_test)
    columns = [name for name in spec.slices if name in split.X_test.columns]
    on_training = _training_scores(trained.pipeline, split, scorers, seed)
    as_in_folds = on_training  # a threshold decides no labels in the folds
    if evaluation.decision is not None:
        as_in_folds = _training_scores(own, split, {search.refit: scorers[search.refit]}, seed)
    return Inspection(
        table=summarise_table(split, seed),
        figures=figures_of(recorded, split, seed, evaluation.decision.threshold if evaluation.decision else 0.5),
        importance=importance_of(trained.pipeline, split, search.refit, scorers[search.refit], seed),
        slices=slices_of(columns, recorded, split, scorers, search.scorers, seed),
        training_scores=on_training,
        findings=tuple(check_model(split, trained, evaluation, as_in_folds, data, model, search)),
        versions=versions_of(VERSIONS),
    )


def _training_scores(pipeline: Any, split: Split, scorers: Mapping[str, Any], seed: int) -> Mapping[str, float]:
    """Return each metric on the rows that the model was fitted on; those that cannot be computed are left out."""
    rows = np.arange(len(split.y_train))
    if len(rows) > TRAINING_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), TRAINING_ROWS, replace=False))
    X, y = split.X_train.iloc[rows], split.y_train.iloc[rows]
    weights = None if split.weights is None else split.weights.train.to_numpy()[rows]
    model, options = RecordedEstimator(pipeline, X), {} if weights is None else {"sample_weight": weights}
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as of a label that is never predicted
        for name, score in scorers.items():
            try:
                found[name] = float(score(model, X, y, **options))
            except Exception:  # noqa: BLE001, S112 - a foreign scorer may raise anything
                continue
    return {name: value for name, value in found.items() if math.isfinite(value)}
