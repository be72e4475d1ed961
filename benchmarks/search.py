"""The shared search against plain GridSearchCV, in one run: ``python benchmarks/search.py [--shapes article steps]``.

Each shape is searched by both in turn, each time in a process of its own (so that peak memory is that of one search),
``--rounds`` times; the median of the ratios of neighbouring runs is told, so that a slow moment of the machine hits both.
Every score is compared bit for bit on the way. Imports, data and the start of workers are not counted.

``--plot file.png`` draws time against the length of the grid along ``n_estimators``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
METRICS = ["roc_auc", "precision", "recall", "f1", "accuracy"]
LEAST = {"article": 3.0, "steps": 4.0}  # times as fast as plain; all others: not slower by more than 5 %
Search = tuple[Any, dict[str, Any], Any, Any, dict[str, Any]]  # estimator, grid, X, y, options


def pima(last: Any, grid: dict[str, Any], **options: Any) -> Search:
    """The article's data and preprocessing before some model."""
    import pandas as pd
    import yaml
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import Pipeline

    from orchestrator.config.locate import locate

    table = pd.read_csv(ROOT / "data" / "diabetes.csv")
    y = table.pop("Outcome")
    X, _, y, _ = train_test_split(table, y, test_size=0.2, random_state=0, stratify=y)
    steps = yaml.safe_load((ROOT / "conf" / "preprocess" / "pima.yaml").read_text())["steps"]
    before = [(name, locate(step.pop("_target_"), name)(**step)) for name, step in steps.items()]
    grid = {f"model__{name}": values for name, values in grid.items()}
    return (
        Pipeline([*before, ("model", last)]),
        grid,
        X,
        y,
        {"scoring": METRICS, "refit": "roc_auc", "cv": 5, **options},
    )


def forest(sizes: list[int], depths: list[int]) -> Search:
    """The article's model."""
    from sklearn.ensemble import RandomForestClassifier

    return pima(RandomForestClassifier(random_state=0), {"n_estimators": sizes, "max_depth": depths})


def boosting() -> Search:
    """Gradient boosting over rounds and depth."""
    from sklearn.ensemble import GradientBoostingClassifier

    grid = {"n_estimators": [25, 50, 100, 200], "max_depth": [2, 3]}
    return pima(GradientBoostingClassifier(random_state=0), grid)


def histograms() -> Search:
    """Histogram gradient boosting over rounds."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    grid = {"max_iter": [25, 50, 100], "max_leaf_nodes": [7, 31]}
    return pima(HistGradientBoostingClassifier(random_state=0), grid)


def neighbours() -> Search:
    """Nearest neighbours over k and weights, on numbers."""
    from sklearn.datasets import make_classification
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = make_classification(6000, 8, random_state=0)
    grid = {
        "kneighborsclassifier__n_neighbors": [1, 5, 11, 21, 41],
        "kneighborsclassifier__weights": ["uniform", "distance"],
    }
    return (
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
        grid,
        X,
        y,
        {"scoring": METRICS, "refit": "f1", "cv": 5},
    )


def thousand() -> Search:
    """A thousand candidates on little data."""
    import numpy as np
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = make_classification(200, 6, random_state=0)
    grid = {
        "logisticregression__C": np.logspace(-3, 3, 250).tolist(),
        "logisticregression__tol": [1e-4, 1e-3, 1e-2, 1e-1],
    }
    return make_pipeline(StandardScaler(), LogisticRegression()), grid, X, y, {"cv": 3, "scoring": "roc_auc"}


def nothing() -> Search:
    """A search in which nothing can be shared."""
    from sklearn.datasets import make_classification
    from sklearn.tree import DecisionTreeClassifier

    X, y = make_classification(500, 10, random_state=0)
    grid = {"max_depth": [*range(1, 21)], "min_samples_leaf": [*range(1, 6)]}
    return DecisionTreeClassifier(random_state=0), grid, X, y, {"cv": 5}


def large() -> Search:
    """100,000 rows of 30 columns with a preprocessing that costs; slow, so only when asked for."""
    from sklearn.datasets import make_classification
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, SplineTransformer

    X, y = make_classification(100_000, 30, n_informative=10, random_state=0)
    steps = make_pipeline(QuantileTransformer(random_state=0), SplineTransformer(4), RidgeClassifier())
    return steps, {"ridgeclassifier__alpha": [0.01, 0.1, 1.0, 10.0, 100.0]}, X, y, {"cv": 3, "scoring": "roc_auc"}


SHAPES: dict[str, Callable[[], Search]] = {
    "article": partial(forest, [10, 20, 30], [2, 7, 10]),
    "steps": partial(forest, [*range(50, 501, 50)], [7]),
    "boosting": boosting,
    "histograms": histograms,
    "neighbours": neighbours,
    "thousand": thousand,
    "nothing": nothing,
    "large": large,
    **{f"plot{longest}": partial(forest, [*range(50, longest + 1, 50)], [7]) for longest in range(50, 501, 50)},
}


def measure(shape: str, kind: str, n_jobs: int) -> dict[str, Any]:
    """One search, in this process: seconds, peak memory in MB, fits, and a digest of every score."""
    import numpy as np
    import psutil
    from sklearn.model_selection import GridSearchCV

    from orchestrator.search import SharedGridSearchCV

    estimator, grid, X, y, options = SHAPES[shape]()
    searches = SharedGridSearchCV if kind == "shared" else GridSearchCV
    search = searches(estimator, grid, n_jobs=n_jobs, **options)
    warnings.simplefilter("ignore")
    some = slice(0, 200)
    warm_up = {**options, "cv": 4, "refit": False}
    searches(estimator, {name: values[:1] for name, values in grid.items()}, n_jobs=n_jobs, **warm_up).fit(
        X[some], y[some]
    )
    clocks = time.perf_counter(), time.process_time()
    search.fit(X, y)
    seconds, cpu = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
    process = psutil.Process()
    peak = sum(_peak(each) for each in (process, *process.children(recursive=True)))
    digest = hashlib.sha256()
    for name, values in sorted(search.cv_results_.items()):
        if "_test_" in name:
            digest.update(np.ascontiguousarray(values).tobytes())
    fits = len(search.cv_results_["params"]) * search.n_splits_
    done = search.work_.done if kind == "shared" else fits
    digest.update(str(search.best_params_).encode())
    return {"seconds": seconds, "cpu": cpu, "peak": peak, "asked": fits, "done": done, "scores": digest.hexdigest()}


def _peak(process: Any) -> float:
    """The most memory that a process ever had, in MB, where the system tells; else what it has."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return float(process.memory_info().rss) / 2**20


def run(shape: str, kind: str, n_jobs: int) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", shape, kind, "--n-jobs", str(n_jobs)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(shape: str, n_jobs: int, rounds: int) -> bool:
    """Print how the two compare; whether all is as it should be."""
    pairs = [(run(shape, "plain", n_jobs), run(shape, "shared", n_jobs)) for _ in range(rounds)]
    plain, shared = pairs[0]
    equal = all(one["scores"] == plain["scores"] for pair in pairs for one in pair)
    times = statistics.median(theirs["seconds"] / ours["seconds"] for theirs, ours in pairs)
    cpu = statistics.median(theirs["cpu"] / ours["cpu"] for theirs, ours in pairs)
    memory = statistics.median(ours["peak"] / theirs["peak"] for theirs, ours in pairs)
    least = LEAST.get(shape, 0.95)
    print(
        f"{shape:<11} n_jobs={n_jobs}  plain {statistics.median(one['seconds'] for one, _ in pairs):7.2f} s"
        f"  shared {statistics.median(one['seconds'] for _, one in pairs):7.2f} s"
        f"  {times:5.2f} x as fast (should be {least:.2f}; {cpu:.2f} x by CPU time of this process)"
        f"  memory x {memory:.2f} (should be 1.20)  fits {shared['done']}/{shared['asked']}"
        f"  {'equal' if equal else 'DIFFERENT'}",
        flush=True,
    )
    return equal and times >= least and memory <= 1.2


def plot(file: Path, n_jobs: int) -> None:
    """Draw time against the length of the grid along n_estimators."""
    from matplotlib.figure import Figure

    sizes = [*range(50, 501, 50)]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="n_estimators from 50 in steps of 50 up to",
        ylabel="seconds",
        title="The cost of a grid along n_estimators",
    )
    for kind in ("plain", "shared"):
        axes.plot(sizes, [run(f"plot{size}", kind, n_jobs)["seconds"] for size in sizes], marker="o", label=kind)
    axes.legend()
    figure.savefig(file, dpi=120)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [name for name in SHAPES if name != "large" and not name.startswith("plot")]
    parser.add_argument("--shapes", nargs="+", choices=[*usual, "large"], default=usual)
    parser.add_argument("--large", action="store_true", help="also 100,000 rows: takes minutes")
    parser.add_argument("--n-jobs", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        shape, kind = options.one
        print(json.dumps(measure(shape, kind, options.n_jobs[0])))
        return 0
    shapes = [*options.shapes, *(["large"] if options.large else [])]
    good = [compare(shape, n_jobs, options.rounds) for n_jobs in options.n_jobs for shape in shapes]
    if options.plot:
        plot(options.plot, options.n_jobs[0])
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
