"""The "image": a virtual environment made from the conda definition, kept by the digest of what goes into it."""

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

_ABSENT = "3.10"  # the Python of a conda file that names none
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
Tell = Callable[[str], None]


class ImageError(Exception):
    """The image cannot be built; the log says why."""


@dataclass(frozen=True)
class Recipe:
    """What goes into an image: the Python asked for (empty: none), pip requirements, other conda packages, and pip itself."""

    python: str
    pip: tuple[str, ...]
    conda: tuple[str, ...]
    installer: str = "pip"

    @property
    def digest(self) -> str:
        """The same for the same recipe."""
        content = json.dumps([sys.version_info[:3], sys.prefix, self.installer, self.pip])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def read(environment: Document) -> Recipe:
    """The recipe in a registered environment."""
    conda = (environment.get("python") or {}).get("condaDependencies") or {}
    python, pip, others, installer = "", [], [], "pip"
    for one in conda.get("dependencies", []):
        if isinstance(one, dict):
            pip += one.get("pip", [])
            continue
        name, _, version = re.sub(r"[=<>~!]+", "=", one).partition("=")
        match name.strip():
            case "python":
                python = version.strip()
            case "pip":
                installer = _for_pip(one)
            case _:
                others.append(one)
    return Recipe(python, tuple(pip), tuple(others), installer)


def _for_pip(conda: str) -> str:
    """A conda package with its version, as pip writes it: with one `=`, a version stands for all that begin with it."""
    found = re.fullmatch(r"([\w.-]+)\s*=\s*([\w.]+)", conda.strip())
    return f"{found[1]}=={found[2]}.*" if found else conda.strip()


async def build(recipe: Recipe, images: Path, tell: Tell) -> Path:
    """The folder of the virtual environment; made if it is not there yet. ``tell`` gets the lines of the log."""
    folder = images / recipe.digest
    _check(recipe, tell)
    async with _alone(folder.with_suffix(".lock")):
        return await _build(recipe, folder, tell)


async def _build(recipe: Recipe, folder: Path, tell: Tell) -> Path:
    if (folder / "complete").exists():
        tell(f"Using the image {recipe.digest}: nothing in its definition has changed")
        return folder
    await asyncio.to_thread(_emptied, folder)
    begin = time.monotonic()
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(recipe.pip) + "\n")
    tell(f"Creating the environment with Python {_HERE}")
    await _run([sys.executable, "-m", "venv", str(folder)], tell)
    install = ["-m", "pip", "install", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    python = str(folder / "bin" / "python")
    await _run([python, *install, "--upgrade", recipe.installer, "setuptools", "wheel"], tell)  # as conda does with pip
    await _run([python, *install, "-r", str(requirements)], tell)
    (folder / "complete").touch()
    tell(f"Image {recipe.digest} built in {time.monotonic() - begin:.0f} s")
    return folder


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@asynccontextmanager
async def _alone(file: Path) -> AsyncIterator[None]:
    """Another stand-in may keep its images in the same folder."""
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


def _check(recipe: Recipe, tell: Tell) -> None:
    if recipe.conda:
        tell("emulator: only the pip section is installed here; conda would have to install:")
        for one in recipe.conda:
            tell(f"  - {one}")
        raise ImageError("packages outside the pip section")
    asked = ".".join(recipe.python.split(".")[:2])
    if asked and asked != _HERE:
        tell("ResolvePackageNotFound:")
        tell(f"  - python={recipe.python}")
        tell(f"emulator: this machine has Python {_HERE} to build images with, and no other")
        raise ImageError(f"no Python {recipe.python}")
    if not asked and _ABSENT != _HERE:
        tell(f"emulator: no Python is named, so Azure takes {_ABSENT}; here it is {_HERE}")


async def _run(command: list[str], tell: Tell) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=clean, limit=2**20
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            tell(line.decode(errors="replace").rstrip())
        if code := await process.wait():
            raise ImageError(f"{' '.join(command[1:4])} ended with {code}")
    finally:
        if process.returncode is None:
            process.kill()
