"""Cost of ``azure=emulator`` over a local run: ``python benchmarks/emulator_overhead.py [--rounds 3]`` (needs the azure extra).

With a warm cache and no service, each round runs in turn:

* local: ``python run.py``.
* emulator: ``python run.py tracking=azureml deploy=aci azure=emulator``, including the emulator's start.
* asleep: the part of that in which the SDK slept between polls (``time.sleep`` called from azureml).

It prints the medians in seconds, and the difference without the sleeps.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AZURE = ("tracking=azureml", "deploy=aci", "azure=emulator")

# imported by Python at its start; counts sleeps and does not shorten them
COUNT_SLEEPS = """
import atexit, os, sys, time
slept, sleep = [0.0], time.sleep
def counted(seconds):
    if sys._getframe(1).f_globals.get("__name__", "").startswith("azureml"):
        slept[0] += seconds
    sleep(seconds)
time.sleep = counted
if "SLEPT" in os.environ:
    atexit.register(lambda: open(os.environ["SLEPT"], "w").write(str(slept[0])))
"""


def main() -> None:
    """Warm up, then measure in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as probe:
        home = Path(scratch)
        (home / "sitecustomize.py").write_text(COUNT_SLEEPS)
        probe.bind(("127.0.0.1", 0))
        port = f"deploy.port={probe.getsockname()[1]}"
        probe.close()
        for command in ((port,), AZURE, (port, "stages=remove"), (*AZURE, "stages=remove")):
            _run(home, *command)
        measured = []
        for _ in range(rounds):
            local, _none = _run(home, port)
            emulator, slept = _run(home, *AZURE)
            _run(home, port, "stages=remove")
            _run(home, *AZURE, "stages=remove")
            measured.append((local, emulator, slept, emulator - local - slept))
    names = ("local", "emulator", "asleep", "added beside the sleeps")
    for name, values in zip(names, zip(*measured, strict=True), strict=True):
        print(f"{name:<24} {statistics.median(values):6.2f} s")


def _run(home: Path, *overrides: str) -> tuple[float, float]:
    """Return the seconds of one command, and how many of them the SDK slept."""
    slept = home / "slept"
    environ = {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{ROOT}", "SLEPT": str(slept)}
    command = [sys.executable, str(ROOT / "run.py"), *overrides, f"state_dir={home}/state", f"hydra.run.dir={home}/run"]
    started = time.perf_counter()
    subprocess.run(command, cwd=home, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, float(slept.read_text())


if __name__ == "__main__":
    main()
