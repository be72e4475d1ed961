"""Atomic file writes: a reader sees the old content or the new one, never a part of it."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_atomic(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a temporary file in the same folder and rename it; text becomes UTF-8, the umask restricts ``mode``."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file atomically that only its owner may read, from its first byte on."""
    write_atomic(path, content, mode=0o600)
