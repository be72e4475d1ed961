"""Stages that train: build the search, run it, evaluate on the hold-out rows, report."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.artifacts import Evaluation, Report, Search, Split, Trained
from orchestrator.caching.cache import CheckpointDir, cached, digest, pure
from orchestrator.errors import OrchestratorError, TrainError
from orchestrator.events import Progress
from orchestrator.findings import TableFindings
from orchestrator.modeling import native_categories
from orchestrator.modeling.halving import ROWS, is_halving
from orchestrator.modeling.labels import MODEL, LabelEncoding
from orchestrator.modeling.objects import make_estimator, make_grid
from orchestrator.modeling.preprocessing import make_steps
from orchestrator.modeling.row_digests import places_digest, rows_digest
from orchestrator.modeling.scorers import scorer_named, scoring_of
from orchestrator.modeling.splitting.splitters import fold_count, make_splitter
from orchestrator.modeling.target_encoding import settle_target_encoders
from orchestrator.modeling.weights import score_params
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.spec.components import is_dotted, locate
from orchestrator.spec.data import DataSpec
from orchestrator.spec.evaluate import EvaluateSpec
from orchestrator.spec.field_types import FitOn, Seed
from orchestrator.spec.messages import format_params
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.named_code import NamedCode
from orchestrator.spec.search import SearchSpec
from orchestrator.stages.fitting import prepared
from orchestrator.stages.search_results import as_written, collect_results, last_error
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, HOLDOUT_PLACES, SPEC_HASH
from orchestrator.uncertainty.interval import method_line

# scikit-learn's long warnings of failed candidates, which the console lists more briefly
FAILURES = (
    r"\s*\d+ fits failed out of a total of",
    "Scoring failed",
    "One or more of the (test|train) scores are non-finite",
)


@pure("scikit-learn")
def build_search(
    preprocess: PreprocessSpec,
    model: ModelSpec,
    search: SearchSpec,
    code: NamedCode,  # noqa: ARG001 - a part of the key
    data: DataSpec,
) -> Search:
    """Build the unfitted search over a pipeline of the preprocessing and the estimator."""
    from sklearn.base import is_classifier
    from sklearn.model_selection import ParameterGrid
    from sklearn.pipeline import Pipeline

    estimator = make_estimator(model.estimator, model.params, model.param_grid)
    values = make_grid(estimator, model.param_grid, "model.param_grid")
    estimator = native_categories.take_categories(estimator, preprocess)
    if rounds := model.early_stopping.rounds:
        from orchestrator.modeling.early_stopping import EarlyStopping, SetAside

        estimator = EarlyStopping(estimator, rounds, SetAside(model.early_stopping.share, data.stratify, data.split))
    if model.calibrates:
        from orchestrator.modeling.calibration import Calibrated

        estimator = Calibrated(estimator, model.calibrate[0], data.split)
        values |= {"calibrate": [*model.calibrate]} if len(model.calibrate) > 1 else {}
    pipeline = Pipeline([*make_steps(preprocess), (MODEL, estimator)])
    for part in (pipeline, *(value for each in values.values() for value in each)):
        settle_target_encoders(part, regression=not is_classifier(estimator))
    grid = {f"{MODEL}__{name}": each for name, each in values.items()}
    options = _lists(search.options)
    candidates = search.candidates(len(ParameterGrid(grid)))
    if "n_iter" in options:
        options["n_iter"] = candidates  # scikit-learn warns if n_iter exceeds the grid
    halving = is_halving(search.target)
    scoring = {"scoring": scoring_of(search.scoring, search.scorers), "refit": search.refit}
    if halving:
        own = is_dotted(search.refit) or search.refit in search.scorers
        single = scorer_named(search.refit, search.scorers) if own else search.refit
        scoring = {"scoring": single}  # halving supports a single metric
        if options.get("resource", ROWS) != ROWS:
            options["resource"] = f"{MODEL}__{options['resource']}"
    unfitted = locate(search.target, "search._target_")(
        pipeline,
        grid,
        **scoring,
        cv=make_splitter(search.cv),
        n_jobs=search.n_jobs,
        error_score="raise" if search.on_error == "stop" else math.nan,
        **options,
    )
    folds = None if halving else fold_count(search, data.split)
    return Search(unfitted, candidates, folds and candidates * folds)


def _lists(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


@cached("scikit-learn", "numpy", "scipy", "pandas", "joblib")
def train(split: Split, search: Search, spec: SearchSpec, progress: Progress, unfinished: CheckpointDir) -> Trained:
    """Run the search, or resume a killed one, and return the best pipeline, refitted on all training rows.

    Raises:
        TrainError: the cluster cannot be reached, or a fit or a score failed; nothing is cached.
    """
    from orchestrator.search.backend import use_backend

    coding = LabelEncoding(split.classes or ())
    with each_warning_once(), contextlib.ExitStack() as stack:
        estimator = stack.enter_context(prepared(search, split))
        estimator.on_progress, estimator.checkpoint_folder = progress, unfinished.folder
        for message in FAILURES if spec.on_error == "skip" else ():
            warnings.filterwarnings("ignore", message)
        if spec.scheduler:
            progress.note(f"connecting to {spec.scheduler}")
        try:
            estimator.before_refit = stack.enter_context(use_backend(spec.backend, spec.scheduler, spec.n_jobs))
        except Exception as error:
            where = f"search.scheduler: {spec.scheduler}" if spec.scheduler else f"search.backend: {spec.backend}"
            raise TrainError(f"{where} cannot be used ({_with_remedy(str(error))}); is it running?") from error
        try:
            estimator.fit(split.X_train, split.y_train)
        except OrchestratorError:  # raised by an observer of the progress
            raise
        except Exception as error:
            raise _fit_error(error, estimator, coding) from error
    trained = collect_results(estimator, coding, spec.refit, (split.X_train, split.y_train))
    if math.isnan(trained.best.mean.get(spec.refit, 0.0)):
        raise TrainError(f"search.refit: {spec.refit} is not a number for any candidate; choose another metric")
    return trained


@contextlib.contextmanager
def each_warning_once() -> Iterator[None]:
    """Issue each distinct warning once, at the end: libraries repeat them in every fit and every fold."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for category, text in dict.fromkeys((warning.category, str(warning.message)) for warning in caught):
        warnings.warn(text, category, stacklevel=3)


def _fit_error(error: Exception, search: Any, coding: LabelEncoding) -> TrainError:
    """Return an error of one line that names the failed candidate and the reason."""
    from orchestrator.search import fit_errors

    if (traces := fit_errors(search)) and all(traces):
        return TrainError(
            f"model: fitting failed for every candidate, first with {_with_remedy(last_error(traces[0]))}"
        )
    text = f"model: fitting failed with {type(error).__name__}: {_with_remedy(str(error))}"
    if params := as_written(getattr(error, "candidate", {}), coding):
        text += f"; the candidate was {format_params(params)} (search.on_error=skip leaves out candidates that fail)"
    return TrainError(text)


def _with_remedy(message: str) -> str:
    """Return the first line of an estimator's message, with the remedy if it is known."""
    text = (message.strip().splitlines() or ["it gave no reason"])[0]
    advice = {
        "X contains NaN": "preprocess=tabular fills missing values",
        "Input contains NaN": "missing values are filled by preprocess=tabular, and a function of the target needs a value for each row",
        "contains infinity": "correct these cells, or call them missing, such as 'data.missing_values=[\"inf\"]'",
        "Timestamp": "preprocess=tabular turns dates into numbers",
        "DateTime64": "preprocess=tabular turns dates into numbers",
        "could not convert string": "preprocess=tabular encodes columns of text",
        "min_resources_": "these are too few rows to halve: use search=grid, or fewer folds (search.cv)",
        "'n_samples' parameter of resample": "a larger search.min_resources leaves rows for every fold",
    }
    return "; ".join([text.rstrip("."), *(remedy for sign, remedy in advice.items() if sign in text)])


@cached("scikit-learn", "numpy", "scipy", "pandas", "matplotlib")
def evaluate(split: Split, trained: Trained, search: SearchSpec, spec: EvaluateSpec, seed: Seed) -> Evaluation:
    """Score the best pipeline on the hold-out rows with every metric of the search, with intervals and figures.

    A threshold of labels is chosen first, on training rows alone.

    Raises:
        DataError: the threshold does not suit the target, or cannot be chosen.
    """
    from orchestrator.modeling.threshold import decided, make_decision
    from orchestrator.reporting import figures, reliability, scores

    with each_warning_once():
        decision = make_decision(spec, trained, split, search.cv)
        trained = replace(trained, pipeline=decided(trained.pipeline, decision))
        scorers = {name: scorer_named(name, search.scorers) for name in search.scoring}
        held_out, weighted = (trained.pipeline, split.X_test, split.y_test), score_params(split.weights)
        metrics = {name: float(score(*held_out, **weighted)) for name, score in scorers.items()}
        judged = reliability.judge(trained.pipeline, split)
        drawn = figures.draw(trained, split, search.refit) | judged.figures
        own, prior = ({k: v for k, v in each.items() if k not in metrics} for each in (judged.scores, judged.dummy))
        intervals = scores.score_intervals(trained.pipeline, split, scorers, metrics, own=search.scorers, seed=seed)
        if "brier_score" in own:
            of_brier = scores.brier_interval(trained.pipeline, split, own["brier_score"], seed)
            intervals |= {} if of_brier is None else {"brier_score": of_brier}
        return Evaluation(
            metrics,
            drawn,
            scores.dummy_scores(scorers, split),
            scores.score_notes(split, scorers),
            intervals,
            decision,
            own,
            prior,
        )


@cached()
def report(
    data: DataSpec,
    preprocess: PreprocessSpec,
    model: ModelSpec,
    search: SearchSpec,
    seed: Seed,
    fit_on: FitOn,
    split: Split,
    table: TableFindings,
    trained: Trained,
    evaluation: Evaluation,
    provenance: RunProvenance,
) -> Report:
    """Collect everything that a tracker records about this training, as plain data.

    Metrics are of the fit on the training rows, whatever ``fit_on`` says.
    """
    best = trained.best
    metrics = {f"mean_test_{metric}": value for metric, value in best.mean.items()}
    metrics |= {f"std_test_{metric}": value for metric, value in best.std.items()}
    held_out, dummy = (
        {**evaluation.metrics, **evaluation.calibration},
        {**evaluation.dummy, **evaluation.dummy_calibration},
    )
    metrics |= {f"holdout_{metric}": value for metric, value in held_out.items()}
    metrics |= {f"dummy_{metric}": value for metric, value in dummy.items()}
    ordered = (data, preprocess, model, search)
    sections: tuple[dict[str, str], ...] = (data.flat(), preprocess.flat(), model.flat(), search.flat())
    params = functools.reduce(lambda left, right: left | right, sections, {"seed": str(seed)})
    decided = dict(evaluation.decision.params) if evaluation.decision else {}
    params |= decided
    rows = len(split.y_train) + len(split.y_test)
    again = {"model_fit": f"again on all {rows} rows; metrics are of the fit on {len(split.y_train)} training rows"}
    tags = {
        "data_fingerprint": split.digest,
        HOLDOUT_DIGEST: rows_digest(split.X_test, split.y_test),
        HOLDOUT_PLACES: places_digest(split.digest, split.y_test),
        SPEC_HASH: digest(
            {"seed": str(seed), **{k: v for one in ordered for k, v in one.ordered().items()}, **decided}
        ),
        "data_rows": f"{len(split.y_train)} training, {len(split.y_test)} held out",
        **({"data_columns": split.reading.line} if split.reading else {}),
        **({"data_findings": "; ".join(finding.label for finding in table.findings)} if table.findings else {}),
        **({"data_split": split.summary.line} if split.summary else {}),
        **(again if fit_on == "all" else {}),
        **({"model_trees": f"{trained.trees}, by early stopping"} if trained.trees is not None else {}),
        **({"positive_label": evaluation.notes.positive} if evaluation.notes.positive else {}),
        **({"holdout_intervals": method_line(evaluation.intervals)} if evaluation.intervals else {}),
        **({"decision_threshold": evaluation.decision.line} if evaluation.decision else {}),
        **provenance.tags,
    }
    return Report(
        params=params,
        tags=tags,
        best_params=dict(best.params),
        metrics=metrics,
        candidates=trained.candidates,
        figures=evaluation.figures,
        config=provenance.config,
        trained_at=trained.finished_at,
        notes=evaluation.notes,
        table=split.reading.as_json() if split.reading else None,
        findings=table.findings,
        split=split.summary.as_json() if split.summary else None,
        folds=len(split.folds) if split.folds is not None else fold_count(search, data.split),
        intervals=evaluation.intervals,
        decision=evaluation.decision,
    )
