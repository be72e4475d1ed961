"""``orchestrate init``: look at a table, and write a project whose next command trains and serves a model of it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from orchestrator import invocation
from orchestrator.errors import DataError, OrchestratorError, one_line
from orchestrator.locations.urls import is_url
from orchestrator.spec.messages import suggest

if TYPE_CHECKING:
    from orchestrator.project.survey import Survey
    from orchestrator.project.task import Task

_TABLES = (".csv", ".tsv", ".parquet", ".csv.gz")
_LISTED = 40  # columns in an error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _, _, unknown = message.partition("unrecognized arguments: ")
        near = suggest(unknown.split()[0].partition("=")[0], self._option_string_actions) if unknown else ""
        raise OrchestratorError(f"{message}{near}; {self.prog} --help says what there is")


def main(arguments: Sequence[str]) -> int:
    """Write a project for the table that the arguments name; return 0, or 1 after one line about what is wrong."""
    try:
        options = _parser().parse_args(arguments)
        _init(options)
    except OrchestratorError as error:
        sys.stderr.write(f"{one_line(error)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    command = shlex.join([*invocation.to_type(), "init"])
    parser = _Parser(
        prog=command,
        description="Look at a table, and write a project whose next command trains a model of it and serves it.",
        epilog=f"Example: {command} churn --data churn.csv --target left",
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="of the project (default: this one)")
    parser.add_argument("--data", metavar="FILE", help="the table: CSV (also compressed) or Parquet; a URL, too")
    parser.add_argument("--target", metavar="COLUMN", help="the column to predict")
    parser.add_argument("--name", help="of the experiment, the model and the service (default: from the file's name)")
    parser.add_argument("--task", choices=("classification", "regression"), help="where numbers could be either")
    parser.add_argument("--encoding", help="of the text, such as cp932, where it is not detected")
    return parser


def _init(options: argparse.Namespace) -> None:
    folder = Path(options.folder).expanduser()
    if not options.data:
        typed = _type("--data", _example_table(), "--target", "COLUMN", folder=options.folder)
        raise DataError(f"--data: name the table to learn from, such as {typed}")
    from orchestrator.project import notation, scaffold, survey, table_place, task  # pandas, pydantic: not for --help

    table = table_place.local_table(options.data)
    name = options.name or scaffold.derive_name(table.name)
    if not scaffold.is_name(name):
        raise DataError(f"--name: should be lower case letters, digits, - and _, beginning with a letter, got {name!r}")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"FOLDER: {folder} is a file; name a folder")
    if not options.target:
        columns = survey.find_columns(table, options.encoding)
        more = f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else ""
        typed = _type("--data", options.data, folder=options.folder)
        hint = notation.note_on_header(columns)
        raise DataError(
            f"--target: name the column to predict: {', '.join(columns[:_LISTED])}{more}; "
            + (hint or f"such as: {typed} --target {shlex.quote(columns[-1])}")
        )
    found = survey.survey_table(table, options.target, options.encoding)
    chosen = task.choose_task(found.target, options.task)
    path, inside = table_place.reference_place(options.data, table, folder)
    files = scaffold.make_files(name, path, found, chosen, inside=inside)
    scaffold.write_files(folder, files)
    _report(folder, name, found, chosen, files, "" if inside else path)


def _example_table() -> str:
    tables = sorted(path.name for path in Path.cwd().iterdir() if path.name.lower().endswith(_TABLES))
    return tables[0] if tables else "churn.csv"


def _type(*words: str, folder: str) -> str:
    """Return the command to type for a project in ``folder``."""
    return shlex.join([*invocation.to_type(), "init", *([folder] if folder != "." else []), *words])


def _report(folder: Path, name: str, found: Survey, chosen: Task, files: dict[str, str], outside: str) -> None:
    """Print what was found, what was chosen and what to type next."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table

    from orchestrator.project.experiment import choose_model, describe_search, describe_task, printable
    from orchestrator.project.split import choose_split

    console = Console(highlight=False, markup=False, emoji=False)

    def block(title: str, lines: Sequence[tuple[str, str]]) -> None:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for key, text in lines:
            grid.add_row(key, printable(text))
        console.print(title, style="bold")
        console.print(Padding(grid, (0, 0, 0, 2), expand=False))
        console.print()

    about = [("columns", found.reading.line)]
    about += [(f"data.{key}", f"{value!r} ({found.reasons[key]})") for key, value in found.keys.items()]
    block(f"Found in {found.data.path.name}", [*about, *_label("look at", found.notes)])
    model, split = choose_model(chosen, found.rows), choose_split(found, chosen)
    choices = [
        ("target", describe_task(found, chosen)),
        ("model", f"{model.option}: {model.estimator.rpartition('.')[2]}, {model.why}"),
        ("search", describe_search(chosen)),
        ("split", f"{split.why}; data.split changes it"),
        *_label("", split.notes),
        *_label("left out", [f"{column}: {why}" for column, why in split.dropped(found).items()]),
    ]
    if outside:
        remedy = "CI needs the rights to read it" if is_url(outside) else "copy it there if CI is to train"
        choices.append(("table", f"outside of the project, read from {outside}; {remedy}"))
    block("Chosen", choices)
    block(f"Written to {folder}", [(file, "") for file in files])
    console.print("Next", style="bold")
    stays = folder.resolve() == Path.cwd()
    go = "" if stays else f"cd {shlex.quote(str(folder))} && "
    typed = shlex.join([*invocation.to_type(None if stays else folder), f"experiment={name}"])
    console.print(f"  {go}{typed}", soft_wrap=True)


def _label(label: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return a row for each text, the first one with the label."""
    return [(label if place == 0 else "", text) for place, text in enumerate(texts)]
