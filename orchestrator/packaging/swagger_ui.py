"""Swagger UI's files for a package's page at /docs, which therefore loads nothing from the internet.

They come from an installed Flask plug-in; the server needs nothing else of it.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from score.api import docs

LICENSE = "LICENSE"


def copy_assets(score: Path) -> None:
    """Copy the files into the ``score`` folder of a package."""
    plugin = find_spec("flask_swagger_ui")  # located but not imported, which would import Flask
    assert plugin is not None, "flask-swagger-ui is not installed"
    assert plugin.submodule_search_locations is not None
    assets = Path(plugin.submodule_search_locations[0], "dist")
    folder = score / docs.FOLDER
    folder.mkdir()
    for name in (*docs.FILES, LICENSE):
        shutil.copyfile(assets / name, folder / name)
