"""The shared search against plain GridSearchCV, in one run: ``python benchmarks/search.py [--shapes article steps]``.

Each shape is searched by both in turn, each time in a process of its own (so that peak memory is that of one search),
``--rounds`` times; the median of the ratios of neighbouring runs is told, so that a slow moment of the machine hits both.
Every score is compared bit for bit on the way. Imports, data and the start of workers are not counted.

``--also`` adds, once each: ``kept``, ours with every fit kept on the way as a run does; ``autolog``, GridSearchCV inside
MLflow's autolog as in the article; ``halving``, scikit-learn's, and ``shared-halving``, ours (both look for the best by
another way, so their scores are compared with each other only); ``dask-ml``, its GridSearchCV (pip install dask-ml).

``--plot file.png`` draws time against the length of the grid along ``n_estimators``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
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

    from orchestrator.spec.components import locate

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


KINDS = {
    "plain": "sklearn.model_selection.GridSearchCV",
    "shared": "orchestrator.search.SharedGridSearchCV",
    "kept": "orchestrator.search.SharedGridSearchCV",
    "autolog": "sklearn.model_selection.GridSearchCV",
    "halving": "sklearn.model_selection.HalvingGridSearchCV",
    "shared-halving": "orchestrator.search.SharedHalvingGridSearchCV",
    "dask-ml": "dask_ml.model_selection.GridSearchCV",
}
PAIRED = ("plain", "shared")


def search_of(kind: str, search: Search, n_jobs: int, **changes: Any) -> Any:
    """The unfitted search of a kind."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # scikit-learn's way in

    from orchestrator.spec.components import locate

    estimator, grid, _, _, options = search
    options = {"n_jobs": n_jobs, **options}
    if "halving" in kind:
        metric = options.get("refit", options.get("scoring"))
        options |= {"scoring": metric, "refit": True, "random_state": 0, "return_train_score": False}
    if kind == "dask-ml" and n_jobs == 1:
        options["scheduler"] = "sync"
    return locate(KINDS[kind], "kind")(estimator, grid, **{**options, **changes})


@contextmanager
def surroundings(kind: str, search: Any) -> Iterator[None]:
    """What a kind is fitted inside of; made before the clock starts."""
    if kind not in {"autolog", "kept"}:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        if kind == "kept":
            search.checkpoint_folder = Path(folder)
        else:
            import mlflow

            logging.disable(logging.CRITICAL)
            mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
            mlflow.create_experiment("search", artifact_location=f"{folder}/artifacts")
            mlflow.set_experiment("search")
            mlflow.sklearn.autolog(max_tuning_runs=None)
        yield


def measure(shape: str, kind: str, n_jobs: int) -> dict[str, Any]:
    """One search, in this process: seconds, peak memory in MB, fits, and a digest of every score."""
    import numpy as np
    import psutil

    made = SHAPES[shape]()
    _, grid, X, y, _ = made
    warnings.simplefilter("ignore")
    some = slice(0, 200)
    first = {name: values[:1] for name, values in grid.items()}
    search_of(kind, (made[0], first, X, y, made[4]), n_jobs, cv=4, refit=False).fit(X[some], y[some])
    search = search_of(kind, made, n_jobs)
    with surroundings(kind, search):
        clocks = time.perf_counter(), time.process_time()
        search.fit(X, y)
        seconds, cpu = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
    process = psutil.Process()
    peak = sum(_peak(each) for each in (process, *process.children(recursive=True)))
    digest = hashlib.sha256()
    for name, values in sorted(search.cv_results_.items()):
        if "_test_" in name:
            digest.update(np.asarray(values, dtype=float).tobytes())
    fits = len(search.cv_results_["params"]) * search.n_splits_
    done = getattr(search, "_work", (fits, fits))[1]
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


def compare(shape: str, n_jobs: int, rounds: int, also: list[str]) -> bool:
    """Print how plain and shared compare, and then the others; whether all is as it should be."""
    pairs = [tuple(run(shape, kind, n_jobs) for kind in PAIRED) for _ in range(rounds)]
    plain, shared = pairs[0]
    equal = all(one["scores"] == plain["scores"] for pair in pairs for one in pair)
    times = statistics.median(theirs["seconds"] / ours["seconds"] for theirs, ours in pairs)
    cpu = statistics.median(theirs["cpu"] / ours["cpu"] for theirs, ours in pairs)
    memory = statistics.median(ours["peak"] / theirs["peak"] for theirs, ours in pairs)
    seconds = statistics.median(one["seconds"] for one, _ in pairs)
    least = LEAST.get(shape, 0.95)
    print(
        f"{shape:<11} n_jobs={n_jobs}  plain {seconds:7.2f} s"
        f"  shared {statistics.median(one['seconds'] for _, one in pairs):7.2f} s"
        f"  {times:5.2f} x as fast (should be {least:.2f}; {cpu:.2f} x by CPU time of this process)"
        f"  memory x {memory:.2f} (should be 1.20)  fits {shared['done']}/{shared['asked']}"
        f"  {'equal' if equal else 'DIFFERENT'}",
        flush=True,
    )
    others = {kind: run(shape, kind, n_jobs) for kind in also}
    for kind, found in others.items():
        reference = others.get("halving", found) if "halving" in kind else plain
        alike = found["scores"] == reference["scores"]
        equal &= alike or kind == "dask-ml"  # which does not promise it
        print(
            f"{'':<11} {kind:>15} {found['seconds']:7.2f} s  {seconds / found['seconds']:5.2f} x as fast as plain"
            f"  memory x {found['peak'] / plain['peak']:.2f}  fits {found['done']}/{found['asked']}"
            f"  {'equal' if alike else 'DIFFERENT'}",
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
    shapes = [name for name in SHAPES if not name.startswith("plot")]
    usual = [name for name in shapes if name != "large"]
    parser.add_argument("--shapes", nargs="+", choices=shapes, default=usual, help="all but large, which takes minutes")
    parser.add_argument("--n-jobs", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--also", nargs="+", choices=[kind for kind in KINDS if kind not in PAIRED], default=[])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        shape, kind = options.one
        print(json.dumps(measure(shape, kind, options.n_jobs[0])))
        return 0
    also = list(options.also)
    if "dask-ml" in also and find_spec("dask_ml") is None:
        also.remove("dask-ml")
        print("dask-ml is not installed, so it is left out: pip install dask-ml")
    good = [compare(shape, n_jobs, options.rounds, also) for n_jobs in options.n_jobs for shape in options.shapes]
    if options.plot:
        plot(options.plot, options.n_jobs[0])
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
