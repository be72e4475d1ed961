"""What the tables of the report show: rows of texts and charts, made of plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from markupsafe import Markup

from orchestrator.artifacts import Candidate, Report
from orchestrator.report import charts
from orchestrator.report.inspection import TINY, DataChanges, GroupScore, Importance, Inspection, Slices
from orchestrator.reporting.scores import LOSSES, format_score
from orchestrator.uncertainty.interval import LEVEL, Interval

EMPTY = Markup("")
CANDIDATES = 50  # that are shown
EFFECTS = 20
CHANGES = 30
OTHERS = 4  # metrics beside the one that chose
PARAMETERS = 5  # columns of a table of candidates; more are written into one


@dataclass(frozen=True)
class Row:
    """A row of a table: its heading, cells of text, a chart, and whether it stands out, with the word that says so."""

    head: str
    cells: Sequence[str]
    chart: Markup = EMPTY
    note: str = ""


@dataclass(frozen=True)
class ShownTable:
    """A table of rows below ``header``; ``more`` rows are not shown."""

    header: Sequence[str]
    rows: Sequence[Row]
    more: int = 0
    name: str = ""
    caption: str = ""


@dataclass(frozen=True)
class MainScore:
    """The metric that chose the model, on the hold-out rows, with what it is compared to."""

    metric: str
    value: str
    bounds: str
    dummy: str
    chart: Markup


def model_name(report: Report) -> str:
    """Return the name of the estimator's class."""
    return report.params.get("model.estimator", "model").rpartition(".")[2]


def title(report: Report) -> str:
    """Return what is predicted, and by which model."""
    return f"{model_name(report)} for {report.params.get('data.target', 'the target')}"


def percent(part: float, whole: float) -> str:
    """Return a share of the whole, without decimals but where that would hide it."""
    share = part / whole if whole else 0.0
    return "under 1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def main_score(report: Report) -> MainScore | None:
    """Return the hold-out score by the metric that chose the model; None if it was not computed."""
    metric, rows = report.params.get("search.refit", ""), report.notes.rows
    value = report.metrics.get(f"holdout_{metric}")
    if value is None or not math.isfinite(value):
        return None
    found, dummy = report.intervals.get(metric), report.metrics.get(f"dummy_{metric}")
    low, high = (None, None) if found is None else (found.low, found.high)
    chart = charts.interval(value, low, high, _ends([value, low, high, dummy]), dummy)
    return MainScore(
        _named(metric, report),
        format_score(value, rows, found),
        found.text() if found else "",
        _text(dummy, rows, found),
        chart,
    )


def score_table(report: Report, inspection: Inspection) -> ShownTable:
    """Return each metric: on the hold-out rows with its interval, cross-validated, on the training rows, and the dummy's."""
    rows, scores = report.notes.rows, report.metrics
    metrics = [name.removeprefix("holdout_") for name in scores if name.startswith("holdout_")]
    found = []
    for metric in metrics:
        value, dummy = scores[f"holdout_{metric}"], scores.get(f"dummy_{metric}")
        mean, std = scores.get(f"mean_test_{metric}"), scores.get(f"std_test_{metric}")
        interval = report.intervals.get(metric)
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        cross = _text(mean, rows, interval) + (f" ± {_text(std, rows, interval)}" if std is not None else "")
        cells = [_text(value, rows, interval), *([interval.text() if interval else "none"] if report.intervals else [])]
        cells += [cross, _text(inspection.training_scores.get(metric), rows, interval), _text(dummy, rows, interval)]
        ends = _ends([value, low, high, dummy])
        chart = charts.interval(value, low, high, ends, dummy) if math.isfinite(value) else EMPTY
        found.append(Row(_named(metric, report), cells, chart))
    bounds = [level_of(report)] if report.intervals else []
    return ShownTable(["hold-out", *bounds, "cross-validated", "training rows", "dummy"], found)


def importance_table(importance: Importance) -> ShownTable:
    """Return what each column is worth, largest first."""
    shown = importance.effects[:EFFECTS]
    ends = charts.ends_of([0.0, *(bound for one in shown for bound in (one.low, one.high))])
    digits = _digits(one.mean for one in shown)
    rows = [
        Row(
            one.column,
            [_fixed(one.mean, digits), f"{_fixed(one.low, digits)} to {_fixed(one.high, digits)}"],
            charts.interval(one.mean, one.low, one.high, ends, 0.0),
            "" if one.low > 0 else "may be 0",
        )
        for one in shown
    ]
    return ShownTable(["loss when shuffled", f"{LEVEL:.0%} interval"], rows, importance.width - len(shown))


def slice_table(slices: Slices, report: Report) -> ShownTable:
    """Return the scores of the groups of one column, with a chart of the metric that chose the model."""
    refit = report.params.get("search.refit", "")
    overall = report.metrics.get(f"holdout_{refit}")
    named = list(slices.groups[0].scores) if slices.groups else []
    metrics = sorted(named, key=lambda metric: metric != refit)  # the one that is drawn first
    main = [group.scores[refit] for group in slices.groups if refit in group.scores]
    ends = charts.ends_of([overall, *(bound for one in main for bound in (one.value, one.low, one.high))])
    rows = []
    for group in slices.groups:
        one = group.scores.get(refit)
        chart = (
            EMPTY if one is None or one.value is None else charts.interval(one.value, one.low, one.high, ends, overall)
        )
        note = f"fewer than {TINY} rows" if group.rows < TINY else ""
        cells = [f"{group.rows:,}", *(_scored(group.scores[metric], group.rows) for metric in metrics)]
        rows.append(Row(group.label, cells, chart, note))
    smallest = min((group.rows for group in slices.groups), default=0)
    which = "group shown" if slices.left_out else "group"
    caption = f"Hold-out scores by the {slices.by} of {slices.column}; the smallest {which} has {smallest:,} rows"
    return ShownTable(["rows", *metrics], rows, slices.left_out, slices.column, caption)


def candidate_table(report: Report) -> ShownTable:
    """Return the candidates, best first, with the parameters that differ, and their mean and spread over the folds."""
    refit, rows = report.params.get("search.refit", ""), report.notes.rows
    ranked = sorted(report.candidates, key=lambda one: one.rank)
    names = _varying(report.candidates)
    apart = len(names) <= PARAMETERS
    others = [name for name in (ranked[0].mean if ranked else {}) if name != refit][:OTHERS]
    shown = ranked[:CANDIDATES]
    ends = charts.ends_of(_add(one, refit, sign) for one in shown for sign in (-1, 1))
    best = {name: str(value) for name, value in report.best_params.items()}
    found, marked = [], False
    for one in shown:
        params = [str(one.params.get(name, "")) for name in names]
        cells = params if apart else [", ".join(f"{name}={value}" for name, value in zip(names, params, strict=True))]
        cells = [*cells, _spread(one, refit, rows), *(_text(one.mean.get(name, math.nan), rows) for name in others)]
        is_best = not marked and {name: str(value) for name, value in one.params.items()} == best
        marked = marked or is_best
        mean, low, high = (_add(one, refit, sign) for sign in (0, -1, 1))
        chart = charts.interval(mean, low, high, ends) if math.isfinite(mean) else EMPTY
        note = "best" if is_best else f"failed: {one.error}" if one.error else ""
        found.append(Row(str(one.rank), [*cells, f"{one.fit_seconds:.2f} s"], chart, note))
    header = [*(names if apart else ["parameters"]), refit, *others, "mean fit"]
    return ShownTable(header, found, len(ranked) - len(shown))


def describe_changes(changes: DataChanges | str) -> str:
    """Return what changed against the champion's training data in sentences; a text says why that is not known."""
    if isinstance(changes, str):
        return changes
    said = f"Against the training data of {changes.champion}: {changes.rows_before:,} rows then, {changes.rows:,} now."
    if changes.target is not None:
        then = changes.target.what or changes.target.name
        now = f"Now {changes.target.name}" if changes.target.what else "Now"
        said += f" Target {then} then: {changes.target.before}. {now}: {changes.target.now}."
    found, (name, index) = len(changes.columns), changes.largest
    if found:
        said += f" Of {changes.width:,} columns {found:,} changed{' or are gone' if found > 1 else ''}."
    else:
        said += f" No column changed{f': the largest population stability index is {index:.2f}, of {name}' if name else ''}."
    if changes.unprofiled:
        count = "1 column" if changes.unprofiled == 1 else f"{changes.unprofiled:,} columns"
        said += f" Of {count} only the type was compared: the champion's package has no shares of the values."
    return said + (
        f" Values are of {changes.sampled:,} rows, drawn at random." if changes.sampled < changes.rows else ""
    )


def level_of(report: Report) -> str:
    """Return the heading of the intervals: ``95 % interval``."""
    level = next((interval.level for interval in report.intervals.values()), LEVEL)
    return f"{level:.0%} interval".replace("%", " %")


def _named(metric: str, report: Report) -> str:
    label = f"{metric} of {report.notes.positive}" if metric in report.notes.positive_metrics else metric
    return f"{label} (lower is better)" if metric in LOSSES else label


def _ends(values: Sequence[float | None]) -> tuple[float, float]:
    """Return the ends of a score's own scale: 0 to 1 where all values lie there."""
    found = [value for value in values if value is not None and math.isfinite(value)]
    return (0.0, 1.0) if found and min(found) >= 0 and max(found) <= 1 else charts.ends_of(found)


def _text(value: float | None, rows: int, interval: Interval | None = None) -> str:
    return "" if value is None else format_score(value, rows, interval) if math.isfinite(value) else "–"


def _scored(score: GroupScore, rows: int) -> str:
    if score.value is None:
        return "–"
    if score.low is None or score.high is None:
        return format_score(score.value, rows)
    interval = Interval(score.low, score.high, "")
    digits = min(interval.decimals, 2 if interval.high - interval.low < 1 else interval.decimals)
    return f"{score.value:.{digits}f} ({interval.text(digits)})"


def _fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals; what rounds to 0 has no sign."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def _digits(values: Iterable[float]) -> int:
    """Return the decimals by which the largest of some numbers has three significant ones."""
    largest = max((abs(value) for value in values), default=1.0)
    return min(8, max(0, 2 - math.floor(math.log10(largest)))) if largest > 0 else 3


def _varying(candidates: Sequence[Candidate]) -> list[str]:
    values: dict[str, set[str]] = {}
    for one in candidates:
        for name, value in one.params.items():
            values.setdefault(name, set()).add(str(value))
    varied = [name for name, found in values.items() if len(found) > 1]
    return varied or [*values]


def _add(one: Candidate, metric: str, sign: int) -> float:
    return one.mean.get(metric, math.nan) + sign * one.std.get(metric, 0.0)


def _spread(one: Candidate, metric: str, rows: int) -> str:
    value, std = one.mean.get(metric, math.nan), one.std.get(metric)
    if not math.isfinite(value):
        return "–"
    return _text(value, rows) + (f" ± {_text(std, rows)}" if std is not None and math.isfinite(std) else "")


def data_name(report: Report) -> str:
    """Return the name of the table's file."""
    return PurePath(report.params.get("data.path", "")).name or "the table"
