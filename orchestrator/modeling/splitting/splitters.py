"""Splitters of ``search.cv``: check the class, make the object, count its folds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.errors import Problem, SpecError
from orchestrator.spec.components import component_problems, locate
from orchestrator.spec.messages import one_line
from orchestrator.spec.search import SearchSpec
from orchestrator.spec.section import Component
from orchestrator.spec.split import SplitSpec

AT = "search.cv"


class Splitter:
    """What a class must have to be a splitter: scikit-learn's two methods."""

    def split(self) -> None:
        """Yield the positions of the rows to fit on and to score on."""

    def get_n_splits(self) -> None:
        """Return the number of folds."""


def make_splitter(cv: int | Component) -> Any:
    """Return the number of folds as it is, or the splitter of a class in which :func:`problems` found nothing.

    Raises:
        SpecError: there is no such class, or it refuses its options.
    """
    if isinstance(cv, int):
        return cv
    kind = locate(cv.target, f"{AT}._target_")
    try:
        return kind(**cv.options)
    except Exception as error:  # a foreign constructor may raise anything
        raise SpecError([Problem(AT, f"{kind.__name__} cannot be made: {one_line(error)}")]) from error


def problems(cv: int | Component, split: SplitSpec) -> Iterator[Problem]:
    """Yield what is wrong with a splitter: its class, its options, or that it needs groups and there are none."""
    if isinstance(cv, int):
        return
    try:
        kind = locate(cv.target, f"{AT}._target_")
        wrong = component_problems(kind, cv.options, AT, Splitter)
        splitter = None if wrong else make_splitter(cv)
    except SpecError as error:
        yield from error.problems
        return
    yield from wrong
    if splitter is not None and split.rule != "group" and _takes_groups(splitter):
        text = f"{type(splitter).__name__} needs groups; write data.split=group data.split.by=COLUMN"
        yield Problem(f"{AT}._target_", text)


def _takes_groups(splitter: Any) -> bool:
    """Return whether a splitter asks for groups, by scikit-learn's metadata routing."""
    try:
        return "groups" in splitter.get_metadata_routing().consumes("split", ["groups"])
    except Exception:  # noqa: BLE001 - a splitter of another library has none, or one of its own
        return False


def fold_count(search: SearchSpec, split: SplitSpec) -> int | None:
    """Return the number of folds; None if it depends on the rows."""
    if isinstance(search.cv, int):
        return None if split.rule == "column" else search.cv
    try:
        return int(make_splitter(search.cv).get_n_splits())
    except Exception:  # noqa: BLE001 - LeaveOneGroupOut and others count groups or rows
        return None


def describe_folds(search: SearchSpec, split: SplitSpec) -> str:
    """Return the folds in words, before any row is read."""
    count = fold_count(search, split)
    if isinstance(search.cv, Component):
        return f"{count if count is not None else 'the'} folds of {search.cv.target.rpartition('.')[2]}"
    if split.rule == "column":
        return f"{search.cv} folds, or the validation rows of '{split.by}'"
    said = {"group": " of whole groups", "time": ", each after those it learns from"}.get(split.rule, "")
    return f"{search.cv} folds{said}"


def describe_rule(split: SplitSpec, test_size: float, *, stratified: bool) -> str:
    """Return the rule in words, before any row is read."""
    share = f"{test_size:.0%} of the rows"
    gap = f", {split.gap} after the others" if split.gap else ""
    return {
        "random": f"at random, {share} held out{', stratified if the target has classes' if stratified else ''}",
        "group": f"by '{split.by}', whole groups with {share} held out",
        "time": f"by '{split.by}', the newest {share} held out{gap}",
        "column": f"as '{split.by}' says",
        "file": f"the rows of {split.file.name if split.file else ''} are held out",
    }[split.rule]
