"""What targets have in common that build an image: its libraries are resolved before anything is registered or sent."""

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
    """Makes a target :class:`~orchestrator.deploy.target.BuildsImage`; it says what its image installs."""

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
    """Checks the libraries of the image that a target would build; of a target that builds none, nothing."""

    target: Target

    def __call__(self, package: Package) -> None:
        """Raise a DeployError if the package's libraries cannot be installed together."""
        if isinstance(self.target, BuildsImage):
            self.target.check_image(package)


def from_conda(definition: Mapping[str, Any]) -> Libraries:
    """Return what a conda environment installs by pip, which is all that a package's has besides Python and pip."""
    python, lines = "", []
    for one in definition.get("dependencies") or ():
        if isinstance(one, Mapping):
            lines += [str(line) for line in one.get("pip") or ()]
        elif str(one).replace(" ", "").startswith("python="):
            python = str(one).rpartition("=")[2].strip()
    return Libraries(lines, python)
