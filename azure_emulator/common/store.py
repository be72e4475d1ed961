"""JSON documents by kind and key, in one SQLite file that outlives the process."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class Store:
    """Documents in insertion order. Not thread-safe: used by the event loop's thread only."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")  # a laptop's emulator need not survive a power cut
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents (at INTEGER PRIMARY KEY, kind TEXT, key TEXT, body TEXT,"
            " UNIQUE (kind, key))"
        )

    def put(self, kind: str, key: str, document: Document) -> Document:
        """Insert or replace ``document``, and return it."""
        self._db.execute(
            "INSERT INTO documents (kind, key, body) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
            (kind, key, json.dumps(document)),
        )
        return document

    def get(self, kind: str, key: str) -> Document | None:
        """Return the document, or None."""
        row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str, prefix: str = "") -> list[Document]:
        """Return every document whose key starts with ``prefix``, oldest first."""
        rows = self._db.execute(
            "SELECT body FROM documents WHERE kind = ? AND key >= ? AND key < ? ORDER BY at",
            (kind, prefix, prefix + "\U0010ffff"),
        )
        return [json.loads(body) for (body,) in rows]

    def delete(self, kind: str, key: str) -> bool:
        """Delete the document; return whether it existed."""
        return self._db.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key)).rowcount > 0

    def next_number(self, name: str) -> int:
        """Return the next number of the sequence ``name``: 1, 2, 3, ..."""
        last = (self.get("number", name) or {"last": 0})["last"] + 1
        self.put("number", name, {"last": last})
        return int(last)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def now() -> str:
    """Return the current UTC time as Azure formats it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
