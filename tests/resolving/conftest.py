"""A package index of this test's own, of wheels without content: real uv and real pip resolve from it."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.resolving import Libraries, check


@dataclass(frozen=True)
class Index:
    """A folder as a package index serves it."""

    folder: Path

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def wheel(self, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> None:
        info = f"{name}-{version}.dist-info"
        required = "".join(f"Requires-Dist: {one}\n" for one in requires)
        with zipfile.ZipFile(self._file(name, f"{name}-{version}-{tag}.whl"), "w") as archive:
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n")
            archive.writestr(f"{info}/RECORD", "")
        self._list(name)

    def sources(self, name: str, version: str) -> None:
        """A source distribution of years ago: its setup.py needs what setuptools no longer has."""
        metadata = f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n"
        with tarfile.open(self._file(name, f"{name}-{version}.tar.gz"), "w:gz") as archive:
            for file, text in (("setup.py", "import pkg_resources\n"), ("PKG-INFO", metadata)):
                member = tarfile.TarInfo(f"{name}-{version}/{file}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        self._list(name)

    def _file(self, name: str, file: str) -> Path:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return self.folder / name / file

    def _list(self, name: str) -> None:
        files = sorted(file.name for file in (self.folder / name).iterdir() if file.suffix != ".html")
        (self.folder / name / "index.html").write_text("".join(f'<a href="{file}">{file}</a>\n' for file in files))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """The only index that pip is set to use."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    made = Index(tmp_path / "index")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    return made


Ask = Callable[..., str]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """The warning for these lines, or the error that is raised."""

    def ask(*lines: str, python: str = "3.11.7", **fields: object) -> str:
        return check(Libraries(lines, python, **fields), tmp_path / "cache")  # type: ignore[arg-type]  # a test's own fields

    return ask
