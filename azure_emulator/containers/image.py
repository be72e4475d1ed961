"""Images: virtual environments built from a conda definition, cached by the digest of its contents."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from azure_emulator.common.store import Document

_DEFAULT_PYTHON = "3.10"  # of a conda file that names none
_THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
WriteLine = Callable[[str], None]


class ImageError(Exception):
    """The image cannot be built; the build log has the reason."""


@dataclass(frozen=True)
class Recipe:
    """What goes into an image: the Python requested (or empty), pip requirements, other conda packages, and pip itself."""

    python: str
    pip: tuple[str, ...]
    conda: tuple[str, ...]
    installer: str = "pip"

    @property
    def digest(self) -> str:
        """Return the cache key of the image."""
        content = json.dumps([sys.version_info[:3], sys.prefix, self.installer, self.pip])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_recipe(environment: Document) -> Recipe:
    """Return the recipe of a registered environment."""
    conda = (environment.get("python") or {}).get("condaDependencies") or {}
    python, pip, others, installer = "", [], [], "pip"
    for dependency in conda.get("dependencies", []):
        if isinstance(dependency, dict):
            pip += dependency.get("pip", [])
            continue
        name, _, version = re.sub(r"[=<>~!]+", "=", dependency).partition("=")
        match name.strip():
            case "python":
                python = version.strip()
            case "pip":
                installer = _to_pip_requirement(dependency)
            case _:
                others.append(dependency)
    return Recipe(python, tuple(pip), tuple(others), installer)


def _to_pip_requirement(conda: str) -> str:
    """Translate a conda requirement to pip's syntax: `pip=24.0` in conda means `pip==24.0.*`."""
    match = re.fullmatch(r"([\w.-]+)\s*=\s*([\w.]+)", conda.strip())
    return f"{match[1]}=={match[2]}.*" if match else conda.strip()


async def build(recipe: Recipe, images: Path, write_line: WriteLine) -> Path:
    """Build the image unless it is cached; return the folder of the virtual environment.

    ``write_line`` gets the lines of the build log.
    """
    folder = images / recipe.digest
    _check_supported(recipe, write_line)
    async with _exclusive(folder.with_suffix(".lock")):
        return await _build(recipe, folder, write_line)


async def _build(recipe: Recipe, folder: Path, write_line: WriteLine) -> Path:
    if (folder / "complete").exists():
        write_line(f"Using the image {recipe.digest}: nothing in its definition has changed")
        return folder
    await asyncio.to_thread(_make_empty, folder)
    begin = time.monotonic()
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(recipe.pip) + "\n")
    write_line(f"Creating the environment with Python {_THIS_PYTHON}")
    await _run([sys.executable, "-m", "venv", str(folder)], write_line)
    install = ["-m", "pip", "install", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    python = str(folder / "bin" / "python")
    await _run(
        [python, *install, "--upgrade", recipe.installer, "setuptools", "wheel"], write_line
    )  # as conda does with pip
    await _run([python, *install, "-r", str(requirements)], write_line)
    (folder / "complete").touch()
    write_line(f"Image {recipe.digest} built in {time.monotonic() - begin:.0f} s")
    return folder


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@asynccontextmanager
async def _exclusive(file: Path) -> AsyncIterator[None]:
    """Hold the file lock of an image: several emulators may share the folder of images."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    while not lock.is_locked:
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
        await asyncio.sleep(0 if lock.is_locked else 0.2)
    try:
        yield
    finally:
        lock.release()


def _check_supported(recipe: Recipe, write_line: WriteLine) -> None:
    if recipe.conda:
        write_line("emulator: only the pip section is installed here; conda would have to install:")
        for requirement in recipe.conda:
            write_line(f"  - {requirement}")
        raise ImageError("packages outside the pip section")
    requested = ".".join(recipe.python.split(".")[:2])
    if requested and requested != _THIS_PYTHON:
        write_line("ResolvePackageNotFound:")
        write_line(f"  - python={recipe.python}")
        write_line(f"emulator: this machine has Python {_THIS_PYTHON} to build images with, and no other")
        raise ImageError(f"no Python {recipe.python}")
    if not requested and _DEFAULT_PYTHON != _THIS_PYTHON:
        write_line(f"emulator: no Python is named, so Azure takes {_DEFAULT_PYTHON}; here it is {_THIS_PYTHON}")


async def _run(command: list[str], write_line: WriteLine) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=clean, limit=2**20
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            write_line(line.decode(errors="replace").rstrip())
        if code := await process.wait():
            raise ImageError(f"{' '.join(command[1:4])} ended with {code}")
    finally:
        if process.returncode is None:
            process.kill()
