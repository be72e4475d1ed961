"""Overhead of the engine: a plan of twelve toy stages with a cache, against direct calls of the same functions.

Each round is a process of its own with an empty cache, so reading the stages' sources is included.

    python benchmarks/engine_overhead.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NewType

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator.caching.cache import Cache, cached  # noqa: E402
from orchestrator.engine.planner import plan  # noqa: E402
from orchestrator.engine.runner import run  # noqa: E402
from orchestrator.stages import train  # noqa: E402, F401 - its sources are those of a real stage

Seed = NewType("Seed", int)
COUNT = 12
ARTIFACTS: list[Any] = [type(f"Artifact{number}", (int,), {}) for number in range(COUNT)]
globals().update({kind.__name__: kind for kind in ARTIFACTS})  # pickle looks them up here


def stage(number: int) -> Callable[..., Any]:
    """Make a stage that takes one artifact and returns the next; three in four are cached, as in the main job."""

    def make(before: Any) -> Any:
        return ARTIFACTS[number](before + 1)

    make.__annotations__ = {"before": ARTIFACTS[number - 1] if number else Seed, "return": ARTIFACTS[number]}
    return make if number > COUNT * 3 / 4 else cached("scikit-learn", "numpy", "scipy", "pandas", "joblib")(make)


def by_hand(stages: Mapping[str, Callable[..., Any]]) -> Any:
    """Call the stages one after another."""
    artifact: Any = Seed(1)
    for make in stages.values():
        artifact = make(artifact)
    return artifact


def by_engine(stages: Mapping[str, Callable[..., Any]], cache: Path) -> Any:
    """Call the stages with the engine: planned, observed and cached."""
    seeds = {Seed: Seed(1)}
    return run(plan(stages, seeds), seeds, [lambda _: None], Cache(cache))[ARTIFACTS[-1]]


def one_round() -> None:
    """Print the milliseconds by hand, with an empty cache, and with a full one."""
    stages = {f"stage{number}": stage(number) for number in range(COUNT)}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        works: list[Callable[[], Any]] = [lambda: by_hand(stages), *[lambda: by_engine(stages, cache)] * 2]
        for work in works:
            started = time.perf_counter()
            assert work() == COUNT + 1
            print((time.perf_counter() - started) * 1000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return one_round()
    command = [sys.executable, __file__, "--one"]
    rounds = [
        [float(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
        for _ in range(arguments.rounds)
    ]
    hand, cold, warm = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"by hand                  {hand:7.2f} ms")
    print(f"engine, empty cache      {cold:7.2f} ms, overhead {cold - hand:6.2f} ms (should be under 50)")
    print(f"engine, all kept         {warm:7.2f} ms, overhead {warm - hand:6.2f} ms (should be under 50)")
    return None


if __name__ == "__main__":
    main()
