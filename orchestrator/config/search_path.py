"""Where options are found: ``conf/`` of the project, then what is installed or named, then the options of this tool.

The project is the working directory. A distribution adds options as in any Hydra app: by a ``SearchPathPlugin`` in the
namespace package ``hydra_plugins``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from orchestrator.bundled import CONF

HYDRAS_OWN = "pkg://hydra.conf"  # whose groups Hydra checks


class ProjectSearchPath(SearchPathPlugin):
    """Searches the project's ``conf/`` before the options of this tool, and in no other Hydra app of the process."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the project's folder, unless it is the same one, as in a clone."""
        project, main = Path("conf").absolute(), SearchPathQuery(provider="main")
        if _is_of_this_tool(search_path) and project.is_dir() and not project.samefile(CONF):
            search_path.prepend("project", f"file://{project}", main)


def _is_of_this_tool(search_path: ConfigSearchPath) -> bool:
    return any(element.path.removeprefix("file://") == str(CONF) for element in search_path.get_path() if element.path)


def replaced_primary() -> Path | None:
    """Return the file of the project that replaces the primary config of this tool."""
    file = Path("conf/config.yaml").absolute()
    return file if file.is_file() and not file.samefile(CONF / "config.yaml") else None


def register_project() -> None:
    """Have Hydra search the project's options, too."""
    Plugins.instance().register(ProjectSearchPath)


def searched_folders() -> Iterator[Path]:
    """Yield the folders that Hydra searches without an override or a flag, the first that is asked first."""
    register_project()
    for element in create_config_search_path(str(CONF)).get_path():
        if element.path and element.path != HYDRAS_OWN:
            yield from folders_of(element.path)


def folders_of(path: str) -> Iterator[Path]:
    """Yield the folders of an element of the search path: ``pkg://acme.conf``, ``file:///there`` or a plain path."""
    kind, separator, place = path.rpartition("://")
    places = _package_folders(place.replace("/", ".")) if kind == "pkg" else [Path(place)]
    if kind in {"pkg", "file"} or not separator:
        yield from (place for place in places if place.is_dir())


def _package_folders(name: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return []
    return [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
