"""Batch scoring in this process and by worker processes: ``python benchmarks/batch.py [--rows 1000000] [--workers 2]``.

It trains the default model on the bundled table, repeats the table's rows with other numbers, and scores the same file
with each backend. The time includes the start of the workers. ``cores`` is how many the run kept busy on the mean: one
local process may use several already (compiled models other than forests score a long table in threads).

Every output must equal the first one to the last byte.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402


def make_table(path: Path, rows: int) -> None:
    """Write rows like the bundled ones, each number drawn from its column."""
    import numpy as np
    import pandas as pd

    rng, table = np.random.default_rng(0), pd.read_csv(ROOT / "data" / "diabetes.csv")
    drawn = {name: rng.choice(table[name], rows) for name in table.columns if name != "Outcome"}
    pd.DataFrame(drawn).to_csv(path, index=False)


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children, also of those that have ended."""
    this = psutil.Process()
    own = this.cpu_times()
    others = [child.cpu_times() for child in this.children(recursive=True)]
    return float(sum(own[:4]) + sum(sum(times[:2]) for times in others))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("overrides", nargs="*", help="of the training, such as model=linear")
    arguments = parser.parse_args()

    from orchestrator import ModelVersion, Package, compose, execute
    from orchestrator.events import Progress
    from orchestrator.spec.batch import BatchSpec
    from orchestrator.stages.batch import batch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ["stages=package", "tracking=none", f"state_dir={folder}/state", *arguments.overrides]
        package = execute(compose(*options))[Package]
        make_table(folder / "new.csv", arguments.rows)
        runs: dict[str, dict[str, Any]] = {
            "local": {},
            "loky, 1 process": {"backend": "loky", "n_jobs": 1},
            f"loky, {arguments.workers} processes": {"backend": "loky", "n_jobs": arguments.workers},
        }
        print("| backend | seconds | cores | times as fast as local |\n|---|---|---|---|")
        first, whole = 0.0, b""
        for number, (what, keys) in enumerate(runs.items()):
            output, before, started = folder / f"{number}.csv", cpu_seconds(), time.perf_counter()
            spec = BatchSpec(input=folder / "new.csv", output=output, **keys)
            scored = batch(ModelVersion("model", "", None, package), spec, Progress())
            seconds = time.perf_counter() - started
            cores = (cpu_seconds() - before) / seconds
            first, whole = first or seconds, whole or output.read_bytes()
            assert scored.rows + scored.refused == arguments.rows
            assert output.read_bytes() == whole, f"{what} gives another output"
            print(f"| {what} | {seconds:.1f} | {cores:.2f} | {first / seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
