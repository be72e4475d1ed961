"""The provenance of a run: git commit, composed configuration and command."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts import PackageProvenance


@dataclass(frozen=True)
class RunProvenance:
    """The checkout, the composed configuration as YAML, and the package's provenance, recorded with a run.

    They do not affect results, so no cached artifact depends on them. ``sweep`` names the sweep that the run belongs to;
    with ``deploys_best`` the run deploys the sweep's best job.
    """

    checkout: Path
    config: str
    origin: PackageProvenance = field(default_factory=PackageProvenance)
    sweep: str = ""
    deploys_best: bool = False

    @property
    def chosen_from(self) -> str:
        """The sweep whose best job this run deploys; "" if it is none."""
        return self.sweep if self.deploys_best else ""

    @property
    def tags(self) -> dict[str, str]:
        """The commit and whether there are uncommitted changes, under MLflow's names; empty outside a git checkout."""
        commit = _git(self.checkout, "rev-parse", "HEAD")
        if commit is None:
            return {}
        dirty = _git(self.checkout, "status", "--porcelain", "--untracked-files=no")
        return {"mlflow.source.git.commit": commit, "git_dirty": str(bool(dirty)).lower()}

    def cache_parts(self) -> Mapping[str, str]:
        """Return nothing: the same training from another commit is the same training."""
        return {}


def _git(folder: Path, *command: str) -> str | None:
    git = ["git", "-C", str(folder), *command]  # found on the PATH
    try:
        return subprocess.run(git, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
