"""Parse overrides leniently: pass on what Hydra accepts, and report everything that is wrong with the rest.

Hydra stops at the first unknown key. So ``key=value`` is passed on as ``++key=value``, which it accepts, and validation
reports all unknown keys together; options that no group has, and text that cannot be read, are found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from orchestrator.config.arguments import CONFIG_DIR, SWEEP, split
from orchestrator.config.flags import VERBOSE
from orchestrator.config.search_path import folders_of, searched_folders
from orchestrator.errors import Problem
from orchestrator.invocation import called_as
from orchestrator.spec.messages import suggest, suggest_or_list

# what Hydra may raise while it composes
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError)
HYDRA = "1.3"  # the version whose behaviour is asked for, here and in cli/command.py


def parse_leniently(arguments: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """Return the arguments that Hydra accepts, flags first, and what is wrong with those that are left out."""
    version.setbase(HYDRA)
    typed = split([_spelled_out(argument) for argument in arguments])
    searched = {argument: list(_searched(argument)) for argument in typed.overrides}
    named = typed.value(CONFIG_DIR)
    roots = [*searched_folders(), *([Path(named)] if named else [])]
    roots += [folder for found in searched.values() for _, folder in found if folder is not None]
    problems: list[Problem] = []
    if named and not Path(named).is_dir():
        problems.append(Problem(CONFIG_DIR[0], f"there is no folder {named}"))
    parser = OverridesParser.create()
    passed: list[str] = list(typed.flags)
    for argument in typed.overrides:
        try:
            readable, override = _read(parser, argument)
        except HydraException:
            problems.append(_unreadable(argument))
            continue
        wrong = [*_unknown_options(override, roots), *_unsearchable(searched[argument])]
        problems += wrong
        if not wrong:
            passed.append(f"++{readable.lstrip('+')}" if _sets_a_value(override, roots) else readable)
    return passed, problems


def _spelled_out(argument: str) -> str:
    """Return what a shorthand stands for: ``-v``, and ``data.split=group`` for the rule of the split."""
    if argument == VERBOSE:
        return "verbose=true"
    key, equals, value = argument.partition("=")
    return f"{key}.rule={value}" if key.lstrip("+") == "data.split" and equals and value[:1] not in "{'\"" else argument


def _read(parser: OverridesParser, argument: str) -> tuple[str, Override]:
    """Parse an argument; put its value in quotes where Hydra's grammar lacks a letter of it, or it is a file's path.

    A shell's completion writes ``data.path=/data/käufer (1).csv`` as it is. What begins like a list, a mapping or a
    quoted text, or lacks a bracket, is a typing error and stays one.

    Raises:
        HydraException: it cannot be read.
    """
    key, equals, value = argument.partition("=")
    text = f"{key}={_quoted(value)}"
    try:
        override = parser.parse_override(argument)
    except HydraException:
        if not equals or not _plain(value):
            raise
        return text, parser.parse_override(text)
    if override.is_sweep_override() and "," in value and Path(value).expanduser().exists():
        return text, parser.parse_override(text)
    return argument, override


def _plain(value: str) -> bool:
    whole = all(value.count(left) == value.count(right) for left, right in ("()", "[]", "{}"))
    return whole and not value.startswith(tuple("([{'\""))


def _quoted(value: str) -> str:
    """Quote text as Hydra reads it: a backslash counts only in front of a quote."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'


def _sets_a_value(override: Override, roots: Iterable[Path]) -> bool:
    """Return whether an override sets a value: no option of a group, no key of Hydra, nothing removed."""
    name = override.key_or_group
    hydras = re.split("[./]", name)[0] == "hydra"
    return not (hydras or override.is_delete() or override.package or any((root / name).is_dir() for root in roots))


def _unreadable(argument: str) -> Problem:
    key, equals, value = argument.partition("=")
    if not equals:
        near = suggest(argument, ["init"])  # the one word that is no override
        return Problem(
            "", f"'{argument}' changes nothing{near or '; write key=value or group=option; --help lists them'}"
        )
    quoted = "..." if re.search(r"""["'(){}[\]]""", value) else value
    text = (
        f"{value!r} cannot be read; close every bracket and quote, and put other text in quotes: '{key}=\"{quoted}\"'"
    )
    return Problem(key.lstrip("+~"), text)


def _unknown_options(override: Override, roots: Sequence[Path]) -> Iterator[Problem]:
    group = override.key_or_group
    if re.match(r"hydra\b", group):
        return  # Hydra checks its own
    if not any((root / group).is_dir() for root in roots):
        if "/" in group:
            groups = {str(path.relative_to(root)) for root in roots for path in root.rglob("*") if path.is_dir()}
            yield Problem(group, f"there is no such group{suggest_or_list(group, groups)}")
        return
    known = {path.stem for root in roots for path in (root / group).glob("*.yaml")}
    options = list(_options(override))
    if group == "search" and "optuna" in options[1:] + options[:-1]:
        yield Problem(group, "optuna runs a sweep and cannot be one of its jobs: write -m search=optuna alone")
    for option in options:
        if not any((root / group / f"{option.removesuffix('.yaml')}.yaml").exists() for root in roots):
            near = suggest(option, known)
            yield Problem(
                group, f"there is no option '{option}'{near or suggest_or_list(option, known) + _no_project()}"
            )


def _no_project() -> str:
    if Path("conf").is_dir():
        return ""
    return f". This folder has no conf/: change to your project, or write one with {called_as()} init"


def _options(override: Override) -> Iterator[str]:
    """Return the options that an override of a group selects; null selects none."""
    value = override.value()
    if isinstance(value, ChoiceSweep):
        values: Sequence[Any] = value.list
    else:
        values = value if isinstance(value, list) else [value]
    return (str(option) for option in values if option is not None)


def _searched(argument: str) -> Iterator[tuple[str, Path | None]]:
    """Yield each name in ``hydra.searchpath=[pkg://acme.conf,file:///there]``, with its folder if it exists."""
    if argument.lstrip("+").startswith("hydra.searchpath="):
        for kind, where in re.findall(r"(pkg|file)://([^\],'\"]+)", argument):
            yield f"{kind}://{where}", next(folders_of(f"{kind}://{where}"), None)


def _unsearchable(searched: Iterable[tuple[str, Path | None]]) -> Iterator[Problem]:
    for name, folder in searched:
        if folder is None:
            what = "folder" if name.startswith("file") else "package (is it installed, or on PYTHONPATH?)"
            yield Problem("hydra.searchpath", f"{name}: there is no such {what}")


def build_argv(arguments: Sequence[str], scratch: str) -> tuple[list[str], bool]:
    """Return the arguments for Hydra, and whether a sweep's deployment was left out.

    Jobs of a sweep would replace each other's service, so a sweep deploys nothing unless it says where. ``scratch`` is
    a temporary folder for the output of a dry run.
    """
    flags = [argument for argument in arguments if argument in SWEEP]
    others = [argument for argument in arguments if argument not in SWEEP]
    served = any(argument.lstrip("+").startswith(("deploy", "stages")) for argument in others)
    if flags and not served:
        others.append("deploy=none")
    if "++dry_run=true" in others:
        others += [f"hydra.run.dir={scratch}", f"hydra.sweep.dir={scratch}", "hydra.output_subdir=null"]
    return [*flags[:1], *others], bool(flags) and not served  # Hydra finds its flags only before the overrides
