"""Keeps the raw texts of a failed deployment as files, with every secret masked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.diagnostics.evidence import Evidence

MASK = "***"
# Each pattern keeps what stands before the secret, so that a reader still sees which one it was.
_SECRETS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<before>\bBearer\s+)[\w.~+/=-]{8,}",
        r"(?P<before>\bBasic\s+)[\w+/=-]{12,}",
        r"(?P<before>[?&](?:sig|signature|code)=)[^&\s\"'\\]+",
        r"(?P<before>://[^/\s:@]+:)[^/\s@]+(?=@)",  # user:password@host
        r"(?P<before>--password[ =])\S+",
        r"(?P<before>\b\w*(?:AccountKey|SharedAccessSignature|InstrumentationKey|IngestionKey)=)[^;\s\"']+",
        # name: value and name=value, with any quoting, also inside a JSON text that was quoted once more
        (
            r"(?P<before>\b\w*(?:secret|password|(?:primary|secondary|account|api|ssl)_?key|(?:access|refresh|id)_?token)"
            r"\\*[\"']?\s*[=:]\s*\\*[\"']?)[^\s\"'\\,;&}\]]+"
        ),
        r"(?P<before>)\beyJ[\w-]{4,}\.[\w-]+\.[\w-]*",  # a JSON web token, wherever it stands
        r"(?P<before>-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]+(?=-----END)",
    )
)
_SECRET_NAME = re.compile(r"secret|password|token|signature|(?:^|_)(?:keys?|pem|sas)(?:_|$)|key_?file", re.IGNORECASE)


def masked(text: str) -> str:
    """The text without bearer keys, SAS signatures, client secrets and their like."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return text


def names_a_secret(name: str) -> bool:
    """Whether what has this name is one to mask, whatever it looks like."""
    return _SECRET_NAME.search(name) is not None


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
        "build.log": masked(evidence.build_log),
        "container.log": masked(evidence.container_log),
        "error.txt": masked(evidence.error),
        "state.json": json.dumps(state, indent=2) + "\n",
    }
    for name, text in files.items():
        _write_private(folder / name, text)


def _plain(value: Any, name: str = "") -> Any:
    """Settings as JSON has them; a value whose name says that it is secret is masked whole."""
    if isinstance(value, Mapping):
        return {str(key): _plain(below, str(key)) for key, below in value.items()}
    if names_a_secret(name) and isinstance(value, str) and value:
        return MASK
    if isinstance(value, list | tuple):
        return [_plain(below, name) for below in value]
    return value if value is None or isinstance(value, bool | int | float) else masked(str(value))


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)  # one that others may read would keep its mode
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
