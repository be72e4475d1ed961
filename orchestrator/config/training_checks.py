"""Checks of what is trained that need its classes: those that passed are remembered, so that the next run imports none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from orchestrator.caching.cache import Cache, CorruptEntryError, digest
from orchestrator.caching.fingerprints import source_digests, versions_of
from orchestrator.config import calibrate_checks, estimator_checks, evaluate_checks, weight_checks
from orchestrator.errors import Problem
from orchestrator.modeling.splitting import splitters
from orchestrator.spec.run_spec import RunSpec


@dataclass(frozen=True)
class PassedChecks:
    """The cached artifact of checks of an estimator, transformers and scorers that found nothing."""

    key: str


def problems(spec: RunSpec, cache: Cache, *, remember: bool) -> Iterator[Problem]:
    """Yield what needs the estimator's import, unless the same checks passed before."""
    parts = _parts(spec)
    key = digest(parts)
    with contextlib.suppress(CorruptEntryError):  # a damaged entry is a miss
        if parts and cache.find("checks", key):
            return
    passed = True
    of_splitter = splitters.problems(spec.search.cv, spec.data.split)
    of_estimator = estimator_checks.problems(spec.model, spec.preprocess, spec.search, spec.data.task)
    of_weights = weight_checks.scorer_problems(spec.search, spec.data.weight)
    of_threshold = evaluate_checks.problems(spec.evaluate, spec.model, spec.data)
    of_calibration = calibrate_checks.problems(spec.model, spec.data, spec.search)
    for problem in chain(of_splitter, of_estimator, of_weights, of_threshold, of_calibration):
        passed = False
        yield problem
    if parts and remember and passed:
        with contextlib.suppress(OSError):
            cache.save("checks", key, parts, PassedChecks(key))


def _parts(spec: RunSpec) -> Mapping[str, str]:
    """Return what decides the outcome of the estimator's checks; nothing if that is not known."""
    rules = {
        k: v
        for each in (calibrate_checks, estimator_checks, evaluate_checks, splitters, weight_checks)
        for k, v in source_digests(each.__name__).items()
    }
    sections = (spec.model, spec.preprocess, spec.search, spec.evaluate)
    try:
        taken = [section.cache_parts() for section in sections]
    except Exception:  # noqa: BLE001 - a module of the user's may not even parse; importing it reports that
        return {}
    # of some rules of the split a splitter gets groups
    rules |= {"search.fit_on": spec.search.fit_on} if spec.model.calibrates else {}
    rules |= {"data.positive": ""} if spec.data.positive is not None else {}
    rules |= {"data.split.rule": spec.data.split.rule, "data.task": spec.data.task, "weight": str(spec.data.weight)}
    return {**rules, **versions_of(["scikit-learn"]), **{k: v for parts in taken for k, v in parts.items()}}
