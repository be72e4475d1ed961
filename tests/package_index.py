"""A package index in a folder, of distributions without content: real pip and real uv resolve from it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Index:
    """A folder as a package index serves it."""

    folder: Path

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def wheel(self, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> None:
        file = name.replace("-", "_")
        info = f"{file}-{version}.dist-info"
        required = "".join(f"Requires-Dist: {one}\n" for one in requires)
        with zipfile.ZipFile(self._file(name, f"{file}-{version}-{tag}.whl"), "w") as archive:
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n")
            archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
        self._list(name)

    def sources(self, name: str, version: str) -> None:
        """Make a source distribution of years ago: its setup.py needs what setuptools no longer has."""
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
