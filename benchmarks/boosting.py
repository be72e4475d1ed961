"""One row served by the compiled model and by the library's own predict: ``python -m benchmarks.boosting [MODEL ...]``.

For each model (lightgbm, xgboost, catboost: those that are installed) the bundled data without preprocessing is trained
twice, with ``package.compile=required`` and with ``never``. Both packages are served by ``score.server``, one after the
other, and asked for one row at a time over one connection. The server's answer to a health check is the floor: HTTP alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.serving import ROOT, asked, drawn, http, own_server, started

MODELS = ("lightgbm", "xgboost", "catboost")
SIZE = ("model/param_grid=none", "preprocess=none", "deploy=none", "tracking=none")
HEALTH = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
TREES = {"lightgbm": "n_estimators", "xgboost": "n_estimators", "catboost": "iterations"}


def trained(model: str, served_by: str, folder: Path) -> Path:
    """Train and return the package."""
    state = folder / f"{model}-{served_by}"
    keys = [f"model={model}", f"+model.params.{TREES[model]}=100", f"package.compile={served_by}", *SIZE]
    command = [sys.executable, "run.py", *keys, "stages=package", f"state_dir={state}", f"hydra.run.dir={state}/run"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [package] = (state / "packages").iterdir()
    return package


def single_rows(package: Path, seconds: float, log: Path) -> tuple[float, float, float]:
    """Return the requests a second, and the medians of their milliseconds and of health checks'."""
    peer = own_server(package)
    request = http(peer, drawn(1))
    with started(peer, request, log) as (port, _, _):
        asked(port, request, 1, 1)  # warm
        return *asked(port, request, 1, seconds), asked(port, HEALTH, 1, seconds)[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[name for name in MODELS if importlib.util.find_spec(name)])
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    for model in options.models:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            medians = {}
            for served_by in ("required", "never"):
                package = trained(model, served_by, folder)
                rate, medians[served_by], floor = single_rows(package, options.seconds, folder / "log")
                name = "compiled" if served_by == "required" else "its pickle"
                print(
                    f"{model:9} {name:10} {rate:8.0f} rows a second, median {medians[served_by]:.3f} ms, of a health check {floor:.3f}"
                )
            print(f"{model:9} the median is {medians['never'] / medians['required']:.1f} times as long")


if __name__ == "__main__":
    main()
