"""The experiment's YAML: each choice beside the reason for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.bundled import schema_line
from orchestrator.locations.urls import is_url
from orchestrator.project.split import SplitChoice, choose_split
from orchestrator.project.survey import Survey
from orchestrator.project.task import Task

_MANY_ROWS = 20_000  # from which boosting on binned columns is quicker than a forest
_WIDE = 1000  # columns of one-hot encoding, above which rare levels share one
_MOST_LEVELS = (100, 50, 20, 10)  # of a column, to be tried in this order
_REPORTED = 8  # labels in a comment
_DEFAULT_FOLDS = 5  # of conf/search/grid.yaml
_DEFAULT_WIDTH = 2000  # data.max_one_hot
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*(?<![./-])", re.ASCII)  # text that YAML reads as it is
_INTERPOLATION = re.compile(r"(\\*)\$\{")  # with the backslashes before it, which escape each other
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"}


@dataclass(frozen=True)
class Model:
    """An option of the group ``model`` in the project."""

    option: str
    estimator: str
    grid: Mapping[str, Any]
    why: str


def choose_model(task: Task, rows: int) -> Model:
    """Return the model for a task: a forest, or boosting for many rows."""
    kind = "Regressor" if task.kind == "regression" else "Classifier"
    if rows > _MANY_ROWS:
        grid = {"max_iter": [50, 100], "max_leaf_nodes": [15, 31]}
        why = f"quick on {rows:,} rows"
        return Model("boosting", f"sklearn.ensemble.HistGradientBoosting{kind}", grid, why)
    grid = {"n_estimators": [50, 100], "max_depth": [4, 8, 16]}
    return Model("forest", f"sklearn.ensemble.RandomForest{kind}", grid, "a good start that needs no tuning")


def format_model(model: Model) -> str:
    """Return the model's YAML."""
    grid = "\n".join(f"  {name}: {json.dumps(values)}" for name, values in model.grid.items())
    return f"""\
{schema_line("model")}
# A model of this project; the file's name is the option: model={model.option}. Copy it for another one.
estimator: # any class with scikit-learn's interface; by task, so that the target decides
  - classification: {model.estimator.replace("Regressor", "Classifier")}
  - regression: {model.estimator.replace("Classifier", "Regressor")}
params: # any parameter of the estimator, under its own name
  random_state: ${{seed}}
param_grid: # every combination is tried; a typed one replaces one: 'model.param_grid.{next(iter(model.grid))}=[80]'
{grid}
"""


def describe_task(survey: Survey, task: Task) -> str:
    """Return the target and what is predicted, in one line."""
    name = survey.target.name
    if task.kind == "regression":
        return f"{name}: a number from {survey.target.min():,} to {survey.target.max():,} ({task.reason})"
    counts = [f"{_show(label)} {count:,}" for label, count in task.counts.items()]
    more = f", and {len(counts) - _REPORTED} more" if len(counts) > _REPORTED else ""
    listed = ", ".join(counts[:_REPORTED]) + more
    positive = f"; positive: {_show(task.positive)} ({task.why_positive})" if task.kind == "binary" else ""
    return f"{name}: {task.reason} ({listed}){positive}"


def describe_search(task: Task) -> str:
    """Return the metric that chooses and the number of folds, in a few words."""
    metric = {"binary": "roc_auc", "multiclass": "roc_auc_ovr", "regression": "r2"}[task.kind]
    return f"every combination of the grid, {task.folds}-fold cross-validation, the best by {metric}"


def format_experiment(name: str, path: str, survey: Survey, task: Task, model: Model) -> str:
    """Return the YAML of the experiment ``name``; ``path`` is the table's, from the project's folder."""
    return "\n".join(
        [
            *_head(name, survey, task, model),
            *_data(path, survey, task, choose_split(survey, task)),
            *_preprocess(survey),
            *_search(task),
        ]
    )


def _head(name: str, survey: Survey, task: Task, model: Model) -> Iterator[str]:
    yield "# @package _global_"  # Hydra reads it in the first lines only
    yield schema_line("config")
    yield _comment(f"{survey.data.path.name}: {survey.reading.line}")
    yield _comment(
        "Written by `orchestrate init`; it is yours to change. dry_run=true prints the plan and changes nothing:"
    )
    yield _comment(f"orchestrate experiment={name} dry_run=true")
    yield "defaults:"
    yield f"  - override /data: {survey.data.format}"
    yield "  - override /preprocess: tabular # each column is encoded by its kind: numbers, dates, categories, many categories, text"
    yield f"  - override /model: {model.option} {_comment(f'conf/model/{model.option}.yaml: {model.why}')}"
    yield f"  - override /search: grid {_comment(describe_search(task))}; or halving, random"
    yield f"name: {name} # experiment, model and service are called after it"
    yield ""


def _data(path: str, survey: Survey, task: Task, split: SplitChoice) -> Iterator[str]:
    yield "data:"
    outside = path.startswith("..") or Path(path).is_absolute()
    where = "outside of the project: CI does not have it" if outside else "from the project's folder"
    where = "copied from there; credentials come from the environment" if is_url(path) else where
    yield f"  path: {_scalar(path)} # {where}"
    yield f"  target: {_scalar(survey.target.name)} {_comment(describe_task(survey, task))}"
    if task.typed:
        yield f"  task: {task.kind} # as you typed; the values alone would show another"
    if task.kind == "binary":
        yield f"  positive: {_scalar(task.positive)} {_comment(task.why_positive)}"
    for key, value in survey.keys.items():
        yield f"  {key}: {_scalar(value)} {_comment(survey.reasons[key])}"
    yield "  test_size: 0.2 # share of the rows that are held out for the evaluation"
    if split.keys:
        yield f"  split: {_comment(f'{split.why} are held out, and the folds follow; delete it for a random split')}"
        yield from (f"    {key}: {_scalar(value)}" for key, value in split.keys.items())
    yield from (f"  {_comment(note)}" for note in split.notes)
    dropped = split.dropped(survey)
    if (width := _limit_levels(survey.levels)[1]) > _DEFAULT_WIDTH:
        yield f"  max_one_hot: {width} # columns that one-hot encoding makes of this table"
    if not dropped:
        yield "  drop: [] # columns to leave out, such as identifiers; none was found"
        return
    yield "  drop: # columns to leave out, each with the reason; delete a line to learn from one"
    for column, why in dropped.items():
        yield f"    - {_scalar(column)} {_comment(why)}"


def _preprocess(survey: Survey) -> Iterator[str]:
    yield ""
    most, _ = _limit_levels(survey.levels)
    mark = "" if most else "# "
    yield f"{mark}preprocess:"
    yield "#   steps: # of your own, before the others; the class is in features.py"
    yield "#     clip:"
    yield "#       _target_: features.ClipOutliers"
    yield f"#       columns: [{_scalar(next(iter(survey.numeric), 'a_number'))}]"
    if most:
        yield "  branches:"
        yield "    categorical:"
        yield "      steps:"
        yield "        encode:"
        yield f"          max_categories: {most} # of each column; the rarer ones share a column, since there are many"


def _search(task: Task) -> Iterator[str]:
    if task.folds != _DEFAULT_FOLDS:
        few = "the rarest class has few rows" if task.counts else "there are few rows"
        yield from ("", "search:", f"  cv: {task.folds} # folds, since {few}")
    yield ""


def _limit_levels(levels: Mapping[str, int]) -> tuple[int, int]:
    """Return the most levels of a column, 0 for any number, and how many columns one-hot encoding makes of the table."""
    widths = [count + 1 for count in levels.values()]  # a missing value may count as a level
    if sum(widths) <= _WIDE:
        return 0, sum(widths)
    limited = [(most, sum(min(width, most) for width in widths)) for most in _MOST_LEVELS]
    return next((each for each in limited if each[1] <= _WIDE), limited[-1])


def _scalar(value: Any) -> str:
    """Return a value as YAML, with what looks like an interpolation escaped."""
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    escaped = _INTERPOLATION.sub(lambda found: rf"{found[1] * 2}\${{", value)
    text = json.dumps(escaped, ensure_ascii=False)
    text = "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)
    return value if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED else text


def _comment(text: str) -> str:
    return f"# {printable(text)}"


def printable(text: str) -> str:
    """Return a text in one line, with a blank for whatever no file of configuration may hold in a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _show(label: Any) -> str:
    return repr(label.item() if hasattr(label, "item") else label)
