"""Where a run comes from: the git commit, the command and the composed configuration."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """Notes beside a result: the checkout it was made in, and the configuration as YAML.

    They decide nothing of it, so no cached product depends on them.
    """

    checkout: Path
    config: str

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
