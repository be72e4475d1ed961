"""Time of ONNX Runtime's trees against QuickScorer's leaf lookup, the basis of the choice in ``orchestrator.packaging.onnx.quickscorer``.

Run it with ``python -m benchmarks.forests``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from orchestrator.packaging.onnx import quickscorer
from orchestrator.packaging.onnx.compile import convert_pipeline
from score.models.onnx import OnnxGraph

ROWS = 2500  # per batch of the server
ROUNDS = 15
SHAPES = [  # columns, training rows, model
    (8, 768, "forest of 30 trees, depth 7"),
    (8, 768, "forest of 100 trees"),
    (8, 768, "forest of 500 trees, depth 7"),
    (8, 10000, "forest of 100 trees"),
    (30, 569, "forest of 100 trees"),
    (30, 10000, "forest of 100 trees, depth 10"),
    (100, 5000, "forest of 100 trees, depth 7"),
    (8, 768, "boosting of 100 trees, depth 3"),
    (30, 10000, "histograms of 100 trees, 31 leaves"),
    (8, 768, "forest of 5 trees, depth 3"),
    (8, 768, "tree"),
]


def fitted(columns: int, rows: int, model: str) -> tuple[Any, Any]:
    """Fit the described model; return it with rows to score."""
    from sklearn import datasets, ensemble, pipeline, preprocessing, tree

    table, target = datasets.make_classification(
        rows, columns, n_informative=min(columns, 6), flip_y=0.1, random_state=0
    )
    count = int(model.split()[2]) if " of " in model else 1
    depth = int(model.split("depth ")[1]) if "depth" in model else None
    kinds: dict[str, Callable[[], Any]] = {
        "forest": lambda: ensemble.RandomForestClassifier(count, max_depth=depth, random_state=0),
        "boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=count, max_depth=depth, random_state=0),
        "histograms": lambda: ensemble.HistGradientBoostingClassifier(max_iter=count, random_state=0),
        "tree": lambda: tree.DecisionTreeClassifier(random_state=0),
    }
    steps = pipeline.make_pipeline(preprocessing.StandardScaler(), kinds[model.split(maxsplit=1)[0]]())
    queries = np.random.default_rng(0).normal(size=(ROWS, columns)) * table.std(axis=0)
    return steps.fit(table, target), queries


def best(work: Callable[[], Any]) -> float:
    """Return the shortest of some runs, in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def times(graph: bytes, table: Any) -> tuple[float, float]:
    """Return the seconds to walk a graph's trees, and to look up their leaves."""
    parts = quickscorer.split_graph(graph, always=True)
    assert parts is not None
    whole, before, after = map(OnnxGraph, (graph, parts.before, parts.after))
    (values,) = before.run(table)
    for expected, actual in zip(whole.run(table), after.run(parts.forest.sums(values)), strict=True):
        np.testing.assert_array_equal(actual, expected)
    walked = best(lambda: whole.run(table)) - best(lambda: before.run(table))
    return walked, best(lambda: parts.forest.sums(values))


def main() -> None:
    """Print a line per shape, in nanoseconds per row."""
    print(f"{'columns':>7}  {'model':36}{'walked':>8}{'looked up':>11}{'ratio':>7}  chosen")
    for columns, rows, name in SHAPES:
        model, table = fitted(columns, rows, name)
        graph, _ = convert_pipeline(model, columns)
        walked, looked_up = (seconds / ROWS * 1e9 for seconds in times(graph, table))
        chosen = "walked" if quickscorer.split_graph(graph) is None else "looked up"
        print(f"{columns:>7}  {name:36}{walked:>8.0f}{looked_up:>11.0f}{walked / looked_up:>7.2f}  {chosen}")


if __name__ == "__main__":
    main()
