from __future__ import annotations

from pathlib import Path

from orchestrator.schema.comments import read_folder

FILE = """\
# @package _global_
# yaml-language-server: $schema=../schema.json#/definitions/config
# What it is,
# in two lines.
search: # the search
  # above
  # in two lines
  cv: 5 # behind

  # of nothing: a blank line follows

  grid: {a: "#1", b: [1]} # of the mapping
  backend: null # begins here
                # and goes on
  # of the next key
  refit: 'it''s # no comment'
  scoring:
    - f1 # of an item
"""


def test_each_comment_belongs_to_its_key(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "mine.yaml").write_text(FILE)
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "private.yaml").write_text("a: 1\n")
    (file,) = read_folder(tmp_path)
    assert (file.name, file.group, file.is_global) == ("search/mine", "search", True)
    assert file.about == "What it is, in two lines."
    assert file.comments == {
        ("search",): "the search",
        ("search", "cv"): "above in two lines; behind",
        ("search", "grid"): "of the mapping",
        ("search", "backend"): "begins here and goes on",
        ("search", "refit"): "of the next key",
        ("search", "scoring"): "of an item",
    }


def test_a_file_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n{}\n")
    (tmp_path / "nothing.yaml").write_text("")
    assert [(file.about, dict(file.values), dict(file.comments)) for file in read_folder(tmp_path)] == [
        ("nothing", {}, {}),
        ("", {}, {}),
    ]
