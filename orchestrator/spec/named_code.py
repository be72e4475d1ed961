"""NamedCode: the files of the project that ``package.code`` names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.caching.fingerprints import file_digest, module_location, source_digests


def named_path(typed: str) -> Path:
    """Return the absolute path of a file or folder in ``package.code``; a symbolic link keeps its own name."""
    return Path(os.path.normpath(Path.cwd() / Path(typed).expanduser()))


@dataclass(frozen=True)
class NamedCode:
    """The files and folders in ``package.code``, which decide what is trained like the estimator's own module."""

    paths: tuple[str, ...] = ()

    def cache_parts(self) -> Mapping[str, str]:
        """Return digests of each file and, of a module, of all local ones that it imports: these ship with it."""
        parts: dict[str, str] = {}
        named = {path for typed in self.paths for path in [named_path(typed), *named_path(typed).rglob("*")]}
        for path in sorted(path for path in named if path.is_file() and "__pycache__" not in path.parts):
            short = Path(os.path.relpath(path))
            module = ".".join(short.with_suffix("").parts).removesuffix(".__init__")
            if path.suffix == ".py" and module_location(module)[0] == path:
                parts |= source_digests(module)
            else:
                parts[f"file {short.as_posix()}"] = file_digest(path)
        return parts
