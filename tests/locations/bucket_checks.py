"""What holds for a bucket of every kind: S3's, Azure's, Google's."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.locations import copies
from orchestrator.locations.connections import Options
from orchestrator.locations.storage import (
    StoredFile,
    copy_file,
    exists,
    open_read,
    open_write,
    remove_file,
    stat_file,
)
from orchestrator.locations.urls import Url


def record_copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each copy of a file adds the file's version."""
    copied: list[str] = []

    def copy(url: Url, options: Options, stored: StoredFile, target: Path) -> None:
        copied.append(stored.version)
        copy_file(url, options, stored, target)

    monkeypatch.setattr(copies, "copy_file", copy)
    return copied


def check_that_large_files_are_whole(bucket: str) -> None:
    """Write one that fails, one that does not, and remove it twice."""
    block = bytes(6 * 2**20)  # more than a part of an upload

    def write(*, fails: bool) -> None:
        with open_write(f"{bucket}/large.bin") as file:
            for _ in range(3):
                file.write(block)
            assert not fails

    with pytest.raises(AssertionError):
        write(fails=True)
    assert not exists(f"{bucket}/large.bin")
    write(fails=False)
    assert stat_file(f"{bucket}/large.bin").size == 3 * len(block)
    with open_read(f"{bucket}/large.bin") as file:
        assert file.read(5) == bytes(5)
    remove_file(f"{bucket}/large.bin")
    remove_file(f"{bucket}/large.bin")
    assert not exists(f"{bucket}/large.bin")
