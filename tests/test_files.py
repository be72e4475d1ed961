from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from orchestrator.files import write_atomic, write_private


def test_text_and_bytes_replace_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("old")
    write_atomic(file, "grün")
    assert file.read_bytes() == "grün".encode()
    write_atomic(file, b"\x00\xff")
    assert file.read_bytes() == b"\x00\xff"
    assert list(tmp_path.iterdir()) == [file]


def test_a_private_file_is_readable_by_its_owner_only_also_in_place_of_a_public_one(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text("{}")
    file.chmod(0o644)
    write_private(file, "secret")
    assert file.read_text() == "secret"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_failed_write_keeps_the_old_content_and_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state.json"
    file.write_text("old")

    def refuse(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="full"):
        write_atomic(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_is_deleted_by_the_next_write_in_the_folder(tmp_path: Path) -> None:
    abandoned, recent, foreign = (
        tmp_path / name
        for name in (f".keys.json.{uuid4().hex}.partial", f".keys.json.{uuid4().hex}.partial", ".notes.partial")
    )
    for file in (abandoned, recent, foreign):
        file.write_text("")
    for file in (abandoned, foreign):
        os.utime(file, (0, 0))
    write_atomic(tmp_path / "state.json", "new")
    assert sorted(tmp_path.iterdir()) == sorted([recent, foreign, tmp_path / "state.json"])
