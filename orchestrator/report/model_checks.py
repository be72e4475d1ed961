"""Look after training for what is likely wrong with the model: each finding has a code, as those about the table have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.artifacts import Evaluation, Split, Trained
from orchestrator.findings import EDGE, FEW_HELD_OUT, NO_BETTER, OVERFITTING, TableFinding, format_overrides
from orchestrator.modeling.splitting.splitters import fold_count
from orchestrator.report.columns import shorten
from orchestrator.reporting.scores import format_score
from orchestrator.spec.data import DataSpec
from orchestrator.spec.model import ModelSpec
from orchestrator.spec.search import SearchSpec

LOST = 0.5  # share of what the model gains over the dummy on its training rows, above which losing it is overfitting
MATERIAL = (
    0.01  # share of what the model gains over the dummy, below which a rise towards the edge of a grid is nothing
)
VALUES = 3  # numbers of a parameter from which its edge means something: of two, one always wins
ROWS, CLASS_ROWS = 50, 20  # hold-out rows, and those of the smallest class, below which scores say little
MOST_HELD_OUT = 0.5


def check_model(
    split: Split,
    trained: Trained,
    evaluation: Evaluation,
    training_scores: Mapping[str, float],
    data: DataSpec,
    model: ModelSpec,
    search: SearchSpec,
) -> Iterator[TableFinding]:
    """Yield what is likely wrong with the model by the metric that chose it."""
    yield from find_no_better(trained, evaluation, search.refit)
    yield from find_overfitting(trained, evaluation, training_scores, search.refit)
    yield from find_few_rows(split, data)
    yield from find_edges(trained, evaluation, model.param_grid, search, data)


def find_no_better(trained: Trained, evaluation: Evaluation, refit: str) -> Iterator[TableFinding]:
    """Yield that the model is no better than the dummy on the hold-out rows, or shown to be neither by them nor by the folds."""
    score, dummy, rows = evaluation.metrics.get(refit), evaluation.dummy.get(refit), evaluation.notes.rows
    if score is None or dummy is None or not (math.isfinite(score) and math.isfinite(dummy)):
        return
    interval = evaluation.intervals.get(refit)
    said = f"{refit} on the hold-out rows is {format_score(score, rows, interval)}"
    against = f"{format_score(dummy, rows, interval)} of a model that ignores the columns ({evaluation.notes.dummy})"
    if not score > dummy:
        yield TableFinding(NO_BETTER, f"{said}, no better than {against}")
    elif interval is not None and interval.low <= dummy and not _folds_show(trained, dummy, refit):
        yield TableFinding(
            NO_BETTER, f"{said} ({interval.text()}), which does not show that it is better than {against}"
        )


def _folds_show(trained: Trained, dummy: float, refit: str) -> bool:
    """Return whether the cross-validated score is above the dummy's by more than twice its spread over the folds."""
    return trained.best.mean.get(refit, -math.inf) - 2 * trained.best.std.get(refit, 0.0) > dummy


def find_overfitting(
    trained: Trained, evaluation: Evaluation, training_scores: Mapping[str, float], refit: str
) -> Iterator[TableFinding]:
    """Yield that most of what the model gains over the dummy on its training rows is gone on rows that it has not seen."""
    training, dummy = training_scores.get(refit), evaluation.dummy.get(refit)
    validated, spread = trained.best.mean.get(refit), trained.best.std.get(refit, 0.0)
    if training is None or validated is None or dummy is None or not training > dummy:
        return
    loss = training - validated
    if loss > spread and loss > LOST * (training - dummy):
        rows = evaluation.notes.rows
        said = " and ".join(
            [f"{format_score(training, rows)} on its training rows", f"{format_score(validated, rows)} cross-validated"]
        )
        text = (
            f"{refit} is {said}: of what the model gains over a model that ignores the columns "
            f"({format_score(dummy, rows)}), {min(loss / (training - dummy), 1):.0%} is lost on rows that it has not seen"
        )
        yield TableFinding(OVERFITTING, text)


def find_few_rows(split: Split, data: DataSpec) -> Iterator[TableFinding]:
    """Yield that there are too few hold-out rows, or too few of a class, for scores that say much."""
    rows = len(split.y_test)
    few, needed = "", 1.0
    if split.classes is not None:
        counts = split.y_test.value_counts().reindex(range(len(split.classes)), fill_value=0)
        fewest = int(counts.min())
        if fewest < CLASS_ROWS:
            few = f"{fewest} of the {rows} hold-out rows are of class '{shorten(str(split.classes[int(counts.argmin())]))}'"
            needed = CLASS_ROWS / max(fewest, 1)
    if not few and rows < ROWS:
        few, needed = f"only {rows} rows are held out", ROWS / rows
    if not few:
        return
    share = math.ceil(100 * data.test_size * needed) / 100
    enough = data.split.rule in {"random", "group", "time"} and share <= MOST_HELD_OUT
    changes: dict[str, Any] = {"data.test_size": share} if enough else {}
    remedy = f"write {format_overrides(changes)}" if changes else "the cross-validated scores say more"
    yield TableFinding(
        FEW_HELD_OUT, f"{few}, so that the scores on them may be far from the true ones; {remedy}", (), changes
    )


def find_edges(
    trained: Trained, evaluation: Evaluation, grid: Mapping[str, Sequence[Any]], search: SearchSpec, data: DataSpec
) -> Iterator[TableFinding]:
    """Yield each number at the edge of its grid towards which the score still rises.

    It rises by more than its standard error, and by more than ``MATERIAL`` of what the model gains over the dummy.
    """
    scored = [
        one for one in trained.candidates if not one.error and math.isfinite(one.mean.get(search.refit, math.nan))
    ]
    if len({one.resources for one in scored}) > 1:  # a halving search scores the last ones on more rows
        return
    folds = fold_count(search, data.split) or 1
    best, dummy = trained.best, evaluation.dummy.get(search.refit, -math.inf)
    least = best.std.get(search.refit, 0.0) / math.sqrt(folds)
    if math.isfinite(dummy):
        least = max(least, MATERIAL * (best.mean[search.refit] - dummy))
    for name, values in grid.items():
        numbers = sorted({value for value in values if _is_number(value)})
        value = best.params.get(name)
        if len(numbers) < VALUES or not _is_number(value) or value not in (numbers[0], numbers[-1]):
            continue
        inner = numbers[1] if value == numbers[0] else numbers[-2]
        others = [one.mean[search.refit] for one in scored if one.params.get(name) == inner]
        further = _extend(numbers, upwards=value == numbers[-1])
        gain = best.mean[search.refit] - max(others, default=math.inf)
        if further is None or not gain > least:
            continue
        changes = {f"model.param_grid.{name}": [*values, further] if further > value else [further, *values]}
        text = (
            f"the best candidate has {name}={value}, the {'largest' if value == numbers[-1] else 'smallest'} of the grid, and "
            f"{search.refit} still rises towards it by {f'{gain:.3g}'} from {name}={inner}; write "
            f"{format_overrides(changes)}"
        )
        yield TableFinding(EDGE, text, (), changes)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _extend(numbers: Sequence[float], *, upwards: bool) -> float | None:
    """Return the next number beyond the edge in the steps of the grid; None where there is a natural end."""
    edge, inner = (numbers[-1], numbers[-2]) if upwards else (numbers[0], numbers[1])
    whole = all(isinstance(value, int) for value in numbers)
    ratio = edge / inner if inner and min(numbers) > 0 else 0.0
    further = edge * ratio if ratio and max(ratio, 1 / ratio) >= 1.5 else 2 * edge - inner
    further = round(further) if whole else float(f"{further:.3g}")
    if further == edge or (further <= 0 < min(numbers)) or (not upwards and further < 0 <= min(numbers)):
        return None
    shares = not whole and max(numbers) <= 1 and min(numbers) >= 0
    return None if shares and (edge == 1 or further > 1) else further
