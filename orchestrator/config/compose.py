"""Compose overrides and YAML groups into plain data with Hydra, collecting every mistake instead of stopping at the first.

Hydra stops at the first mistake, and accepts a typo in a group file. So what it cannot compose becomes a problem and
the rest is composed without it; unknown keys pass (see :mod:`orchestrator.config.overrides`) and validation finds them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from orchestrator.bundled import CONF
from orchestrator.config.arguments import DEFAULT_NAME
from orchestrator.config.composed import Composed
from orchestrator.config.file_errors import explain, misplaced_experiment
from orchestrator.config.overrides import COMPOSITION_ERRORS, HYDRA, parse_leniently
from orchestrator.config.search_path import register_project, replaced_primary
from orchestrator.config.validate import validate
from orchestrator.deploy.target import valid_service_name
from orchestrator.errors import Problem, SpecError
from orchestrator.spec.messages import format_path, one_line, suggest, suggest_or_list

_COMPOSING = threading.RLock()


def compose(*overrides: str, config_name: str = DEFAULT_NAME) -> Composed:
    """Return the configuration of a run, from overrides as they are typed behind ``orchestrate``.

    ``config_name`` is that of the primary config, as ``--config-name``.

    Raises:
        SpecError: an option that does not exist or a value that cannot be read, with every other mistake there is.
    """
    with isolated_hydra():
        readable, problems = parse_leniently(overrides)
        try:
            composed = _hydra_compose(readable, problems, config_name)
        except COMPOSITION_ERRORS as error:
            composed = compose_without(error, readable, problems, config_name)
    if composed.problems:
        validate(composed)
    return replace(composed, overrides=overrides)


@contextmanager
def isolated_hydra() -> Iterator[None]:
    """Compose in one thread at a time, and restore Hydra's process-wide state.

    The process may have a Hydra of its own: a notebook after ``initialize``, or a program under ``hydra.main``.
    """
    with _COMPOSING:
        hydra, base = GlobalHydra.instance(), VersionBase.instance()
        before, version_before = hydra.hydra, base.version_base
        hydra.clear()
        try:
            yield
        finally:
            GlobalHydra.set_instance(hydra)  # Hydra puts a copy in its place
            hydra.hydra, base.version_base = before, version_before


def _hydra_compose(overrides: Sequence[str], problems: Iterable[Problem], name: str = DEFAULT_NAME) -> Composed:
    register_project()
    with initialize_config_dir(str(CONF), version_base=HYDRA):
        return to_composed(hydra_compose(name, list(overrides)), problems)


def compose_without(
    error: Exception, overrides: Sequence[str], problems: Sequence[Problem], name: str = DEFAULT_NAME
) -> Composed:
    """Compose without the override that Hydra stopped at, which joins the ``problems`` found before.

    ``name`` is that of the primary config.

    Raises:
        SpecError: what Hydra stopped at is none of the overrides.
    """
    problem = hydra_problem(error)
    rest = [override for override in overrides if override.partition("=")[0].lstrip("+~") != problem.at]
    if len(rest) == len(overrides):
        raise SpecError([*problems, problem]) from error
    try:
        composed = _hydra_compose(rest, (), name)
    except COMPOSITION_ERRORS as another:
        return compose_without(another, rest, [*problems, problem], name)
    problem = hydra_problem(error, _all_paths(composed.values))
    return replace(composed, problems=[*problems, problem, *composed.problems])


def to_composed(
    config: DictConfig, problems: Iterable[Problem] = (), settings: Mapping[str, str | None] | None = None
) -> Composed:
    """Return plain data: interpolations resolved, ``state_dir`` absolute first so that all below it is absolute too.

    ``problems`` were found before; ``settings`` by dotted key are applied where the key exists. A value that is still
    missing (``???``) is left out, so that validation reports it with the other mistakes.
    """
    OmegaConf.set_struct(config, False)
    config = DictConfig(OmegaConf.to_container(config, resolve=False))
    with suppress(OmegaConfBaseException):  # which is found again below, with its path
        if isinstance(config.get("state_dir"), str) and config.state_dir.strip():  # an empty one is refused below
            absolute = Path(config.state_dir).expanduser().resolve()
            config.state_dir = str(absolute).replace("${", r"\${")  # a path, and no interpolation any more
    for name, value in (settings or {}).items():
        group, _, key = name.partition(".")
        if isinstance(config.get(group), DictConfig) and key in config[group]:
            config[group][key] = value
    text = str(OmegaConf.to_yaml(config))
    direct = dict(_interpolated(OmegaConf.to_container(config, resolve=False)))
    unresolved = []
    for at in direct:
        try:
            OmegaConf.select(config, at, throw_on_missing=True)
        except OmegaConfBaseException as error:
            unresolved.append(_unresolved(at, error, config))
    for problem in unresolved:  # only now: another value may be made from this one
        OmegaConf.update(config, problem.at, "???")
    values = _without_missing(OmegaConf.to_container(config, resolve=True, throw_on_missing=False))
    sources = {at: _all_sources(at, direct) for at in direct}
    notes = _validate_derived_service_name(values, sources)
    found = [*problems, *_foreign_primary(values), *misplaced_experiment(values), *unresolved]
    return Composed(values, text, sources=sources, problems=found, notes=notes)


def _foreign_primary(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield where the configuration comes from, if it is that of another program which has its options in ``conf/``."""
    file = replaced_primary()
    if file is not None and not {"name", "stages", "state_dir"} & {*values}:
        text = (
            "replaces the primary config of this tool and has none of its keys; if it is another program's, run in a "
            "folder of its own"
        )
        yield Problem("conf/config.yaml", text)


def _validate_derived_service_name(values: dict[str, Any], sources: Mapping[str, Any]) -> Sequence[str]:
    """Make a service name that is derived from other keys valid, and return a note about it.

    One that was typed stays as it is: validation refuses it.
    """
    at, deploy = "deploy.service_name", values.get("deploy")
    derived = deploy.get("service_name") if isinstance(deploy, dict) and at in sources else None
    if not isinstance(derived, str) or (valid := valid_service_name(derived)) == derived:
        return ()
    values["deploy"]["service_name"] = valid
    return [f"{at}: '{derived}' is no valid name of a service; it is called {valid}"]


def _unresolved(at: str, error: OmegaConfBaseException, config: DictConfig) -> Problem:
    missing = re.fullmatch(r"Interpolation key '(.+)' not found", str(error).splitlines()[0])
    if isinstance(error, InterpolationKeyError) and missing:
        return Problem(
            at,
            f"refers to '{missing[1]}', and there is no such key{suggest(missing[1], _all_paths(OmegaConf.to_container(config)))}",
        )
    return Problem(at, str(error).splitlines()[0])


def _all_paths(config: Any, *path: str) -> Iterator[str]:
    """Yield every key, at any depth."""
    for name, below in config.items() if isinstance(config, dict) else ():
        yield format_path(*path, str(name))
        yield from _all_paths(below, *path, str(name))


def _interpolated(value: Any, *path: str | int) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield every path whose value is made from others, with their keys."""
    if isinstance(value, dict | list):
        for name, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _interpolated(below, *path, name)
    elif isinstance(value, str) and "${" in value:
        yield format_path(*path), re.findall(r"\$\{([\w.]+)\}", value)


def _all_sources(at: str, direct: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Return the sources and, transitively, their sources; none for a value in a circle, which is itself the mistake."""
    found: set[str] = set()
    waiting = [at]
    while waiting:
        new = set(direct.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return frozenset() if at in found else frozenset(found)


def _without_missing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_missing(below) for name, below in value.items() if below != "???"}
    return [_without_missing(below) for below in value] if isinstance(value, list) else value


def hydra_problem(error: Exception, known: Iterable[str] = ()) -> Problem:
    """Translate an error of Hydra's into a problem; ``known`` keys are suggested for an unknown one."""
    return explain(error) or _several_values(str(error)) or _problem_of_override(error, known)


def _several_values(text: str) -> Problem | None:
    """Explain a comma outside of quotes, which Hydra takes for a sweep."""
    if typed := re.search(r"Ambiguous value for argument '\+*(.+?)=", text):
        how = f"quote text ('{typed[1]}=\"...\"') or write a list ('{typed[1]}=[a,b]'); with -m it is a sweep"
        return Problem(typed[1], f"has a comma, so that it may be several values: {how}")
    return None


def _problem_of_override(error: Exception, known: Iterable[str]) -> Problem:
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, option = error.missing_cfg_file.rpartition("/")
        kind = group.removeprefix("hydra/")  # Hydra's plugins are called after what they bring
        plugin = f"; is its plugin installed? pip install hydra-{option}-{kind}" if kind != group else ""
        return Problem(group, f"there is no option '{option}'{suggest_or_list(option, error.options)}{plugin}")
    if removed := re.search(r"Could not delete from config\. '(.+?)' does not exist", text):
        return Problem(removed[1], f"cannot be removed: there is no such key{suggest(removed[1], known)}")
    if unknown := re.search(r"Could not (?:override|append to config)[^']*'(.+?)'", text):
        return Problem(unknown[1], "Hydra has no such key")
    if merged := re.search(r"Error merging override \+*(.+?)=(.*)", text):
        return Problem(merged[1], f"cannot become {merged[2]}: {str(error.__cause__).splitlines()[0]}")
    if isinstance(error, OmegaConfBaseException):
        return Problem(str(error.full_key or ""), text.splitlines()[0])
    return Problem("", one_line(error).partition(" See https://")[0])
