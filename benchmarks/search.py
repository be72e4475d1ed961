"""SharedGridSearchCV against plain GridSearchCV: ``python benchmarks/search.py [--shapes article steps]``.

Both search each shape in turn, each time in a process of its own (so that peak memory is that of one search), ``--rounds``
times. It prints the median ratio of neighbouring runs, so that a slow moment of the machine affects both, and compares
every score bit for bit. Imports, data and the start of workers are excluded.

``--also`` adds, once each: ``kept``, the shared search with the checkpoints of a run; ``autolog``, GridSearchCV inside
MLflow's autolog as in the article; ``halving`` and ``shared-halving``, whose scores are compared with each other only;
``dask-ml``, its GridSearchCV (pip install dask-ml).

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
SPEEDUPS = {"article": 3.0, "steps": 4.0}  # required speed-up over plain; 0.95 for all others
Search = tuple[Any, dict[str, Any], Any, Any, dict[str, Any]]  # estimator, grid, X, y, options


def pima(last: Any, grid: dict[str, Any], **options: Any) -> Search:
    """Search for ``last`` behind the article's data and preprocessing."""
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
    options = {"scoring": METRICS, "refit": "roc_auc", "cv": 5, **options}
    return Pipeline([*before, ("model", last)]), grid, X, y, options


def trees(name: str, **grid: Any) -> Search:
    """Search one of scikit-learn's tree ensembles on the article's data."""
    from sklearn import ensemble

    return pima(getattr(ensemble, name)(random_state=0), grid)


forests = partial(trees, "RandomForestClassifier")


def neighbours() -> Search:
    """Search nearest neighbours over k and weights."""
    from sklearn.datasets import make_classification
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = make_classification(6000, 8, random_state=0)
    model = "kneighborsclassifier"
    grid = {f"{model}__n_neighbors": [1, 5, 11, 21, 41], f"{model}__weights": ["uniform", "distance"]}
    options = {"scoring": METRICS, "refit": "f1", "cv": 5}
    return make_pipeline(StandardScaler(), KNeighborsClassifier()), grid, X, y, options


def thousand() -> Search:
    """Search a thousand candidates on little data."""
    import numpy as np
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = make_classification(200, 6, random_state=0)
    model = "logisticregression"
    grid = {f"{model}__C": np.logspace(-3, 3, 250).tolist(), f"{model}__tol": [1e-4, 1e-3, 1e-2, 1e-1]}
    return make_pipeline(StandardScaler(), LogisticRegression()), grid, X, y, {"cv": 3, "scoring": "roc_auc"}


def nothing() -> Search:
    """Search where nothing can be shared."""
    from sklearn.datasets import make_classification
    from sklearn.tree import DecisionTreeClassifier

    X, y = make_classification(500, 10, random_state=0)
    grid = {"max_depth": [*range(1, 21)], "min_samples_leaf": [*range(1, 6)]}
    return DecisionTreeClassifier(random_state=0), grid, X, y, {"cv": 5}


def large() -> Search:
    """Search 100,000 rows of 30 columns with expensive preprocessing; slow, so only on request."""
    from sklearn.datasets import make_classification
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, SplineTransformer

    X, y = make_classification(100_000, 30, n_informative=10, random_state=0)
    steps = make_pipeline(QuantileTransformer(random_state=0), SplineTransformer(4), RidgeClassifier())
    return steps, {"ridgeclassifier__alpha": [0.01, 0.1, 1.0, 10.0, 100.0]}, X, y, {"cv": 3, "scoring": "roc_auc"}


SHAPES: dict[str, Callable[[], Search]] = {
    "article": partial(forests, n_estimators=[10, 20, 30], max_depth=[2, 7, 10]),
    "steps": partial(forests, n_estimators=[*range(50, 501, 50)], max_depth=[7]),
    "boosting": partial(trees, "GradientBoostingClassifier", n_estimators=[25, 50, 100, 200], max_depth=[2, 3]),
    "histograms": partial(trees, "HistGradientBoostingClassifier", max_iter=[25, 50, 100], max_leaf_nodes=[7, 31]),
    "neighbours": neighbours,
    "thousand": thousand,
    "nothing": nothing,
    "large": large,
    **{
        f"plot{longest}": partial(forests, n_estimators=[*range(50, longest + 1, 50)], max_depth=[7])
        for longest in range(50, 501, 50)
    },
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
    """Return the unfitted search of a kind."""
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
def fit_context(kind: str, search: Any) -> Iterator[None]:
    """Set up what a kind needs around its fit, before the clock starts."""
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
    """Search in this process; return seconds, peak memory in MB, fits, and a digest of all scores."""
    import numpy as np
    import psutil

    case = SHAPES[shape]()
    _, grid, X, y, _ = case
    warnings.simplefilter("ignore")
    some = slice(0, 200)
    first = {name: values[:1] for name, values in grid.items()}
    search_of(kind, (case[0], first, X, y, case[4]), n_jobs, cv=4, refit=False).fit(X[some], y[some])
    search = search_of(kind, case, n_jobs)
    with fit_context(kind, search):
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
    """Return the peak memory of a process in MB where the system reports it, else the current one."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return float(process.memory_info().rss) / 2**20


def run(shape: str, kind: str, n_jobs: int) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", shape, kind, "--n-jobs", str(n_jobs)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(shape: str, n_jobs: int, rounds: int, also: list[str]) -> bool:
    """Compare plain and shared, then print the others; return whether the bounds hold."""
    pairs = [tuple(run(shape, kind, n_jobs) for kind in PAIRED) for _ in range(rounds)]
    plain, shared = pairs[0]
    equal = all(one["scores"] == plain["scores"] for pair in pairs for one in pair)
    times = statistics.median(plain_run["seconds"] / shared_run["seconds"] for plain_run, shared_run in pairs)
    cpu = statistics.median(plain_run["cpu"] / shared_run["cpu"] for plain_run, shared_run in pairs)
    memory = statistics.median(shared_run["peak"] / plain_run["peak"] for plain_run, shared_run in pairs)
    seconds = statistics.median(one["seconds"] for one, _ in pairs)
    required = SPEEDUPS.get(shape, 0.95)
    print(
        f"{shape:<11} n_jobs={n_jobs}  plain {seconds:7.2f} s"
        f"  shared {statistics.median(one['seconds'] for _, one in pairs):7.2f} s"
        f"  {times:5.2f} x as fast (should be {required:.2f}; {cpu:.2f} x by CPU time of this process)"
        f"  memory x {memory:.2f} (should be 1.20)  fits {shared['done']}/{shared['asked']}"
        f"  {'equal' if equal else 'DIFFERENT'}",
        flush=True,
    )
    others = {kind: run(shape, kind, n_jobs) for kind in also}
    for kind, result in others.items():
        reference = others.get("halving", result) if "halving" in kind else plain
        same_scores = result["scores"] == reference["scores"]
        equal &= same_scores or kind == "dask-ml"  # which does not promise it
        print(
            f"{'':<11} {kind:>15} {result['seconds']:7.2f} s  {seconds / result['seconds']:5.2f} x as fast as plain"
            f"  memory x {result['peak'] / plain['peak']:.2f}  fits {result['done']}/{result['asked']}"
            f"  {'equal' if same_scores else 'DIFFERENT'}",
            flush=True,
        )
    return equal and times >= required and memory <= 1.2


def plot(file: Path, n_jobs: int) -> None:
    """Draw time against the length of the grid along n_estimators."""
    from matplotlib.figure import Figure

    sizes = [*range(50, 501, 50)]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="n_estimators: 50, 100, ... up to", ylabel="seconds")
    axes.set_title("The cost of a grid along n_estimators")
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
