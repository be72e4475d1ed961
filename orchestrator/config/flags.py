"""Flags that no command has, such as ``--data x``, and wrong values of those it has: what to type instead."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser

from orchestrator.bundled import CONF, SCHEMA_FILE
from orchestrator.errors import Problem
from orchestrator.invocation import called_as
from orchestrator.spec.messages import suggest

# the flags of `init`, and the key that says the same to a run; empty: none does
OF_INIT = {"data": "data.path", "target": "data.target", "name": "name", "encoding": "data.encoding", "task": ""}
HYDRAS = {"defaults", "hydra"}  # keys of a file that are not typed
VERBOSE = "-v"  # this tool's own flag, for verbose=true
VERSION = "--version"  # Hydra's parser ends the process there


class _WrongFlagError(Exception):
    """What argparse says of Hydra's flags."""


def without_unknown_flags(arguments: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """Return the arguments without flags that Hydra does not know and their values, and what is wrong with the flags."""
    known = _known_flags()
    kept: list[str] = []
    unknown: dict[str, str] = {}
    last = ""  # an unknown flag that may have a value
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if argument.startswith("-") and not _is_known(flag, known):
            unknown[flag] = value
            last = "" if equals else flag
            continue
        if last and not (argument.startswith("-") or equals):
            unknown[last] = argument
        else:
            kept.append(argument)
        last = ""
    return kept, [*_unknown(unknown, known), *_wrong_values(kept)]


def _known_flags() -> Mapping[str, Sequence[str]]:
    """Return each of Hydra's flags, and the words that may follow it without a space, such as ``job`` after ``-c``."""
    actions = get_args_parser()._actions  # noqa: SLF001 -- argparse has no public list
    return {option: [*(action.choices or ())] for action in actions for option in action.option_strings}


def _is_known(flag: str, known: Mapping[str, Sequence[str]]) -> bool:
    if flag in known or flag in {"--", VERBOSE}:
        return True
    if flag.startswith("--"):  # argparse takes abbreviations
        return any(option.startswith(flag) for option in known)
    return any(flag in {f"{option}{choice}" for choice in choices} for option, choices in known.items())


def _unknown(flags: Mapping[str, str], known: Iterable[str]) -> Iterator[Problem]:
    names = {flag: flag.lstrip("-") for flag in flags}
    of_init = {flag: value for flag, value in flags.items() if names[flag] in OF_INIT}
    if {"data", "target"} & {names[flag] for flag in of_init}:
        typed = [f"--{names[flag]} {_quoted(value)}" for flag, value in of_init.items()]
        same = [f"{key}={_quoted(value)}" for flag, value in of_init.items() if (key := OF_INIT[names[flag]])]
        yield Problem(
            next(iter(of_init)),
            f"there is no such flag; a project for a table is written by `{called_as()} init {' '.join(typed)}`, and "
            f"a run takes `{' '.join(same)}`",
        )
        flags = {flag: value for flag, value in flags.items() if flag not in of_init}
    keys = _keys() if flags else {}
    for flag, value in flags.items():
        name = names[flag].replace("-", "_")
        if name in keys:
            same = [f"{key}={_quoted(value) if value else example}" for key, example in keys[name].items()]
            yield Problem(flag, f"there is no such flag; keys are typed without dashes: {' or '.join(same)}")
            continue
        spelled = {each.lstrip("-").replace("-", "_"): each for each in known} | {
            each: " or ".join(f"{key}={example}" for key, example in whole.items()) for each, whole in keys.items()
        }
        near = next(
            (shown for each, shown in spelled.items() if suggest(name, spelled) == suggest(name, [each]) != ""), ""
        )
        remedy = f"did you mean {near}?" if near else f"{called_as()} --help lists what there is to type: key=value"
        yield Problem(flag, f"there is no such flag; {remedy}")


def _quoted(value: str) -> str:
    return shlex.quote(value) if value else "..."


def _keys() -> Mapping[str, Mapping[str, str]]:
    """Return for the last part of each key the whole keys, and for each group its name; with an example of a value."""
    definitions = json.loads((CONF / SCHEMA_FILE).read_text(encoding="utf-8"))["definitions"]
    top = definitions["config"]["properties"]
    folders = [path.name for root in (Path("conf"), CONF) if root.is_dir() for path in root.iterdir() if path.is_dir()]
    folders = [name for name in folders if name[0] not in "._"]
    found = {name: {name: _example(top.get(name, {}))} for name in [*top, *folders] if name not in HYDRAS}
    for section in top:
        part = definitions.get(f"{section}.any") or definitions.get(section) or {}
        for key, schema in part.get("properties", {}).items():
            if key not in {*HYDRAS, "_target_"} and key not in top:
                found.setdefault(key, {})[f"{section}.{key}"] = _example(schema)
    return found


def _example(schema: Mapping[str, Any]) -> str:
    return "true" if {"type": "boolean"} in schema.get("anyOf", ()) else "..."


def _wrong_values(arguments: Sequence[str]) -> Iterator[Problem]:
    """Yield what Hydra's parser would end the process for, such as a flag without its value."""
    parser = get_args_parser()
    parser.error = _raise  # type: ignore[method-assign]
    try:
        parser.parse_known_args([argument for argument in arguments if argument[:3] != VERSION[:3]])
    except _WrongFlagError as error:
        flag, _, problem = str(error).removeprefix("argument ").partition(": ")
        yield Problem(flag.partition("/")[0], problem)


def _raise(message: str) -> NoReturn:
    raise _WrongFlagError(message)
