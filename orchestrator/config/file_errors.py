"""Explain what is wrong in a file of options: YAML that cannot be read, or a defaults list that Hydra cannot follow.

Hydra's and PyYAML's texts say where they stopped, and not what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yaml import MarkedYAMLError

from orchestrator.config.search_path import searched_folders
from orchestrator.errors import Problem
from orchestrator.spec.messages import suggest_or_list

_EXPERIMENT = "experiment"  # the group whose files change other groups
_HEADER = "# @package _global_"
_NO_HEADER = f"its file should begin with the line {_HEADER!r}, so that its keys are those of the whole configuration"


def explain(error: Exception) -> Problem | None:
    """Return the file, the line and the remedy of an error that Hydra raised; None for one that is not about a file."""
    if isinstance(error, MarkedYAMLError):
        return _unreadable_yaml(error)
    if isinstance(error, UnicodeDecodeError):
        return Problem(_file_that_is_not_utf8(), "is not written in UTF-8; save it so")
    text = str(error)
    if primary := re.match(r"Cannot find primary config '(.+?)'", text):
        known = {path.stem for folder in searched_folders() for path in folder.glob("*.yaml")}
        return Problem("--config-name", f"there is no file {primary[1]}.yaml{suggest_or_list(primary[1], known)}")
    if twice := re.match(r"(\S+) appears more than once in the final defaults list", text):
        return Problem(twice[1], "is chosen twice; a file that replaces a choice writes '- override /group: option'")
    inside = re.match(rf"In '?({_EXPERIMENT}/[^:']+?)'?: (.+)", text, re.DOTALL)
    return _wrong_defaults(inside[1], inside[2]) if inside else None


def misplaced_experiment(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield that the keys of an experiment's file landed under ``experiment``, where nothing reads them."""
    if isinstance(values.get(_EXPERIMENT), Mapping):
        yield Problem(_EXPERIMENT, _NO_HEADER)


def _wrong_defaults(at: str, text: str) -> Problem | None:
    """Explain what Hydra says about the defaults list of an experiment."""
    if re.search(rf"Could not override '\S+@{_EXPERIMENT}\.", text):
        return Problem(at, _NO_HEADER)
    # a group without a slash is one below the folder of the file that names it
    below = re.search(rf"'{_EXPERIMENT}/([\w/]+?)(?:@[\w.]+)?(?:: ([\w-]+))?'", text)
    if below:
        group, option = (below[1], below[2]) if below[2] or "@" in below[0] else below[1].rpartition("/")[::2]
        return Problem(at, f"should choose an option by '- override /{group}: {option or 'OPTION'}'")
    if unknown := re.search(r"Could not override '(\w[\w/]*)'", text):
        groups = {path.name for folder in searched_folders() for path in folder.iterdir() if path.is_dir()}
        return Problem(at, f"there is no group '{unknown[1]}'{suggest_or_list(unknown[1], groups)}")
    if loaded := re.search(rf"Could not load '{_EXPERIMENT}/(.+?)'", text):
        return Problem(
            at, f"{loaded[1]!r} cannot be read; write it as 'override /group: option', with a blank behind :"
        )
    if "Cannot merge DictConfig with ListConfig" in text:
        return Problem(at, "its file should hold keys with values, and holds a list")
    return None


def _unreadable_yaml(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    if error.context and error.context.startswith(("while scanning a simple key", "while scanning a quoted")):
        mark = error.context_mark or mark  # where it begins; it was given up at the end of the file
    text = error.problem or error.context or "is no YAML"
    if "'\\t'" in text:
        text += "; indent with blanks"
    elif "mapping values" in text:
        text += "; is a ':' missing above, or does a text with ': ' lack its quotes?"
    elif "<block end>" in text:
        text += "; is it indented as the lines above?"
    where = f"{_shorten(Path(mark.name))}, line {mark.line + 1}: " if mark else ""
    return Problem("", f"{where}cannot be read: {text}")  # no key of the configuration


def _shorten(file: Path) -> str:
    """Return a file's name as a user in the project would type it."""
    return file.relative_to(Path.cwd()).as_posix() if file.is_relative_to(Path.cwd()) else str(file)


def _file_that_is_not_utf8() -> str:
    for folder in searched_folders():
        for file in sorted(folder.rglob("*.yaml")):
            try:
                file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                return _shorten(file)
    return "a file of options"
