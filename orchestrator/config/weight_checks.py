"""Check ``data.weight`` against the file's header and the other keys that name columns, and metrics that take no weights."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import Problem, SpecError
from orchestrator.modeling.scorers import scorer_named
from orchestrator.modeling.weights import scorer_takes_weights
from orchestrator.reading.header import Header
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import suggest_or_list
from orchestrator.spec.search import SearchSpec

AT = "data.weight"


def column_problems(data: DataSpec, header: Header) -> Iterator[Problem]:
    """Yield that the column of the weights is no column of the file, or that it is something else already."""
    name = data.weight
    if name is None:
        return
    if name not in header.names:
        yield Problem(AT, f"{data.path.name} has no column '{name}'{suggest_or_list(name, header.names)}")
    elif name == data.target:
        yield Problem(AT, f"'{name}' is the target; name the column of the rows' weights")
    elif name == data.split.by:
        yield Problem(AT, f"'{name}' decides the split (data.split.by); name another column")
    elif name in data.text_columns:
        yield Problem(AT, f"'{name}' is read as text (data.text_columns), and a weight is a number")


def scorer_problems(search: SearchSpec, weight: str | None) -> Iterator[Problem]:
    """Yield every metric that takes no weights, where rows have some."""
    for name in search.scoring if weight is not None else ():
        try:
            scorer = scorer_named(name, search.scorers)
        except (SpecError, ValueError):  # reported as a scorer that does not exist
            continue
        if not scorer_takes_weights(scorer):
            text = (
                f"{name} takes no weights, and data.weight is '{weight}'; leave it out, or wrap a metric with a parameter "
                "sample_weight (search.scorers, sklearn.metrics.make_scorer)"
            )
            yield Problem("search.scoring", text)
