"""Where a run comes from: the git commit, the composed configuration and the command."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts import PackageProvenance


@dataclass(frozen=True)
class RunProvenance:
    """Notes beside a result: the checkout it was made in, the configuration as YAML, and what a package is told to come of.

    They decide nothing of it, so no cached product depends on them. ``sweep`` names the sweep that the run is a job of.
    """

    checkout: Path
    config: str
    origin: PackageProvenance = field(default_factory=PackageProvenance)
    sweep: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """The commit and whether there are uncommitted changes, under MLflow's names; empty outside of git."""
        commit = _git(self.checkout, "rev-parse", "HEAD")
        if commit is None:
            return {}
        dirty = _git(self.checkout, "status", "--porcelain", "--untracked-files=no")
        return {"mlflow.source.git.commit": commit, "git_dirty": str(bool(dirty)).lower()}

    def cache_parts(self) -> Mapping[str, str]:
        """Nothing: the same training from another commit is the same training."""
        return {}


def _git(folder: Path, *command: str) -> str | None:
    git = ["git", "-C", str(folder), *command]  # found on the PATH
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
