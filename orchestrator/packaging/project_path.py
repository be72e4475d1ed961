"""The project's place on ``sys.path``: one rule for commands, notebooks and whatever calls the public functions."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.bundled import OWN_PACKAGES, ROOT
from orchestrator.caching.fingerprints import forget_locations
from orchestrator.errors import OrchestratorError

INSTALLED_IN = {"site-packages", "dist-packages"}


def make_project_importable() -> None:
    """Let modules of the working directory be imported: behind Python's own, before those that are installed.

    So a ``random.py`` of the project hides nothing of Python's, wherever the interpreter had put the folder. An
    interactive interpreter's own entry, the empty one, stays: it follows every change of the directory.

    Raises:
        OrchestratorError: a module hides a package of this tool, which the processes that it starts would then miss.
    """
    folder = Path.cwd()
    for name in OWN_PACKAGES:
        for file in (folder / f"{name}.py", folder / name / "__init__.py"):
            if file.exists() and not file.is_relative_to(ROOT):
                raise OrchestratorError(
                    f"{file}: hides the package '{name}' of sklearn-orchestrator; give it another name"
                )
    forget_locations()
    places = [place for place in sys.path if place != str(folder)]
    first = next((at for at, place in enumerate(places) if INSTALLED_IN & {*Path(place).parts}), len(places))
    sys.path[:] = [*places[:first], str(folder), *places[first:]]
