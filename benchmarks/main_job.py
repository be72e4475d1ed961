"""The main job against the article's training cell, in one run: ``python benchmarks/main_job.py [--rounds 3]``.

Measured in turn, each round on its own state, so that a slow moment of the machine affects all alike:

* article: the article's training cell alone (GridSearchCV inside ``mlflow.sklearn.autolog(max_tuning_runs=None)``,
  sqlite store, same data and grid), without imports and the creation of the store.
* plain: the same GridSearchCV without MLflow.
* cold: all of ``python run.py`` as a new process without state, including deployment and endpoint test.
* again: all of a second, unchanged ``python run.py``.
* tracking: the work of the tracker for the article's grid (open the run, write 9 children, metrics, figures and
  the package, register, close) in an existing store, without its import.
* tracked: the train stage of the cold run, as it reports itself, plus ``tracking``.

It prints the medians and their ratios.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOUNDS = (
    ("cold", "article", 1),
    ("again", "cold", 1 / 4),
    ("tracking", "plain", 1 / 3),
    ("tracked", "article", 1 / 10),
)

ARTICLE = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
import mlflow, pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from score.transforms import ToFloat, ZerosToMissing
data, store = sys.argv[1:]
df = pd.read_csv(data); y = df.pop("Outcome")
X_train, X_test, y_train, y_test = train_test_split(df, y, test_size=0.2, random_state=0, stratify=y)
zeros = ["Glucose", "BloodPressure", "SkinThickness", "Insulin", "BMI"]
steps = [("change_type", ToFloat()), ("replace_zeros", ZerosToMissing(zeros)), ("fillna", SimpleImputer()),
         ("clf", RandomForestClassifier(random_state=0))]
grid = {"clf__n_estimators": [10, 20, 30], "clf__max_depth": [2, 7, 10]}
def search():
    return GridSearchCV(Pipeline(steps), param_grid=grid, refit="roc_auc",
                        scoring=["roc_auc", "precision", "recall", "f1", "accuracy"])
started = time.perf_counter(); search().fit(X_train, y_train); plain = time.perf_counter() - started
mlflow.set_tracking_uri(store)
mlflow.create_experiment("diabetes-sklearn", artifact_location=store.removeprefix("sqlite:///") + "-artifacts")
mlflow.set_experiment("diabetes-sklearn")
started = time.perf_counter()
mlflow.sklearn.autolog(max_tuning_runs=None)
search().fit(X_train, y_train)
print(json.dumps({"plain": plain, "article": time.perf_counter() - started}))
"""

TRACKING = """
import json, logging, sys, time
from pathlib import Path
logging.disable(logging.CRITICAL)
import mlflow, mlflow.models, mlflow.pyfunc
from orchestrator.caching.cache import Cache
from orchestrator.events import RunFinished, RunStarted, StepFinished, StepPlan
from orchestrator.tracking.mlflow.tracker import Mlflow
state, store = map(Path, sys.argv[1:])
def kept(stage):
    cache = Cache(state / "cache")
    (entry,) = (state / "cache" / stage).iterdir()
    return cache.load(cache.find(stage, entry.name))
package, proof, report = kept("package"), kept("verify"), kept("report")
def tracker(name):
    return Mlflow(f"sqlite:///{store}/mlflow.db", name, store)
first = tracker("warm-up"); first.register(package, proof, report); first(RunFinished(0.0))
(store / "tracking").rename(store / "tracking-of-the-warm-up")
package = type(package)(package.path, package.fingerprint, "another_model")
measured = tracker("measured")
step = StepPlan("report", (), "Report")
started = time.perf_counter()
measured(RunStarted((step,)))
measured(StepFinished(step, 0.0, report))
version = measured.register(package, proof, report)
measured.promote(version)
measured(RunFinished(0.0))
print(json.dumps({"tracking": time.perf_counter() - started}))
"""


def script(source: str, *arguments: str) -> dict[str, float]:
    """Run a script in a process of its own; return the timings that it prints."""
    command = [sys.executable, "-c", source, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    timings: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return timings


def command(*overrides: str) -> float:
    """Return the seconds of ``python run.py`` as a process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "run.py", *overrides], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def one_round(folder: Path) -> dict[str, float]:
    """Measure everything once, with state in ``folder``."""
    timings = script(ARTICLE, str(ROOT / "data" / "diabetes.csv"), f"sqlite:///{folder}/article.db")
    overrides = [f"state_dir={folder}/state", f"deploy.port={free_port()}", f"hydra.run.dir={folder}/run"]
    try:
        timings["cold"] = command(*overrides)
        stages = json.loads((folder / "run" / "result.json").read_text())["stages"]
        timings["again"] = command(*overrides)
    finally:
        command(*overrides, "stages=remove")
    (folder / "store").mkdir()
    timings |= script(TRACKING, f"{folder}/state", f"{folder}/store")
    (train,) = (stage["seconds"] for stage in stages if stage["name"] == "train")
    timings["tracked"] = train + timings["tracking"]
    return timings


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = []
    for _ in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(one_round(Path(folder)))
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    for name, seconds in medians.items():
        print(f"{name:<10}{seconds:7.2f} s  (each: {', '.join(f'{one[name]:.2f}' for one in rounds)})")
    for over, under, bound in BOUNDS:
        print(f"{over} / {under} = {medians[over] / medians[under]:.2f} (should be at most {bound:.2f})")


if __name__ == "__main__":
    main()
