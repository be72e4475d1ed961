"""Cost of the checks of the table: ``python benchmarks/checks.py [--rounds 3] [OVERRIDE ...]``.

Each round is a run that trains, without a cache, in this process (``stages=train tracking=none`` and the overrides). It prints
the CPU seconds of the stages ``check`` and ``warn``, those of the whole run, and the share. scikit-learn and pandas are
imported before, so that no stage pays for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import sklearn.ensemble

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orchestrator import compose, execute  # noqa: E402 - found by the line above
from orchestrator.events import Event, StepFinished, StepStarted  # noqa: E402

CHECKS = ("check", "warn")


class CpuTimes:
    """CPU seconds of each stage, as an observer; processes that a stage starts and ends count."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = 0.0

    def __call__(self, event: Event) -> None:
        """Measure from the start of a step to its end."""
        if isinstance(event, StepStarted):
            self._began = cpu_seconds()
        elif isinstance(event, StepFinished) and not event.step.cached:
            self.seconds[event.step.name] = cpu_seconds() - self._began


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    import resource

    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    """Run and print each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    print(f"pandas {pd.__version__}, scikit-learn {sklearn.__version__}")
    for _ in range(options.rounds):
        times = CpuTimes()
        with tempfile.TemporaryDirectory() as state:
            plain = ("stages=train", "tracking=none", "deploy=none", "search.n_jobs=1", f"state_dir={state}")
            before, clock = cpu_seconds(), time.perf_counter()
            execute(compose(*plain, *options.overrides), [times])
            whole, took = cpu_seconds() - before, time.perf_counter() - clock
        checks = sum(times.seconds[name] for name in CHECKS)
        print(f"checks {checks:.3f} s of {whole:.2f} s CPU: {checks / whole:.2%} (the run took {took:.1f} s)")


if __name__ == "__main__":
    main()
