"""``python check_language.py``: report words of this project's private language, with the field's word for each.

It reads identifiers, comments and strings of Python files, comments of YAML files, Markdown and TOML; of the tests and
of this file no strings but docstrings: others hold logs of other software, and the rejected words themselves.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent

REJECTED = {  # a regular expression of whole words: what to write
    r"tells?|told|telling": "report, describe, print, show or say",
    r"somebody|nobody|whoever|anybody": "the user, the client, the process that ...",
    r"ours|theirs": "this project's, Azure's ...",
    r"mend(s|ed|ing)?": "fix or repair",
    r"word of": "message, notice or log line",
    r"turn of the (event )?loop": "event-loop iteration",
    r"calls? of the system": "system call",
    r"twins?": "compiled model",
    r"gaps?": "missing value",
    r"what is [^.]{1,60} is what": "one statement of fact",
    r"bury|buried|buries": "reap",
    r"deaf": "unresponsive",
    r"fat": "large",
    r"rehears(e|es|ed|ing|al|als)": "emulate, emulator",
    r"doctors?": "diagnosis, diagnostics",
    r"stand-ins?": "emulator",
    r"lends?|lent|lending": "share",
    r"foretells?|foretold": "predict",
    r"strays?": "leftover process",
    r"berths?": "service",
    r"as people type (it|them)": "as on the command line",
}
CHECKED = ("*.py", "*.md", "*.yaml", "*.toml")
DOCSTRINGS_ONLY = ("tests/", "check_language.py")
F_STRING = getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)  # the text of an f-string, from Python 3.12 on
PATTERN = re.compile(
    "(?<![a-z])("
    + "|".join(re.sub(r"\((?!\?)", "(?:", words) for words in REJECTED).replace(" ", r"\s+")
    + ")(?![a-z])",
    re.IGNORECASE,
)
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # where a camel-case name has its next word


class Allowed(NamedTuple):
    """A word that one file or folder may use, and why."""

    path: str
    word: str
    reason: str


ALLOWED = (
    Allowed("tests/deploy/docker/test_service.py", "gaps", "seconds between two answers, and no missing values"),
    Allowed("CHANGELOG.md", "rehearsal", "the former name of azure=emulator"),
    Allowed("orchestrator/reading/files.py", "tell", "the method of Python's files"),
    *(
        Allowed(path, "gap", "the parameter of scikit-learn's TimeSeriesSplit")
        for path in (
            "orchestrator/modeling/splitting",
            "orchestrator/spec/split.py",
            "tests/modeling/splitting",
            "tests/modeling/test_early_stopping.py",
            "tests/stages/test_split_rules.py",
            "docs/how_to/hold_rows_out.md",
            "docs/how_to/use_a_boosting_library.md",
            "docs/explanation/honest_splits.md",
            "docs/reference/configuration.md",
        )
    ),
)


class Finding(NamedTuple):
    """One rejected word, and where it stands."""

    path: str
    line: int
    word: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r}: write {suggestion(self.word)}"


def suggestion(word: str) -> str:
    """Return what to write in place of a rejected word."""
    return next(better for words, better in REJECTED.items() if re.fullmatch(words, word))


def prose_of_python(source: str, *, strings: bool) -> Iterator[tuple[int, str]]:
    """Yield line and text of each identifier, comment and docstring, and of each other string if ``strings``."""
    statement_starts = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        is_string = token.type in (tokenize.STRING, F_STRING)
        if token.type in (tokenize.NAME, tokenize.COMMENT) or (is_string and (strings or statement_starts)):
            yield token.start[0], token.string
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            statement_starts = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def prose(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield first line and text of each part of a file that the check reads."""
    if path.endswith(".py"):
        yield from prose_of_python(text, strings=not path.startswith(DOCSTRINGS_ONLY))
    elif path.endswith(".yaml"):
        for number, line in enumerate(text.splitlines(), 1):
            yield number, line.partition("#")[2]
    else:
        yield 1, text


def findings(path: str, text: str) -> Iterator[Finding]:
    """Yield the rejected words of a file."""
    if not PATTERN.search(HUMP.sub(" ", text)):
        return
    for line, part in prose(path, text):
        separated = HUMP.sub(" ", part)
        for match in PATTERN.finditer(separated):
            word = re.sub(r"\s+", " ", match[0]).lower()
            yield Finding(path, line + separated.count("\n", 0, match.start()), word)


def is_allowed(finding: Finding, allowed: Allowed) -> bool:
    """Return whether the exception covers the finding."""
    return finding.word == allowed.word and (
        finding.path == allowed.path or finding.path.startswith(f"{allowed.path}/")
    )


def checked_files(root: Path) -> list[str]:
    """Return the files of the checkout that the check reads, relative to its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *CHECKED]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for path in dict.fromkeys(listed) if (root / path).is_file()]


def check(root: Path, allowed: Sequence[Allowed] = ALLOWED) -> list[str]:
    """Return a line for each rejected word without an exception, and for each exception without a use."""
    found = [finding for path in checked_files(root) for finding in findings(path, (root / path).read_text())]
    problems = [str(finding) for finding in found if not any(is_allowed(finding, one) for one in allowed)]
    unused = [one for one in allowed if not any(is_allowed(finding, one) for finding in found)]
    return [*problems, *(f"{one.path}: {one.word!r} is allowed there and does not occur" for one in unused)]


def main() -> int:
    """Print what was found; 1 if that is anything."""
    problems = check(ROOT)
    print("\n".join(problems) or "The language is the field's.")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
