"""Limits of MLflow on names and values, checked against a spec before anything runs."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping

from orchestrator.errors import Problem
from orchestrator.spec.messages import format_value
from orchestrator.spec.run_spec import RunSpec

PARAM_LENGTH, TAG_LENGTH, NAME_LENGTH, KEY_LENGTH, EXPERIMENT_LENGTH = 6000, 8000, 120, 250, 500
TRUNCATION_MARK = " … (cut; the run's config.yaml has all of it)"
ALLOWED_CHARACTERS = "letters, digits, spaces, '_', '-', '.', ':' and '/'"


def known_parameters(spec: RunSpec) -> dict[str, str]:
    """Return the parameters that a run of this spec will have, as far as they are known before it."""
    sections = (spec.data, spec.preprocess, spec.model, spec.search)
    known = {"seed": str(spec.seed)}
    for section in sections:
        known |= section.flat()
    for name, values in spec.model.param_grid.items():
        known[f"best_{name}"] = max(map(str, values), key=len)
    return known


def name_problems(spec: RunSpec, *, logged_models: bool = True, most: int | None = None) -> Iterator[Problem]:
    """Yield each name in a spec that MLflow refuses; ``most`` is the server's limit of parameters per run."""
    experiment = spec.tracking.options.get("experiment_name")
    if isinstance(experiment, str) and not 0 < len(experiment.strip()) <= EXPERIMENT_LENGTH:
        yield Problem(
            "tracking.experiment_name",
            f"should be a name of 1 to {EXPERIMENT_LENGTH} characters, got {format_value(experiment)}",
        )
    known = known_parameters(spec)
    for name in known:
        if not name.startswith("best_") and (why := _refusal(name)):  # those are of model.param_grid, too
            yield Problem(name, f"MLflow refuses a parameter of this name: {why}; rename it, or write tracking=none")
    for name in spec.search.scoring:
        if why := _refusal(f"holdout_{name}_high"):
            yield Problem(
                "search.scoring", f"MLflow refuses a metric called {format_value(name)}: {why}; write tracking=none"
            )
    if most is not None and len(known) > most:
        yield Problem(
            "tracking",
            f"a run has {len(known)} parameters here and the server takes {most}; shorten preprocess, model.params or "
            "model.param_grid, or write tracking=local",
        )
    model = spec.package.model_name
    if "register" in spec.stages and logged_models and (found := re.search(r"[/:.%\"']", model)):
        yield Problem(
            "package.model_name",
            f"MLflow takes no {found[0]!r} in the name of a model; write {re.sub(r'[^A-Za-z0-9_-]', '_', model)!r}",
        )


def to_texts(values: Mapping[str, object]) -> dict[str, str]:
    """Convert values to the text that MLflow stores: a mapping becomes JSON, and long text is truncated with a mark."""
    return {
        key: truncate(json.dumps(value, default=str) if isinstance(value, Mapping) else str(value))
        for key, value in values.items()
    }


def truncate(text: str, longest: int = PARAM_LENGTH) -> str:
    """Shorten a text to ``longest`` characters, ending with a mark."""
    return text if len(text) <= longest else text[: longest - len(TRUNCATION_MARK)] + TRUNCATION_MARK


def _refusal(name: str) -> str:
    """Return why MLflow refuses a parameter or metric of this name; "" if it does not."""
    if not re.fullmatch(r"[/\w.\- :]*", name):
        return f"only {ALLOWED_CHARACTERS} are allowed"
    path = posixpath.normpath(name)
    if path != name or path == "." or path.startswith(("..", "/")):
        return "as a path it would be another one"
    return f"it has {len(name)} characters and {KEY_LENGTH} are the most" if len(name) > KEY_LENGTH else ""
