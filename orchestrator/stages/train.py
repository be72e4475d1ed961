"""Stages that learn: put the pipeline together, search, evaluate on the hold-out rows, report."""

from __future__ import annotations

import bisect
import contextlib
import functools
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cache import Unfinished, cached, pure
from orchestrator.config.locate import locate
from orchestrator.config.spec import Branch, Component, DataSpec, ModelSpec, PreprocessSpec, SearchSpec, Seed
from orchestrator.errors import OrchestratorError, TrainError
from orchestrator.events import Progress
from orchestrator.products import Candidate, Evaluation, Report, Search, Split, Trained
from orchestrator.provenance import Provenance

MODEL = "model"  # the pipeline step that the estimator is; its parameters are searched as model__<name>


@pure("scikit-learn")
def assemble(preprocess: PreprocessSpec, model: ModelSpec, search: SearchSpec) -> Search:
    """The unfitted search over a pipeline of the preprocessing and the estimator."""
    from sklearn.compose import ColumnTransformer
    from sklearn.model_selection import ParameterGrid
    from sklearn.pipeline import Pipeline

    steps = [(name, _transformer(step)) for name, step in preprocess.steps.items()]
    if preprocess.branches:
        branches = [(name, _branch(branch), _columns(branch)) for name, branch in preprocess.branches.items()]
        steps.append(("branches", ColumnTransformer(branches, remainder=preprocess.remainder)))
    estimator = locate(model.estimator, "model.estimator")(**_lists(model.params))
    pipeline = Pipeline([*steps, (MODEL, estimator)])
    grid = {f"{MODEL}__{name}": list(values) for name, values in model.param_grid.items()}
    options = _lists(search.options)
    candidates = search.candidates(len(ParameterGrid(grid)))
    if "n_iter" in options:
        options["n_iter"] = candidates  # scikit-learn warns of more than there are
    # a halving search knows one metric only
    scoring = {"scoring": search.refit} if search.halves else {"scoring": list(search.scoring), "refit": search.refit}
    found = locate(search.target, "search._target_")(
        pipeline,
        grid,
        **scoring,
        cv=search.cv,
        n_jobs=search.n_jobs,
        error_score="raise",  # a candidate that fails is a mistake to be told, and not a missing score
        **options,
    )
    return Search(found, candidates, None if search.halves else candidates * search.cv)


def _transformer(component: Component) -> Any:
    return locate(component.target, "preprocess")(**_lists(component.options))


def _branch(branch: Branch) -> Any:
    from sklearn.pipeline import Pipeline

    return Pipeline([(name, _transformer(step)) for name, step in branch.steps.items()])


def _columns(branch: Branch) -> Any:
    from sklearn.compose import make_column_selector

    if branch.columns == "numeric":
        return make_column_selector(dtype_include="number")
    if branch.columns == "categorical":
        return make_column_selector(dtype_exclude="number")
    return list(branch.columns)


def _lists(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


@cached("scikit-learn", "numpy", "scipy", "pandas", "joblib")
def train(split: Split, search: Search, spec: SearchSpec, progress: Progress, unfinished: Unfinished) -> Trained:
    """Run the search and keep the best pipeline, fitted again on all training rows; one that was killed goes on.

    Raises:
        TrainError: there is no such cluster, or a fit or a score failed; no product is kept.
    """
    from sklearn.base import clone

    from orchestrator.search.backend import running_on

    estimator = clone(search.estimator)
    estimator.on_progress, estimator.unfinished = progress, unfinished.folder
    with each_warning_once(), contextlib.ExitStack() as stack:
        if spec.scheduler:
            progress.note(f"connecting to {spec.scheduler}")
        try:
            estimator.before_refit = stack.enter_context(running_on(spec.backend, spec.scheduler, spec.n_jobs))
        except Exception as error:
            where = f"search.scheduler: {spec.scheduler}" if spec.scheduler else f"search.backend: {spec.backend}"
            raise TrainError(f"{where} cannot be used ({_remedy(error)}); is it running?") from error
        try:
            estimator.fit(split.X_train, split.y_train)
        except OrchestratorError:  # an observer's, told while the search made progress
            raise
        except Exception as error:
            raise TrainError(f"model: fitting failed with {type(error).__name__}: {_remedy(error)}") from error
    return _trained(estimator)


@contextlib.contextmanager
def each_warning_once() -> Iterator[None]:
    """Tell each distinct warning once, at the end: libraries repeat theirs in every fit and every fold."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for category, text in dict.fromkeys((found.category, str(found.message)) for found in caught):
        warnings.warn(text, category, stacklevel=3)


def _remedy(error: Exception) -> str:
    """What an estimator said, in one line, and what would help where that is known."""
    text = (str(error).strip().splitlines() or ["it gave no reason"])[0]
    advice = {
        "NaN": "preprocess=tabular fills missing values",
        "could not convert string": "preprocess=tabular encodes columns of text",
    }
    return "; ".join([text.rstrip("."), *(remedy for sign, remedy in advice.items() if sign in text)])


def _trained(search: Any) -> Trained:
    results, prefix = search.cv_results_, f"{MODEL}__"
    names = {metric: metric for metric in search.scoring} if search.multimetric_ else {search.scoring: "score"}
    chosen = names.get(search.refit, "score")
    last = _last_rounds(search)
    resources = results.get("n_resources", [None] * len(results["params"]))
    rounds = results.get("iter", [0] * len(results["params"]))
    places = {index: (-rounds[index], -results[f"mean_test_{chosen}"][index]) for index in last}
    order = sorted(places.values())  # who came further is better
    candidates = tuple(
        Candidate(
            params={name.removeprefix(prefix): value for name, value in results["params"][index].items()},
            mean={metric: float(results[f"mean_test_{name}"][index]) for metric, name in names.items()},
            std={metric: float(results[f"std_test_{name}"][index]) for metric, name in names.items()},
            rank=1 + bisect.bisect_left(order, places[index]),
            fit_seconds=float(results["mean_fit_time"][index]),
            resources=None if resources[index] is None else int(resources[index]),
        )
        for index in last
    )
    return Trained(search.best_estimator_, last.index(int(search.best_index_)), candidates)


def _last_rounds(search: Any) -> list[int]:
    """Where each candidate's last round stands in the results; a search without rounds has one for each."""
    resource = getattr(search, "resource", None)  # a parameter of this name grows from round to round
    own = [
        {name: value for name, value in params.items() if name != resource} for params in search.cv_results_["params"]
    ]
    return sorted({str(params): index for index, params in enumerate(own)}.values())


@cached("scikit-learn", "numpy", "pandas", "matplotlib")
def evaluate(split: Split, trained: Trained, search: SearchSpec) -> Evaluation:
    """Score the best pipeline on the hold-out rows with every metric of the search, and draw the figures."""
    from sklearn.metrics import get_scorer

    from orchestrator import figures

    with each_warning_once():
        scorers = {name: get_scorer(name) for name in search.scoring}
        metrics = {name: float(score(trained.pipeline, split.X_test, split.y_test)) for name, score in scorers.items()}
        return Evaluation(metrics, figures.draw(trained, split, search.refit))


@cached()
def report(
    data: DataSpec,
    preprocess: PreprocessSpec,
    model: ModelSpec,
    search: SearchSpec,
    seed: Seed,
    split: Split,
    trained: Trained,
    evaluation: Evaluation,
    provenance: Provenance,
) -> Report:
    """Everything a tracker writes down about this training, as plain data."""
    best = trained.best
    metrics = {f"mean_test_{metric}": value for metric, value in best.mean.items()}
    metrics |= {f"std_test_{metric}": value for metric, value in best.std.items()}
    metrics |= {f"holdout_{metric}": value for metric, value in evaluation.metrics.items()}
    sections: tuple[dict[str, str], ...] = (data.flat(), preprocess.flat(), model.flat(), search.flat())
    params = functools.reduce(lambda left, right: left | right, sections, {"seed": str(seed)})
    tags = {
        "data_fingerprint": split.digest,
        "data_rows": f"{len(split.y_train)} training, {len(split.y_test)} held out",
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
    )
