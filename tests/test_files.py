from __future__ import annotations

from pathlib import Path

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
