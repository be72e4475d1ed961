"""Verify a package (``python -m score.verify``): load it as a server does and answer its golden requests.

Prints one JSON object; exits with 0 if every answer is the one of the training process, else with 1.
"""

from __future__ import annotations

import json
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def verify(package: Path) -> dict[str, Any]:
    """Return the number of ``requests`` answered and the peak ``memory_bytes``, or the ``failure``."""
    before = set(sys.modules)
    from score import score
    from score.contract import golden
    from score.payload.typed_reader import LONG

    score.init()
    requests = golden.read(package)
    records = [request for request in requests if request.name == golden.RECORDS and score.loaded().compiled]
    for request in [
        *requests,
        *(golden.repeated(request, LONG) for request in records),
    ]:  # long ones have a path of their own
        difference = request.difference(*_answer(score, request.body))
        if difference:
            return {"failure": f"golden request '{request.name}': {difference}"}
    foreign = foreign_modules(package, set(sys.modules) - before)
    if foreign:
        return {"failure": f"the package needs {', '.join(foreign)}, local code that does not ship"}
    return {"requests": len(requests), "memory_bytes": peak_memory()}


def _answer(score: Any, body: str) -> tuple[int, Any]:
    try:
        return 200, json.loads(json.dumps(score.run(body)))
    except (score.BadRequest, score.ScoringError) as error:
        score.log_failure(error)
        return error.status, error.document()


def foreign_modules(package: Path, names: Iterable[str]) -> list[str]:
    """Return the modules that come neither from the package nor from Python or an installed distribution."""
    paths = sysconfig.get_paths()
    homes = [package.resolve(), *(Path(paths[name]).resolve() for name in ("stdlib", "platstdlib"))]
    found = []
    for name in sorted(names):
        file = Path(getattr(sys.modules[name], "__file__", None) or paths["stdlib"]).resolve()
        installed = {"site-packages", "dist-packages"} & set(file.parts)
        if not installed and not any(file.is_relative_to(home) for home in homes):
            found.append(name)
    return found


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, ValueError, IndexError):  # not Linux, whose rusage would also count the parent process
        return _peak_of_usage()


def _peak_of_usage() -> int:
    """Return what the system counts of this process; 0 on Windows, which has no ``resource``."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> int:
    """Verify the package that this file belongs to."""
    try:
        result = verify(Path(__file__).resolve().parents[1])
    except Exception as error:  # noqa: BLE001 - whatever is raised is the failure to report
        where = traceback.extract_tb(error.__traceback__)[-1]
        result = {"failure": f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"}
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if "failure" in result else 0


if __name__ == "__main__":
    sys.exit(main())
