"""Every command that README and docs/ print composes to a valid configuration, or names what exists.

Those in running text count, too. Files that a page shows (a block with a name, such as ``python features.py``) are
written first, as a reader would. ``test_names_in_text.py`` has single keys and options.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep

from orchestrator.bundled import CONF
from orchestrator.cli import init
from orchestrator.config.arguments import COMPLETION, split
from orchestrator.config.compose import compose
from orchestrator.config.validate import validate
from orchestrator.errors import SpecError
from tests.nightly import at_night

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)  # of any kind: a fence may open or close
INLINE = re.compile(r"`([^`]+)`")
INDENTED = re.compile(r"^ {4}((?:python run\.py|orchestrate) .*)$", re.MULTILINE)
BARE = re.compile(r"(?<!`)\borchestrate(?: -m)?(?: [\w./]+=[^\s`|;)]+)+")  # in running text, such as a comment of conf/
PLACEHOLDER = re.compile(r"<|\.\.\.|\b[A-Z]{3,}\b")
OWN_FLAGS = ("-v", "--version")
HARMLESS = ("cd", "curl", "az", "eval", "export")  # what else a page may print


class Command(NamedTuple):
    """One command of a page, and what the page says that it prints."""

    page: str
    words: tuple[str, ...]
    output: str

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def blocks(page: Path, *kinds: str) -> Iterator[tuple[str, str]]:
    """Yield the fenced blocks of these kinds, each with its kind."""
    return ((kind, code) for kind, code in FENCED.findall(page.read_text()) if kind in kinds)


def named_files(page: Path) -> dict[str, str]:
    """Return the files that a page shows, by the path behind the language of their block."""
    found = ((kind.split(), code) for kind, code in FENCED.findall(page.read_text()))
    return {words[1]: code for words, code in found if len(words) == 2 and words[0] in {"python", "yaml"}}


def commands(page: Path) -> Iterator[Command]:
    """Yield the commands of a page's bash blocks, and of others those behind a prompt."""
    for kind, block in blocks(page, "bash", "console", ""):
        text = re.sub(r"\\\n", " ", block)
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:] if kind != "bash" else text.splitlines():
            line, _, output = part.partition("\n")
            words: list[str] = []
            for word in [*_words(line, part), "&&"]:
                if word not in {"&&", "|"}:
                    words.append(word)
                elif words:
                    yield Command(str(page.relative_to(ROOT)), tuple(words), output)
                    words = []


def commands_in_text(page: Path) -> Iterator[Command]:
    """Yield what a page names of our command outside of its blocks, unless a placeholder stands in it."""
    text = FENCED.sub("", page.read_text())
    spans = [span.replace("\n", " ") for span in INLINE.findall(text)]
    for line in [*spans, *INDENTED.findall(text), *BARE.findall(INLINE.sub("", text))]:
        names = line.startswith(("orchestrate ", "python run.py ")) and line != "orchestrate init"
        if names and not PLACEHOLDER.search(line):
            yield Command(str(page.relative_to(ROOT)), tuple(shlex.split(line, comments=True)), "")


def _words(line: str, more: str) -> list[str]:
    """Split a line; one whose quotes close on a later line is completed from there."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return shlex.split(more)


def arguments(command: Command) -> list[str] | None:
    """Return what follows ``orchestrate`` or ``python run.py``; None for another command."""
    words = list(command.words)
    if words[0] == "orchestrate":
        return words[1:]
    return words[2:] if Path(words[0]).name in {"python", "python3"} and words[1] == "run.py" else None


def jobs(overrides: list[str]) -> Iterator[list[str]]:
    """Yield the overrides of a command's jobs, so that every value of a sweep is in one of them."""
    choices = [_values(OverridesParser.create().parse_override(text), text) for text in overrides]
    for number in range(max(map(len, choices), default=1)):
        yield [texts[number % len(texts)] for texts in choices]


def _values(override: Override, text: str) -> list[str]:
    value: Any = override.value()
    key = override.get_key_element()
    if isinstance(value, ChoiceSweep):
        return [f"{key}={part}" for part in value.list]
    return [f"{key}=[{value.start}]"] if isinstance(value, RangeSweep) else [text]


ALL = [command for page in PAGES for command in (*commands_in_text(page), *commands(page))]
RUNS = {shlex.join(found): command for command in ALL if (found := arguments(command)) is not None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project as the tutorials leave it, and the tables that the pages name."""
    above = tmp_path_factory.mktemp("tutorials")
    files = {name: text for page in PAGES for name, text in named_files(page).items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(above)
        (above / "make_churn.py").write_text(files["make_churn.py"])
        runpy.run_path("make_churn.py")
        assert init.main(["shop", "--data", "churn.csv", "--target", "left"]) == 0
        home = above / "shop"
        for name, text in files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text)
        patch.chdir(home)
        patch.syspath_prepend(home)
        runpy.run_path("make_new.py")
        table = (above / "churn.csv").read_text()
        (home / "churn.csv").write_text(table)
        (home / "prices.csv").write_text(table.replace("monthly_fee", "price"))
        (home / "mine.csv").write_text(table.replace("left", "label"))
        (home / "large.csv").write_text(table.replace("left", "bought"))
        (home / "german.csv").write_text(table.replace(",", ";"))
        pd.read_csv("churn.csv").to_parquet("churn.parquet")
        pd.read_csv("mine.csv").to_parquet("mine.parquet")
        (home / "sales").mkdir()
        (home / "sales/2024-01.csv").write_text(table)
        pd.read_csv("churn.csv").to_parquet("sales/1.parquet")
        patch.setenv("TABLE_URL", f"file://{home}/churn.csv")
        patch.setenv("DATABASE_URL", f"sqlite:///{home}/shop.db")
        with closing(sqlite3.connect("shop.db")) as database:
            pd.read_csv("mine.csv").assign(id=1, plan="a", age=pd.read_csv("churn.csv").index, left=1).to_sql(
                "customers", database
            )
        for package in ("acme", "acme/conf"):
            (home / package / "__init__.py").touch()
        visits = "1990-05-17,03/04/2024,20240415,9.5,yes\n1987-11-30,07/05/2024,20240516,1.25,no\n"
        (home / "visits.csv").write_text(f"born,signup,day,amount,outcome\n{visits}")
        (home / "penguins.csv").write_text("x,species,body_mass_g\n" + "1,a,3.5\n2,b,4\n3,c,5\n" * 20)
        yield home


def first_uses() -> Iterator[Any]:
    """Yield the commands; at night also those in which each key and each option of a group is in one before."""
    seen: set[str] = set()
    for typed in RUNS:
        words = (word.lstrip("+") for word in shlex.split(typed))
        used = {word if (CONF / word.partition("=")[0]).is_dir() else word.partition("=")[0] for word in words}
        yield at_night(typed) if used <= seen else typed
        seen |= used


@pytest.mark.parametrize("typed", [*first_uses()])
def test_each_run_is_valid(typed: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(typed)
    for word, library in (("backend=ray", "ray"), ("preprocess=skrub", "skrub")):
        if any(each.endswith(word) for each in words):
            pytest.importorskip(library)
    if words[:1] == ["init"]:
        shutil.copy("churn.csv", tmp_path)
        monkeypatch.chdir(tmp_path)
        assert init.main(words[1:]) == 0
        return
    assert Path.cwd() == folder, "the project, whose conf/ is searched"
    arguments = split(words)
    get_args_parser().parse_args([flag for flag in arguments.flags if flag not in OWN_FLAGS])  # tests/cli runs flags
    if arguments.has(COMPLETION):
        return  # what is behind it is no override
    for job in jobs([*arguments.overrides]):
        if "The configuration is wrong" in RUNS[typed].output:
            with pytest.raises(SpecError) as error:
                validate(compose(*job))
            lines = "".join(f"  {line}\n" for line in str(error.value).splitlines())
            assert f"The configuration is wrong; nothing was run:\n{lines}" == RUNS[typed].output
        else:
            validate(compose(*job))


def test_each_installation_names_extras_that_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = [
        re.findall(r"\[([\w,]+)\]", word) for command in ALL if "install" in command.words for word in command.words
    ]
    assert {extra for found in named for names in found for extra in names.split(",")} <= {*extras}


def test_each_other_command_is_known_and_each_script_exists() -> None:
    files = {name for page in (ROOT / "docs").rglob("*.md") for name in named_files(page)}
    for command in ALL:
        program, *rest = command.words
        if arguments(command) is not None or "install" in rest or program in HARMLESS or "venv" in rest:
            continue
        assert Path(program).name in {"python", "python3"}, command
        if rest[0] == "-m":
            assert rest[1].startswith(("score.", "pytest", "benchmarks.", "sphinx", "orchestrator", "mlflow")), command
        else:
            assert rest[0] in files or (ROOT / rest[0]).is_file(), command
