"""Keeps the raw texts of a failed deployment as files, with every secret masked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.diagnostics.evidence import Evidence
from orchestrator.redaction import MASK, is_secret_name, redact


def save(evidence: Evidence, folder: Path) -> None:
    """Write ``build.log``, ``container.log``, ``error.txt`` and ``state.json``; only the owner may read them."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "target": evidence.target,
        "service_state": evidence.service_state,
        "http_status": evidence.http_status,
        "settings": _plain(evidence.settings),
    }
    files = {
        "build.log": redact(evidence.build_log),
        "container.log": redact(evidence.container_log),
        "error.txt": redact(evidence.error),
        "state.json": json.dumps(state, indent=2) + "\n",
    }
    for name, text in files.items():
        _write_private(folder / name, text)


def _plain(value: Any, name: str = "") -> Any:
    """Settings as JSON has them; a value whose name says that it is secret is masked whole."""
    if isinstance(value, Mapping):
        return {str(key): _plain(below, str(key)) for key, below in value.items()}
    if is_secret_name(name) and isinstance(value, str) and value:
        return MASK
    if isinstance(value, list | tuple):
        return [_plain(below, name) for below in value]
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)  # one that others may read would keep its mode
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
