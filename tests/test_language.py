"""``check_language.py`` finds rejected words where people read them, and holds each exception to its use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from check_language import ALLOWED, REJECTED, Allowed, check, findings, suggestion


@pytest.mark.parametrize(
    ("path", "text", "word", "line"),
    [
        ("a.py", "def is_told(x):\n    return x\n", "told", 1),
        ("a.py", "class ToldOnce:\n    pass\n", "told", 1),
        ("a.py", "x = 1\ny = 2  # for whoever reads\n", "whoever", 2),
        ("a.py", '"""First line.\n\nWhat somebody wrote."""\n', "somebody", 3),
        ("a.py", 'def f():\n    """Take a turn of the\n    event loop."""\n', "turn of the event loop", 2),
        ("a.py", 'class A:\n    # why\n\n    """Serve the twin."""\n', "twin", 4),
        ("a.py", 'print(f"was told {x}")\n', "told", 1),
        ("a.yaml", "key: theirs # not ours\n", "ours", 1),
        ("A.md", "Fine.\n\nOne of ours.\n", "ours", 3),
        ("a.toml", 'text = "Say it."\n# tells\n', "tells", 2),
        ("A.md", "What is given is what is used.\n", "what is given is what", 1),
    ],
    ids=["name", "class", "comment", "docstring", "wrapped", "inner", "string", "yaml", "markdown", "toml", "pattern"],
)
def test_a_rejected_word_is_found_at_its_line(path: str, text: str, word: str, line: int) -> None:
    assert [finding[1:] for finding in findings(path, text)] == [(line, word)]


@pytest.mark.parametrize(
    "text",
    ['x = "user nobody"\n', "yours = hours = recommended = fatal = 1\n", 'print("told")\n', 'f(\n    "a twin"\n)\n'],
    ids=["string", "part-of-a-word", "argument", "wrapped-argument"],
)
def test_strings_of_tests_and_parts_of_words_are_not_rejected(text: str) -> None:
    assert list(findings("tests/a.py", text)) == []


def test_an_exception_covers_its_word_in_its_folder_and_must_be_used(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.py").write_text("nobody = 65534\n")
    (tmp_path / "b.py").write_text("nobody = 65534\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    account = Allowed("logs", "nobody", "the Unix account")
    (problem,) = check(tmp_path, [account])
    assert problem.startswith("b.py:1: 'nobody': write ")
    (tmp_path / "b.py").unlink()
    assert check(tmp_path, [account]) == []
    unused = Allowed("logs", "twin", "no reason")
    assert check(tmp_path, [account, unused]) == ["logs: 'twin' is allowed there and does not occur"]


def test_each_rejected_word_has_a_better_one_and_each_exception_a_reason() -> None:
    assert suggestion("twins") == "compiled model"
    assert all(REJECTED.values())
    assert all(one.reason and suggestion(one.word) for one in ALLOWED)
