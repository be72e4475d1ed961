"""From overrides to plain data: Hydra's composition, with every mistake left in for :mod:`orchestrator.config.validate` to tell.

Hydra stops at the first mistake, and lets a typo in a group file pass. So what it cannot compose is told here in our
form and the rest is composed without it; unknown keys are let in (see :mod:`orchestrator.config.overrides`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException
from yaml import YAMLError

from orchestrator.config import validate
from orchestrator.config.overrides import CONF, HYDRA, parse_leniently
from orchestrator.deploy.target import valid_service_name
from orchestrator.errors import Problem, SpecError
from orchestrator.spec.messages import format_path, one_line, suggest, suggest_or_list
from orchestrator.spec.run_spec import ROOT

_COMPOSING = threading.RLock()
UNCOMPOSED = (HydraException, OmegaConfBaseException, YAMLError)  # what composing may raise


class Config(dict[str, Any]):
    """A composed configuration as plain data.

    ``sources`` says from which keys the value at a place was interpolated, ``problems`` what could not be. ``text`` is
    the YAML with interpolations as they were written: what comes from the environment may be secret. ``overrides``
    are as they were typed; ``sweep`` names the sweep of which this is a job. ``notes`` say what was made of a derived name.
    """

    text: str = ""
    overrides: Sequence[str] = ()
    sweep: str = ""
    notes: Sequence[str] = ()

    sources: Mapping[str, frozenset[str]] = {}
    problems: Sequence[Problem] = ()


def compose(*overrides: str) -> Config:
    """The configuration of a run, from overrides as they are typed behind ``python run.py``.

    Raises:
        SpecError: an option that does not exist or a value that cannot be read, with every other mistake there is.
    """
    with _own_hydra():
        typed, found = parse_leniently(overrides)
        try:
            config = _composed(typed)
        except UNCOMPOSED as error:
            raise SpecError(composition_problems(error, typed, found)) from error
    if found or config.problems:
        raise SpecError(validate.problems(config, found))
    config.overrides = overrides
    return config


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Compose in one thread at a time, and give Hydra's process-wide state back as it was.

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


def _composed(overrides: Sequence[str]) -> Config:
    with _own_hydra(), initialize_config_dir(str(CONF), version_base=HYDRA):
        return to_plain_data(hydra_compose("config", list(overrides)))


def composition_problems(error: Exception, overrides: Sequence[str], found: Sequence[Problem]) -> Iterator[Problem]:
    """What Hydra stopped at, with the mistakes found before and those in what is left without that override."""
    at = hydra_problem(error).at
    left = [override for override in overrides if override.partition("=")[0].lstrip("+~") != at]
    if len(left) == len(overrides):
        return iter([*found, hydra_problem(error)])
    try:
        config = _composed(left)
    except UNCOMPOSED as another:
        return composition_problems(another, left, [*found, hydra_problem(error)])
    return validate.problems(config, [*found, hydra_problem(error, _places(config))])


def to_plain_data(config: DictConfig, **values: Any) -> Config:
    """Plain data: interpolations resolved, ``state_dir`` absolute first so that all that is below it is absolute too.

    ``values`` are dotted keys (with ``__`` for a dot) that are set if they are there. A value that is still missing
    (``???``) is left out, so that it is told with the other mistakes.
    """
    OmegaConf.set_struct(config, False)
    config = DictConfig(OmegaConf.to_container(config, resolve=False))
    with suppress(OmegaConfBaseException):  # which is found again below, with its place
        if isinstance(config.get("state_dir"), str) and config.state_dir.strip():  # an empty one is refused below
            absolute = (ROOT / Path(config.state_dir).expanduser()).resolve()
            config.state_dir = str(absolute).replace("${", r"\${")  # a path, and no interpolation any more
    for name, value in values.items():
        group, _, key = name.partition("__")
        if isinstance(config.get(group), DictConfig) and key in config[group]:
            config[group][key] = value
    text = str(OmegaConf.to_yaml(config))
    sources = dict(_interpolated(OmegaConf.to_container(config, resolve=False)))
    problems = []
    for at in sources:
        try:
            OmegaConf.select(config, at, throw_on_missing=True)
        except OmegaConfBaseException as error:
            problems.append(_unresolved(at, error, config))
    for problem in problems:  # only now: another value may be made from this one
        OmegaConf.update(config, problem.at, "???")
    to_plain_data = Config(_given(OmegaConf.to_container(config, resolve=True, throw_on_missing=False)))
    to_plain_data.sources = {at: _all_sources(at, sources) for at in sources}
    to_plain_data.problems = problems
    to_plain_data.text = text
    to_plain_data.notes = _with_a_valid_service_name(to_plain_data)
    return to_plain_data


def _with_a_valid_service_name(config: Config) -> Sequence[str]:
    """Make a service name that is derived from other keys valid, and return what to say of it.

    One that was typed stays as it is: the checks refuse it.
    """
    at = "deploy.service_name"
    deploy = config.get("deploy")
    derived = deploy.get("service_name") if isinstance(deploy, dict) and at in config.sources else None
    if (
        not isinstance(deploy, dict)
        or not isinstance(derived, str)
        or (valid := valid_service_name(derived)) == derived
    ):
        return ()
    deploy["service_name"] = valid
    return [f"{at}: '{derived}' is no valid name of a service; it is called {valid}"]


def _unresolved(at: str, error: OmegaConfBaseException, config: DictConfig) -> Problem:
    missing = re.fullmatch(r"Interpolation key '(.+)' not found", str(error).splitlines()[0])
    if isinstance(error, InterpolationKeyError) and missing:
        return Problem(
            at,
            f"refers to '{missing[1]}', and there is no such key{suggest(missing[1], _places(OmegaConf.to_container(config)))}",
        )
    return Problem(at, str(error).splitlines()[0])


def _places(config: Any, *path: str) -> Iterator[str]:
    """Every key, however deep."""
    for name, below in config.items() if isinstance(config, dict) else ():
        yield format_path(*path, str(name))
        yield from _places(below, *path, str(name))


def _interpolated(value: Any, *path: str | int) -> Iterator[tuple[str, Sequence[str]]]:
    """Every place whose value is made from others, and their keys."""
    if isinstance(value, dict | list):
        for name, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _interpolated(below, *path, name)
    elif isinstance(value, str) and "${" in value:
        yield format_path(*path), re.findall(r"\$\{([\w.]+)\}", value)


def _all_sources(at: str, direct: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """The sources, and theirs; none for a value that is in a circle, which is nobody else's doing."""
    found: set[str] = set()
    waiting = [at]
    while waiting:
        new = set(direct.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return frozenset() if at in found else frozenset(found)


def _given(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _given(below) for name, below in value.items() if below != "???"}
    return [_given(below) for below in value] if isinstance(value, list) else value


def hydra_problem(error: Exception, known: Iterable[str] = ()) -> Problem:
    """What Hydra says when it cannot compose, in our form; ``known`` keys may be what was meant."""
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
