"""Find code of the project that cannot ship with the package, before anything is trained."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Container, Iterator

from orchestrator.errors import Problem
from orchestrator.packaging import own_code
from orchestrator.spec.objects import named_code
from orchestrator.spec.run_spec import RunSpec


def problems(spec: RunSpec, reported: Container[str] = ()) -> Iterator[Problem]:
    """Yield what is wrong in ``package.code``, and each class of the pipeline that no server could import.

    Paths that are ``reported`` already are left out, such as a class that cannot be imported here.
    """
    seen = set()
    for fault in own_code.collect((), spec.package.code or ())[1]:
        seen.add(fault)
        yield Problem("package.code", fault.format())
    if "package" not in spec.stages:
        return
    named = {"model.estimator": spec.model.estimator}
    named |= {f"{at}._target_": component.target for at, component in spec.preprocess.components()}
    for at, component in spec.preprocess.components():
        named |= named_code(component.options, at)
    named |= [*named_code(spec.model.params, "model.params"), *named_code(spec.model.param_grid, "model.param_grid")]
    for at, target in named.items():
        for fault in () if at in reported or not _is_there(target) else own_code.collect([target])[1]:
            if fault not in seen:
                seen.add(fault)
                yield Problem(at, fault.format())


def _is_there(target: str) -> bool:
    """Return whether a class's top-level module is there; one that is not is reported where it is located."""
    top = target.partition(".")[0]
    return sys.modules.get(top) is not None or importlib.util.find_spec(top) is not None
