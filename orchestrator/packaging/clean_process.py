"""Run code of a package in a fresh isolated process, in an empty folder, that can import only it and installed distributions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.errors import PackageError
from score.privacy import TELEMETRY_OFF

SECONDS = 300  # loading a model takes seconds; this ends a process that hangs
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


def run_package(path: Path, code: str, *arguments: str) -> Any:
    """Run code that can import the package at ``path``; return what it prints last, which is JSON.

    Raises:
        PackageError: the process hangs, or ends without an answer; the text has its last line.
    """
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                [
                    sys.executable,
                    "-I",
                    "-B",
                    "-c",
                    f"import sys; sys.path.insert(0, {str(path)!r}); {code}",
                    *arguments,
                ],
                cwd=empty,
                env={name: os.environ[name] for name in (*_INHERITED, *TELEMETRY_OFF) if name in os.environ},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PackageError(f"the package gave no answer within {SECONDS} s in a clean process") from error
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["nothing was printed"])[-1]
        raise PackageError(f"the clean process that loads {path} ended with code {done.returncode}: {last}") from None
