"""Make objects of dotted paths in YAML: locate the class, check its kind and options, then call it.

Checking comes before calling: a hostile ``_target_: subprocess.Popen`` is refused by its kind without ever being
run. Conf is code all the same, since locating imports the module; the serving side never reads a dotted path.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from orchestrator.errors import OrchestratorError, Problem, SpecError
from orchestrator.spec.messages import describe_error, format_path, format_value, one_line, suggest, suggest_or_list

# what to install for an optional module, and its extra; on Linux xgboost brings 700 MB for graphics cards
OPTIONAL = {
    "lightgbm": ("lightgbm", "boosting"),
    "xgboost": ("xgboost-cpu" if sys.platform == "linux" else "xgboost", "boosting"),
    "catboost": ("catboost", "boosting"),
    "skrub": ("skrub", "skrub"),
}
NOT_A_PATH = "should be a dotted path such as 'package.module.Name'"


def is_dotted(path: str) -> bool:
    """Return whether this reads as a dotted path of a module and a name in it."""
    parts = path.split(".")
    return len(parts) >= 2 and all(part.isidentifier() for part in parts)


def locate(path: str, at: str) -> Any:
    """Import what a dotted path names.

    Raises:
        SpecError: there is no such module, or nothing of that name in it (with the near name).
    """
    if not is_dotted(path):
        raise SpecError([Problem(at, f"{NOT_A_PATH}, got {format_value(path)}")])
    parts = path.split(".")
    found: Any = None
    for position, part in enumerate(parts):
        owner, name = ".".join(parts[:position]), ".".join(parts[: position + 1])
        inside_package = inspect.ismodule(found) and "__path__" in vars(found) and position < len(parts) - 1
        if position == 0 or inside_package:
            module = _imported(name, at)
            if module is None and name in OPTIONAL:
                library, extra = OPTIONAL[name]
                text = f"{name} is not installed; install it with: pip install {library}"
                raise SpecError([Problem(at, f"{text} (the extra: pip install -e '.[{extra}]')")])
            if module is None and position == 0:
                near = suggest(name, {*_project_modules()} - {name})
                raise SpecError([Problem(at, f"there is no module '{name}'{near or '; is its package installed?'}")])
            if module is not None:
                found = module
                continue
        found = _attribute(found, part, owner, at)
    return found


def _project_modules() -> list[str]:
    """Return the modules in the working directory, which is the project."""
    return [path.stem for path in Path.cwd().iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]


def _imported(name: str, at: str) -> Any:
    """Return the module, or None if there is none of this name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise SpecError([Problem(at, f"importing {name} failed: {one_line(error)}; is it installed?")]) from error
    except (Exception, SystemExit) as error:  # a module may raise anything; it is reported as a mistake
        text = f"importing {name} failed: {type(error).__name__}: {one_line(error)}"
        raise SpecError([Problem(at, text)]) from error


def _attribute(found: Any, part: str, owner: str, at: str) -> Any:
    try:
        return getattr(found, part)
    except AttributeError:
        modules = [module.name for module in pkgutil.iter_modules(getattr(found, "__path__", ()))]
        known = [name for name in {*dir(found), *modules} if not name.startswith("_")]
        raise SpecError([Problem(at, f"{owner} has no '{part}'{suggest_or_list(part, known)}")]) from None
    except Exception as error:  # a package that imports its modules lazily
        text = f"importing {owner}.{part} failed: {type(error).__name__}: {one_line(error)}"
        raise SpecError([Problem(at, text)]) from error


def component_problems(target: Any, options: Mapping[str, Any], at: str, kind: type | None = None) -> list[Problem]:
    """Return what is wrong with calling ``target(**options)``, without calling it.

    ``kind`` is a protocol or a class that the made object must satisfy; it is checked by its public methods.
    """
    if not isinstance(target, type):
        return [Problem(f"{at}._target_", f"should name a class, got {getattr(target, '__qualname__', target)!r}")]
    if kind is not None and (missing := [f"{name}()" for name in _methods(kind) if not has_method(target, name)]):
        text = f"{target.__module__}.{target.__qualname__} is no {kind.__name__}: it lacks {', '.join(missing)}"
        return [Problem(f"{at}._target_", text)]
    parameters = parameters_of(target)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    hints = _hints(target)
    problems = []
    for name, value in options.items():
        if name in named:
            problems += value_problems(hints.get(name, Any), value, f"{at}.{name}")
        elif not open_ended:
            problems.append(
                Problem(f"{at}.{name}", f"{target.__name__} has no such option{suggest_or_list(name, named)}")
            )
    return problems + missing_problems(target, options, at, "option")


def missing_problems(target: type, options: Mapping[str, Any], at: str, called: str) -> list[Problem]:
    """Return a problem for each parameter without a default that is not given."""
    return [
        Problem(f"{at}.{name}", f"is missing; {target.__name__} needs this {called}")
        for name, parameter in parameters_of(target).items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in options
    ]


def parameters_of(target: type) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class; any keyword, if it has no signature."""
    try:
        return inspect.signature(target).parameters
    except (TypeError, ValueError):  # some that are written in C
        return {"options": inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)}


def has_method(target: type, name: str) -> bool:
    """Return whether objects of a class have a method; ``getattr`` would find ``__call__`` on every class."""
    return any(callable(vars(base).get(name)) for base in target.__mro__)


def value_problems(hint: Any, value: Any, at: str) -> list[Problem]:
    """Return what is wrong with a value for a type hint: every problem of a mapping, the first one of anything else."""
    try:
        _as_hinted(hint, value)
    except ValidationError as error:
        found = [dict(each) for each in error.errors(include_url=False)]
        if isinstance(value, Mapping) and all(_is_inside(each["loc"], value) for each in found):
            return [_keyed(each, at) for each in found]
        return [Problem(at, describe_error(found[0]))]
    return []


def _keyed(found: Mapping[str, Any], at: str) -> Problem:
    """Return pydantic's error as a problem below ``at``; a rule about several keys names the wrong one itself."""
    text = describe_error(found)
    key, colon, rest = text.partition(": ")
    if found["type"] == "value_error" and colon and re.fullmatch(r"[\w.-]+", key):
        return Problem(format_path(at, *found["loc"], key), rest)
    return Problem(format_path(at, *found["loc"]), text)


def _is_inside(path: Any, value: Any) -> bool:
    """Return whether a path consists of keys of a value, not of types of a union; the last key may be missing."""
    for depth, part in enumerate(path, 1):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif not (isinstance(value, Mapping) and depth == len(path)):
            return False
    return True


def construct(target: Any, options: Mapping[str, Any], at: str) -> Any:
    """Make an object of a class in which :func:`component_problems` found nothing.

    Raises:
        SpecError: the constructor refuses the options.
    """
    hints = _hints(target)
    try:
        return target(**{name: _as_hinted(hints.get(name, Any), value) for name, value in options.items()})
    except OrchestratorError:
        raise
    except Exception as error:  # the options have the right types, and the class refuses them all the same
        raise SpecError([Problem(at, f"{target.__name__} refuses these options: {one_line(error)}")]) from error


def _as_hinted(hint: Any, value: Any) -> Any:
    """Convert a value to its hint; YAML knows neither paths nor tuples, so a list may become a tuple."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except PydanticUserError:  # a type that pydantic does not know
        return value
    return adapter.validate_json(json.dumps(value), strict=True)


def _hints(target: type) -> Mapping[str, Any]:
    """Return the annotations of a dataclass, which are its schema; other classes check their options themselves."""
    if not dataclasses.is_dataclass(target):
        return {}
    try:
        return typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError):  # annotations that exist for a type checker only
        return {}


def _methods(kind: type) -> Iterator[str]:
    for name, value in vars(kind).items():
        if inspect.isfunction(value) and (name == "__call__" or not name.startswith("_")):
            yield name
