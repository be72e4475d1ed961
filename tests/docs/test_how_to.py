"""What how-to pages print: each ``$ orchestrate`` of them runs, in this order, and each line below it is printed.

Times, numbers, paths and fingerprints differ from run to run and are not compared; a line that ends in dots is the
beginning of one.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.command import ROOT, desk
from tests.docs.test_commands import Command, arguments, commands

PAGES = (
    "run_without_an_account",
    "change_one_part",
    "list_versions",
    "roll_back",
    "choose_a_version",
    "test_the_service",
    "score_a_file",
    "read_logs",
    "ask_for_a_key",
    "remove_a_service",
)
VARIES = re.compile(r"\S*/\S*|[0-9a-f]{8,}|\d+([.,:-]\d+)*|\s+")


def masked(line: str) -> str:
    return VARIES.sub("", line)


def shown(page: str) -> list[Command]:
    """Return the commands of a page that have an output."""
    found = commands(ROOT / "docs" / "how_to" / f"{page}.md")
    return [command for command in found if command.output and arguments(command) is not None]


def missing(output: str, printed: str) -> list[str]:
    """Return the lines of a page that begin no line that was printed."""
    lines = [masked(line) for line in printed.splitlines()]
    begins = {line: masked(line.removesuffix("...")) for line in output.splitlines()}
    return [line for line, begin in begins.items() if not any(each.startswith(begin) for each in lines)]


@pytest.mark.slow
@pytest.mark.nightly
def test_pages_show_what_is_printed(tmp_path: Path) -> None:
    table = pd.read_csv(ROOT / "data" / "diabetes.csv").drop(columns="Outcome").head(3).astype(object)
    table.loc[1, "Age"] = "old"
    with desk(tmp_path) as made:
        table.to_csv(made.cwd / "new.csv", index=False)
        faults = []
        for command in (command for page in PAGES for command in shown(page)):
            done = made.run(*(arguments(command) or ())).well()
            if lines := missing(command.output, done.out):
                faults.append("\n".join([str(command), *lines, "printed:", done.out]))
    assert not faults, "\n\n".join(faults)


def test_each_page_with_an_output_is_run() -> None:
    others = {"check_a_configuration", "nest_estimators"}  # compared to the letter in test_commands.py
    pages = {page.stem for page in (ROOT / "docs" / "how_to").glob("*.md") if shown(page.stem)}
    elsewhere = {"learn_from_a_large_table"}  # of 40 million rows; tests/config/test_memory_note.py has such a line
    assert pages == {*PAGES, *others, *elsewhere}
