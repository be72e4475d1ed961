"""NamedCode: the files of the project that ``package.code`` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.caching.fingerprints import file_digest


@dataclass(frozen=True)
class NamedCode:
    """The files and folders in ``package.code``, which decide what is trained like the estimator's own module."""

    paths: tuple[str, ...] = ()

    def cache_parts(self) -> Mapping[str, str]:
        """Return a digest of each file; named like those of modules that are found by their imports."""
        found = {path for name in self.paths for path in [Path(name), *Path(name).rglob("*")] if path.is_file()}
        shown = {path: path.absolute() for path in found if "__pycache__" not in path.parts}
        return {_part(path): file_digest(file) for path, file in sorted(shown.items())}


def _part(path: Path) -> str:
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    return f"code {module}" if path.suffix == ".py" else f"file {path.as_posix()}"
