"""The memory that a training is said to need, against what it took: ``python benchmarks/memory.py [--scale 1]``.

For each shape it writes a table, asks for the estimate that the plan prints, and trains in a process of its own, whose
memory (with its workers) is looked at every 20 ms. An estimate should be within a factor of two.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402


class Shape(NamedTuple):
    """A table and what is trained on it."""

    rows: int
    numbers: int
    texts: int
    ending: str
    overrides: tuple[str, ...]


LINEAR = ("model=linear", "preprocess=tabular", "model.param_grid.C=[1.0]")
BOOSTING = ("model=hist_gradient_boosting", "preprocess=none", "model.param_grid={max_iter: [20]}")
SHAPES = (
    Shape(1_000_000, 10, 0, "csv", LINEAR),
    Shape(1_000_000, 10, 0, "parquet", (*BOOSTING, "search.n_jobs=2")),
    Shape(300_000, 5, 5, "csv", LINEAR),
    Shape(50_000, 200, 0, "csv", (*LINEAR, "search.n_jobs=2")),
    Shape(1_000_000, 10, 0, "csv", (*LINEAR, "data.rows=200000")),
)


def write(shape: Shape, path: Path) -> None:
    """Write a table of random numbers, and of texts with 20 levels a column."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    columns = {f"x{at}": rng.normal(size=shape.rows) for at in range(shape.numbers)}
    levels = np.array([f"level {at}" for at in range(20)])
    texts = {f"t{at}": rng.choice(levels, shape.rows) for at in range(shape.texts)}
    table = pd.DataFrame({**columns, **texts, "y": rng.integers(0, 2, shape.rows)})
    if shape.ending == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)


def peak(command: list[str]) -> float:
    """Run a command; return the most memory that it and its children held."""
    process, most = psutil.Popen(command, stdout=subprocess.DEVNULL), 0
    while process.poll() is None:
        try:
            most = max(most, sum(each.memory_info().rss for each in [process, *process.children(recursive=True)]))
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"{command} failed")
    return most


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of rows")
    scale = parser.parse_args().scale
    from orchestrator import compose
    from orchestrator.config.memory_note import needed_bytes
    from orchestrator.config.validate import validate
    from orchestrator.reading.size import estimate_size

    print("| table | options | estimated | measured | ratio |\n|---|---|---|---|---|")
    for shape in (each._replace(rows=round(each.rows * scale)) for each in SHAPES):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"table.{shape.ending}")
            write(shape, path)
            data = [f"data={shape.ending}", f"data.path={path}", "data.target=y", f"state_dir={folder}/state"]
            options = ["stages=train", "tracking=none", *data, *shape.overrides]
            spec = validate(compose(*options)).spec
            need = needed_bytes(spec, estimate_size(spec.data))
            taken = peak([sys.executable, str(ROOT / "run.py"), *options, f"hydra.run.dir={folder}/run"])
        what = f"{shape.rows:,} × {shape.numbers} numbers, {shape.texts} texts, {shape.ending}"
        said = " ".join(f"`{option}`" for option in shape.overrides)
        print(f"| {what} | {said} | {need / 1e9:.2f} GB | {taken / 1e9:.2f} GB | {need / taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
