"""Let uv resolve requirements for another machine. It reads only metadata and builds nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.redaction import redact
from orchestrator.resolving.pip_settings import as_uv, environment, pip_settings
from orchestrator.resolving.requirement import plain

SECONDS = 120  # for one run; uv takes a few
GLIBC = "manylinux_2_35"  # of Azure's base images (Ubuntu 22.04); that of python:3.x-slim is newer
_RESOLVED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Libraries:
    """What the build of an image installs: lines as in a requirements file, for this Python and kind of machine.

    ``settings`` are variables of the build, such as ``PIP_INDEX_URL``, which come before those of this machine.
    """

    lines: Sequence[str]
    python: str
    machine: str = "x86_64"
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)


class UnresolvableError(Exception):
    """The requirements could not be resolved, such as without a network; the text says why."""


@dataclass(frozen=True)
class Resolution:
    """The versions by plain name, or ``text``, which says why there are none."""

    versions: Mapping[str, str]
    text: str = ""


class Resolver:
    """uv for one kind of machine, with wheels only; ``built`` are packages to leave out, since they have no wheel."""

    def __init__(self, libraries: Libraries, cache: Path, scratch: Path) -> None:
        self.built: list[str] = []
        self._scratch = scratch
        self._command = [
            _uv(), "pip", "compile", "-", "--python", sys.executable, "--python-version", libraries.python,
            "--python-platform", f"{libraries.machine}-{GLIBC}", "--only-binary", ":all:", "--no-header",
            "--no-annotate", "--quiet", "--color", "never", "--index-strategy", "unsafe-best-match",
        ]  # fmt: skip
        defaults = {"UV_CACHE_DIR": str(cache), "UV_HTTP_RETRIES": "1", "UV_PYTHON_DOWNLOADS": "never"}
        of_build = as_uv(pip_settings(libraries.settings))
        others = {name: value for name, value in libraries.settings.items() if not name.startswith("PIP_")}
        self._environment = {**defaults, **as_uv(pip_settings()), **environment(), **of_build, **others}

    def __call__(self, lines: Sequence[str], *extra: str) -> Resolution:
        """Return the versions that solve these lines; ``extra`` are options of uv.

        Raises:
            UnresolvableError: no index answers, or uv is missing.
        """
        code, out, text = self._run(lines, extra)
        if code == 0:
            return Resolution({plain(name): version for name, version in _RESOLVED.findall(out)} or {"": ""})
        if self._environment.get("UV_OFFLINE", "").lower() not in {"", "0", "false"}:
            raise UnresolvableError("UV_OFFLINE is set")
        if code != 1:
            causes = [line.partition(": ")[2].strip() for line in text.splitlines() if ": " in line]
            raise UnresolvableError("; ".join(dict.fromkeys([*causes[1:2], *causes[-1:]])) or "uv failed")
        reasons = text[max(text.find("Because"), 0) :].partition("\nhint:")[0]
        return Resolution({}, " ".join(re.sub(r"[╰─▶│×]", " ", reasons).split()))

    def fits(self, lines: Sequence[str]) -> bool:
        """Return whether there is a solution, trying the metadata that is cached first."""
        return self._run(lines, (), UV_OFFLINE="1")[0] == 0 or bool(self(lines).versions)

    def newest(self, line: str) -> str:
        """Return the newest version that the line allows by itself; empty if there is none."""
        return next(iter(self([line], "--no-deps").versions.values()), "")

    def _run(self, lines: Sequence[str], extra: Sequence[str], **variables: str) -> tuple[int, str, str]:
        left_out = self._scratch / "left-out.txt"
        left_out.write_text("".join(f"{name} ; python_version < '0'\n" for name in self.built))
        try:
            done = subprocess.run(
                [*self._command, *extra, "--override", str(left_out)],
                input="\n".join(lines), env={**self._environment, **variables}, cwd=self._scratch,
                capture_output=True, text=True, timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UnresolvableError(f"uv has not answered within {SECONDS} s") from None
        except OSError as error:
            raise UnresolvableError(f"uv cannot be run: {error}") from error
        return done.returncode, done.stdout, redact(done.stderr)


def _uv() -> str:
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        if found := shutil.which("uv"):
            return found
        raise UnresolvableError("uv is not installed; pip install uv") from None
