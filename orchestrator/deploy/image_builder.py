"""Base of targets that build an image: resolve its libraries before anything is registered or sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Package
from orchestrator.deploy.target import BuildsImage, Target
from orchestrator.events import ProgressMixin
from orchestrator.resolving.libraries import Libraries, check


class ImageBuilder(ProgressMixin):
    """Implements :class:`~orchestrator.deploy.target.BuildsImage`; subclasses say what their image installs."""

    state_dir: Path

    def libraries(self, package: Package) -> Libraries:
        """Return what the image of this package installs."""
        raise NotImplementedError

    def check_image(self, package: Package) -> None:
        """Resolve the image's libraries, without building anything.

        Raises:
            DeployError: they cannot be installed together.
        """
        if warning := check(self.libraries(package), self.state_dir / "cache" / "images"):
            self._note(warning)


@dataclass(frozen=True)
class ImageCheck:
    """Checks the libraries of a target's image; does nothing for a target without one."""

    target: Target

    def __call__(self, package: Package) -> None:
        """Raise a DeployError if the package's libraries cannot be installed together."""
        if isinstance(self.target, BuildsImage):
            self.target.check_image(package)


def from_conda(definition: Mapping[str, Any]) -> Libraries:
    """Return what a conda environment installs by pip: a package's contains nothing else but Python and pip."""
    python, lines = "", []
    for one in definition.get("dependencies") or ():
        if isinstance(one, Mapping):
            lines += [str(line) for line in one.get("pip") or ()]
        elif str(one).replace(" ", "").startswith("python="):
            python = str(one).rpartition("=")[2].strip()
    return Libraries(lines, python)
