"""How often the interval of a hold-out metric has the true value: ``python benchmarks/coverage.py [--simulations 1000]``.

Each simulation draws a table of five times as many rows as are held out, holds a fifth of them out as the pipeline does,
with the classes' shares of the table, and asks for each metric's interval. The model is fixed, so the true values are
those on a million rows. Beside that: whole groups of ten rows that share an error, and squared errors with a heavy tail,
where no interval from few rows can know the tail.

Prints a table in Markdown, which docs/explanation/intervals.md shows; a row that is more than two points off ends with "!".
``--out`` keeps the counts, so that a run may be split: ``--rows 100``, ``--task binary``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SIZES = (100, 500, 5000)
POPULATION, PARTS = 1_000_000, 10
PREVALENCE = 0.35
OFF = 0.02


@dataclass
class Fixed:
    """A fitted model whose predictions are columns of the table: ``p0`` ... are probabilities, else ``p`` a number."""

    classes: int

    def __post_init__(self) -> None:
        """Set what scikit-learn asks of a fitted estimator."""
        import numpy as np

        self.classes_ = np.arange(self.classes)

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

        kind: Any = ClassifierMixin if self.classes else RegressorMixin
        return type("Kind", (kind, BaseEstimator), {})().__sklearn_tags__()

    def fit(self) -> None:
        """It is fitted."""

    def predict(self, X: pd.DataFrame) -> Any:
        """Return the most probable class, or the number."""
        return self.predict_proba(X).argmax(axis=1) if self.classes else X["p"].to_numpy()

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Return the probabilities."""
        return X.filter(regex=r"^p\d").to_numpy()


def binary(rng: np.random.Generator, rows: int) -> tuple[dict[str, Any], Any]:
    """Return an overconfident model of AUC 0.84."""
    import numpy as np

    y = (rng.random(rows) < PREVALENCE).astype(int)
    score = rng.normal(size=rows) + 1.4 * y
    p = 1 / (1 + np.exp(-1.3 * (1.4 * score - 0.98 + np.log(PREVALENCE / (1 - PREVALENCE)))))
    return {"p0": 1 - p, "p1": p}, y


def separated(rng: np.random.Generator, rows: int) -> tuple[dict[str, Any], Any]:
    """Return a model of AUC 0.98, and a tenth of the rows positive."""
    import numpy as np

    y = (rng.random(rows) < 0.1).astype(int)
    p = 1 / (1 + np.exp(-(2.9 * (rng.normal(size=rows) + 2.9 * y) - 4.2 - 2.2)))
    return {"p0": 1 - p, "p1": p}, y


def grouped(rng: np.random.Generator, rows: int) -> tuple[dict[str, Any], Any]:
    """Return groups of ten rows whose scores share an error."""
    import numpy as np

    y = (rng.random(rows) < PREVALENCE).astype(int)
    shared = np.repeat(rng.normal(size=rows // 10), 10)
    p = 1 / (1 + np.exp(-(1.4 * (shared + rng.normal(size=rows) * 0.5 + 1.4 * y) - 1.6)))
    return {"p0": 1 - p, "p1": p}, y


def multiclass(rng: np.random.Generator, rows: int) -> tuple[dict[str, Any], Any]:
    """Return three classes of unequal size."""
    import numpy as np

    y = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    scores = rng.normal(size=(rows, 3))
    scores[np.arange(rows), y] += 1.5
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return {f"p{code}": p[:, code] for code in range(3)}, y


def regression(rng: np.random.Generator, rows: int) -> tuple[dict[str, Any], Any]:
    """Return normal errors that grow with the target, so that squared ones are skewed; the target is positive."""
    import numpy as np

    truth = 10 + 2 * rng.normal(size=rows)
    y = np.maximum(truth + rng.normal(size=rows) * (0.5 + 0.1 * np.abs(truth - 10)) * 1.5, 0.5)
    return {"p": 1 + 0.9 * truth}, y


def heavy(rng: np.random.Generator, rows: int) -> tuple[dict[str, Any], Any]:
    """Return errors of a lognormal target, a few of which decide the mean square."""
    import numpy as np

    truth = 2 + 0.4 * rng.normal(size=rows)
    return {"p": np.exp(0.9 * truth + 0.2)}, np.exp(truth + 0.3 * rng.normal(size=rows))


def cost(y: Any, predicted: Any) -> float:
    """Return a metric of one's own: a missed positive row costs five false alarms."""
    return float(-((y > predicted) * 5.0 + (y < predicted)).mean())


Drawn = Callable[["np.random.Generator", int], tuple[dict[str, Any], Any]]
TASKS: Mapping[str, tuple[Drawn, int, tuple[str, ...]]] = {
    "binary": (
        binary,
        2,
        (
            *("accuracy", "precision", "recall", "f1", "jaccard", "balanced_accuracy", "roc_auc"),
            *("average_precision", "neg_log_loss", "neg_brier_score", "f1_macro", "matthews_corrcoef"),
        ),
    ),
    "separated": (separated, 2, ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "roc_auc")),
    "grouped": (grouped, 2, ("accuracy", "f1", "roc_auc", "neg_log_loss")),
    "multiclass": (
        multiclass,
        3,
        ("accuracy", "recall_macro", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"),
    ),
    "regression": (
        regression,
        0,
        (
            *("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error", "neg_mean_squared_error"),
            *("neg_mean_absolute_percentage_error", "explained_variance"),
        ),
    ),
    "own metric": (binary, 2, ("cost",)),
    "heavy tail": (heavy, 0, ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error")),
}


def scorer(name: str) -> Any:
    """Return scikit-learn's scorer, or that of the metric of one's own."""
    from sklearn.metrics import get_scorer, make_scorer

    return make_scorer(cost) if name == "cost" else get_scorer(name)


def value_of(name: str, responses: Any) -> float:
    """Return the metric of all rows, without scikit-learn's checks of its input, which would take most of the time."""
    import numpy as np

    from orchestrator.uncertainty.studentised import ratio_of
    from orchestrator.uncertainty.weighted_metrics import form_of

    if name == "cost":
        return cost(responses.y, responses.predicted)
    ones = np.ones(len(responses.y))
    if ratio := ratio_of(name, responses, ones):
        return float(ratio.metric(np.log(ratio.above.sum() / ratio.below.sum())))
    name = "balanced_accuracy" if name == "recall_macro" else name
    form = form_of(name, responses)
    assert form is not None
    return float(form(responses, ones[None])[0])


def frame(columns: Mapping[str, Any], y: Any) -> tuple[pd.DataFrame, pd.Series]:
    """Return the table and its target."""
    import pandas as pd

    return pd.DataFrame(columns), pd.Series(y)


def answers(classes: int, columns: Mapping[str, Any], y: Any) -> Any:
    """Return the targets with the model's predictions."""
    import numpy as np

    from orchestrator.uncertainty.weighted_metrics import Responses

    if not classes:
        return Responses(y, columns["p"])
    p = np.column_stack([columns[f"p{code}"] for code in range(classes)])
    return Responses(y, p.argmax(axis=1), p, p[:, 1] if classes == 2 else None)


def true_values(task: str) -> dict[str, float]:
    """Return the metrics of the whole population, as means over parts of it."""
    import numpy as np

    draw, classes, names = TASKS[task]
    rng, sums = np.random.default_rng(2), dict.fromkeys(names, 0.0)
    for _ in range(PARTS):
        responses = answers(classes, *draw(rng, POPULATION // PARTS))
        for name in names:
            sums[name] += value_of(name, responses) / PARTS
    return sums


def held_out(task: str, rows: int, rng: np.random.Generator) -> tuple[dict[str, Any], Any, Any]:
    """Return columns and target of a fifth of a table that are held out with the shares of its classes, and the design."""
    import numpy as np

    from orchestrator.uncertainty.design import HoldOutDesign

    draw, classes, _ = TASKS[task]
    if task == "grouped" or not classes:
        groups = np.arange(rows) // 10 if task == "grouped" else None
        return *draw(rng, rows), HoldOutDesign(groups=groups)
    columns, y = draw(rng, 5 * rows)
    members = [np.flatnonzero(y == code) for code in range(classes)]
    test = np.concatenate([part[: round(len(part) / 5)] for part in members])
    return {name: column[test] for name, column in columns.items()}, y[test], HoldOutDesign(stratified=True)


def simulate(task: str, rows: int, simulations: int) -> dict[str, dict[str, Any]]:
    """Return for each metric how many intervals had the true value, were below or above it, or could not be given."""
    import numpy as np

    from orchestrator.uncertainty.intervals import HeldOutRows

    _, classes, names = TASKS[task]
    truth, model, rng = true_values(task), Fixed(classes), np.random.default_rng(rows)
    found: dict[str, dict[str, Any]] = {
        name: {"covered": 0, "too low": 0, "too high": 0, "none": 0, "width": 0.0, "methods": []} for name in names
    }
    for simulation in range(simulations):
        columns, target, design = held_out(task, rows, rng)
        X, y = frame(columns, target)
        responses = answers(classes, columns, target)
        part = HeldOutRows(model, X, y, design, simulation, classified=bool(classes))
        for name, counts in found.items():
            interval = part.interval(name, scorer(name), value_of(name, responses), known=name != "cost")
            if interval is None:
                counts["none"] += 1
                continue
            counts["methods"] = sorted({*counts["methods"], interval.method})
            counts["width"] += interval.high - interval.low
            where = (
                "too low" if interval.high < truth[name] else "too high" if interval.low > truth[name] else "covered"
            )
            counts[where] += 1
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--task", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument("--out", type=Path, help="a file of results, which are added to")
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    for task in options.task:
        for rows in options.rows:
            results[f"{task}, {rows}"] = simulate(task, rows, options.simulations)
            if options.out:
                options.out.write_text(json.dumps(results, indent=1))
    print("| rows of | metric | method | " + " | ".join(f"{size:,}" for size in SIZES) + " |")
    print("|---" * (3 + len(SIZES)) + "|")
    for task, (_, _, names) in TASKS.items():
        for name in names:
            cells, methods = [], set()
            for size in SIZES:
                counts = results.get(f"{task}, {size}", {}).get(name)
                cells.append(cell(counts) if counts else "")
                methods |= {*(counts or {}).get("methods", ())}
            if any(cells):
                print(f"| {task} | {name} | {', '.join(sorted(methods))} | {' | '.join(cells)} |")


def cell(counts: Mapping[str, Any]) -> str:
    """Return the coverage in per cent, with "!" where it is off, and how many intervals could not be given."""
    given = counts["covered"] + counts["too low"] + counts["too high"]
    share = counts["covered"] / given if given else 0.0
    none = f" ({counts['none']} none)" if counts["none"] else ""
    return f"{100 * share:.1f}{'!' if abs(share - 0.95) > OFF else ''}{none}"


if __name__ == "__main__":
    main()
