"""pip's settings and variables on this machine, translated for uv, which does not read them."""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

# the variables before the emulator redirects the process's own; None: they are not redirected
_original: ContextVar[Mapping[str, str] | None] = ContextVar("original", default=None)
_LINE = re.compile(r"(?P<section>[^.\s]+)\.(?P<name>[\w-]+)=(?P<value>.+)")
_SECTIONS = ("global", "install", ":env:")  # each overrides those before it


def environment() -> Mapping[str, str]:
    """Return the variables for package indexes."""
    original = _original.get()
    return os.environ if original is None else original


@contextlib.contextmanager
def original_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Use these variables in the block, even if the process's own change."""
    token = _original.set(variables)
    try:
        yield
    finally:
        _original.reset(token)


def pip_settings(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the options of ``pip install`` by their long name: of these variables, or without any, of this machine."""
    if variables is None:
        own = environment()
        sections = _configured(tuple(item for item in own.items() if item[0].startswith(("PIP_", "HOME"))))
        return {name: value for section in _SECTIONS for name, value in sections.get(section, {}).items()}
    given = {name: value for name, value in variables.items() if name.startswith("PIP_")}
    return {name.removeprefix("PIP_").lower().replace("_", "-"): value for name, value in given.items()}


@functools.lru_cache
def _configured(variables: tuple[tuple[str, str], ...]) -> dict[str, dict[str, str]]:
    """Return the settings by section as pip prints them (half a second); without pip, those of the environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())
        if done.returncode == 0:
            found: dict[str, dict[str, str]] = {}
            for line in filter(None, map(_LINE.fullmatch, done.stdout.splitlines())):
                with contextlib.suppress(ValueError, SyntaxError):
                    found.setdefault(line["section"], {})[line["name"]] = str(ast.literal_eval(line["value"]))
            return found
    return {":env:": pip_settings(dict(variables))}


def as_uv(settings: Mapping[str, str]) -> dict[str, str]:
    """Return uv's variables for the indexes and the network; other settings do not matter for an image."""
    every = {name: settings.get(name, "").split() for name in ("extra-index-url", "find-links", "trusted-host")}
    no_index = settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}
    proxy = settings.get("proxy", "")
    found = {
        "UV_DEFAULT_INDEX": _place(settings.get("index-url", "")),
        "UV_INDEX": " ".join(map(_place, every["extra-index-url"])),
        "UV_FIND_LINKS": ",".join(map(_place, every["find-links"])),
        "UV_NO_INDEX": "1" if no_index else "",
        "UV_INSECURE_HOST": " ".join(every["trusted-host"]),
        "UV_HTTP_TIMEOUT": settings.get("default-timeout", "") or settings.get("timeout", ""),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "SSL_CLIENT_CERT": settings.get("client-cert", ""),
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
    }
    return {name: value for name, value in found.items() if value}


def _place(url_or_path: str) -> str:
    """Make a path absolute, as uv runs in another directory."""
    return url_or_path if not url_or_path or "://" in url_or_path else str(Path(url_or_path).expanduser().resolve())
