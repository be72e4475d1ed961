"""What a run costs as its table grows: ``python -m benchmarks.growth [--sizes 100000x20 5000x300] [--draw]`` (Linux).

Each table has numbers, some of them missing, and a category in every fourth column. A random forest of the middle size of the
default grid is fitted to it once with ``preprocess=tabular``, or with ``--search`` the whole grid, and packaged in a process of
its own. CPU seconds are of each stage and the processes that it waits
for. Memory is the most that the stage ``package`` takes above what there was when it began, as the kernel counts it.

Prints a table in Markdown, and for each stage the exponent with which it grew from the next smaller table: 1 is linear, 2
quadratic. ``--draw`` writes docs/images/growth.svg. ``--keep FILE`` has the results so far, whose sizes are not measured again.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.checks import CpuTimes

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.events import Event

IMAGE = Path(__file__).resolve().parents[1] / "docs" / "images" / "growth.svg"
SIZES = ("10000x20", "30000x20", "100000x20", "300000x20", "1000000x20", "5000x30", "5000x100", "5000x300", "5000x1000")
ONE_FIT = (
    "model.param_grid={n_estimators: [20], max_depth: [7]}",
    "search.cv={_target_: sklearn.model_selection.ShuffleSplit, n_splits: 1, train_size: 200, test_size: 200}",
)
PACKAGING = ("package", "verify")
STAGES = ("load", "split", "check", "train", *PACKAGING)


def make_table(rows: int, columns: int) -> pd.DataFrame:
    """Return random numbers and categories, and two classes that depend on some of them."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    levels = np.array([f"level {number}" for number in range(5)])
    table: dict[str, Any] = {}
    for at in range(columns):
        table[f"c{at}"] = rng.choice(levels, rows) if at % 4 == 3 else rng.normal(size=rows)
        if at % 8 == 0:
            table[f"c{at}"][rng.random(rows) < 0.1] = np.nan
    score = table["c1"] + (table["c3"] < "level 2") + rng.normal(size=rows)
    return pd.DataFrame({**table, "y": (score > np.median(score)).astype(int)})


class PeakMemory:
    """Bytes that the stage ``package`` takes at most above those at its start, as an observer."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, event: Event) -> None:
        """Reset the kernel's count when the stage starts, and read it when it ends."""
        from orchestrator.events import StepFinished, StepStarted

        if isinstance(event, StepStarted | StepFinished) and event.step.name == "package":
            if isinstance(event, StepStarted):
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)  # what was freed is no memory that the stage may have for nothing
                Path("/proc/self/clear_refs").write_text("5")
            self.bytes = _peak() - self.bytes


def _peak() -> int:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


def run(stages: str, typed: Sequence[str]) -> Mapping[str, float]:
    """Run some stages in this process; return the CPU seconds of each, and the memory of ``package``."""
    import onnxruntime  # noqa: F401 - imported here, so that no stage pays for it
    import skl2onnx  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    from orchestrator import compose, execute

    times, memory = CpuTimes(), PeakMemory()
    execute(compose(f"stages={stages}", *typed), [times, memory])
    return times.seconds | ({"memory": memory.bytes} if memory.bytes else {})


def measure(size: str, *, search: bool = False) -> dict[str, float]:
    """Return the CPU seconds of each stage, the bytes of the table and those of packaging it."""
    rows, columns = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        path, table = Path(folder, "table.parquet"), make_table(rows, columns)
        table.to_parquet(path, index=False)
        found = {"table": float(table.memory_usage(deep=True).sum())}
        del table
        data = ("data=parquet", f"data.path={path}", "data.target=y", "preprocess=tabular", "name=growth")
        quiet = ("tracking=none", "deploy=none", "search.n_jobs=1", f"state_dir={folder}/state")
        typed = [*data, *quiet, *(() if search else ONE_FIT)]
        for stages in ("train", "package"):
            command = [sys.executable, "-m", "benchmarks.growth", "--run", stages, *typed]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = {**json.loads(done.stdout.splitlines()[-1]), **found}
    return found


def exponents(smaller: Mapping[str, float], larger: Mapping[str, float], factor: float) -> Mapping[str, float]:
    """Return the power of the factor between two tables by which each stage's time grew; few milliseconds say nothing."""
    return {name: math.log(larger[name] / max(smaller[name], 0.02), factor) for name in STAGES if larger[name] > 0.2}


def draw(results: Mapping[str, Mapping[str, float]]) -> None:
    """Draw the seconds of each stage by the number of rows, and by the number of columns."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, at, title in zip(
        figure.subplots(1, 2, sharey=True), (0, 1), ("rows, of 20 columns", "columns, of 5,000 rows"), strict=True
    ):
        sizes = [size for size in results if size.split("x")[1 - at] == ("20", "5000")[at]]
        counts = [int(size.split("x")[at]) for size in sizes]
        for name in STAGES:
            axes.loglog(counts, [max(results[size][name], 1e-2) for size in sizes], marker="o", ms=3, label=name)
        first = results[sizes[0]]["package"]
        axes.loglog(counts, [first * count / counts[0] for count in counts], "k:", lw=1, label="linear")
        axes.set_xlabel(title)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("CPU seconds")
    figure.axes[1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(IMAGE, metadata={"Date": None})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="ROWSxCOLUMNS", help="ascending in each direction")
    parser.add_argument("--search", action="store_true", help="train all candidates, and not the middle one once")
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="JSON of the results so far")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run[0], options.run[1:])))
        return
    names = [*STAGES, "packaging / training", "memory / table"]
    print(f"| table | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}", flush=True)
    kept = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    results: dict[str, Mapping[str, float]] = {}
    for size in options.sizes:
        results[size] = found = kept[size] if size in kept else measure(size, search=options.search)
        if options.keep:
            options.keep.write_text(json.dumps({**kept, **results}, indent=1))
        share = sum(found[name] for name in PACKAGING) / found["train"]
        seconds = " | ".join(f"{found[name]:.2f}" for name in STAGES)
        print(f"| {size} | {seconds} | {share:.0%} | {found['memory'] / found['table']:.1f} |", flush=True)
    for (small, first), (large, second) in pairwise(results.items()):
        shapes = [tuple(map(int, size.split("x"))) for size in (small, large)]
        same = [a == b for a, b in zip(*shapes, strict=True)]
        if any(same):
            factor = next(b / a for a, b in zip(*shapes, strict=True) if a != b)
            grown = exponents(first, second, factor)
            print(f"{small} to {large}: {', '.join(f'{name} {power:.2f}' for name, power in grown.items())}")
    if options.draw:
        draw(results)


if __name__ == "__main__":
    main()
