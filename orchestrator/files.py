"""Atomic file writes: a reader sees the old content or the new one, never a part of it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

TEMPORARY = ".partial"
ABANDONED_SECONDS = 3600  # no write takes that long; a process's number would say nothing of one on another machine


def write_atomic(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a temporary file in the same folder and rename it; text becomes UTF-8, the umask restricts ``mode``."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        _delete_abandoned(path.parent)


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file atomically that only its owner may read, from its first byte on."""
    write_atomic(path, content, mode=0o600)


def _delete_abandoned(folder: Path) -> None:
    """Delete the temporary files of processes that were killed while they wrote."""
    for file in folder.glob(f".*.{'[0-9a-f]' * 32}{TEMPORARY}"):
        with suppress(OSError):  # another process deletes it at the same time, or another user wrote it
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()
