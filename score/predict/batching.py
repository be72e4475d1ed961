"""Rows of requests that came at one moment, predicted in one run of the model: most of a run for one row is its start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from score.models.base import Columns, Model

T = TypeVar("T")
MOST = 32  # rows in one run: by then its start is a small part of it, and other requests want their turn


class Predict(Protocol):
    """A model's ``predict`` that may have to be waited for."""

    def __call__(self, columns: Columns, *, labels: bool = True) -> Awaitable[tuple[Any, Any]]:
        """See ``Model.predict``."""


def alone(model: Model) -> Predict:
    """The model itself, which nobody has to wait for."""

    async def predict(columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        return model.predict(columns, labels=labels)

    return predict


def at_once(steps: Coroutine[Any, Any, T]) -> T:
    """What comes of steps that wait for nothing, outside of an event loop."""
    try:
        steps.send(None)
    except StopIteration as done:
        given: T = done.value
        return given
    raise RuntimeError("waits for something")


class MicroBatcher:
    """Asks a model for all rows that were asked for in one turn of the event loop, of which it is to be used alone.

    Only a model that says so of itself (``together``) is asked for several requests at once. ``took`` is told how many
    seconds the model took for each of them, on average.
    """

    def __init__(self, model: Model, took: Callable[[float], None]) -> None:
        self._model, self._took = model, took
        self._asked: list[_PendingRequest] = []

    async def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """What the model predicts, once all that have come by now have asked, too."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._answer)
        answer: asyncio.Future[tuple[Any, Any]] = loop.create_future()
        self._asked.append(_PendingRequest(columns, labels, len(next(iter(columns.values()))), answer))
        return await answer

    def _answer(self) -> None:
        asked, self._asked = self._asked, []
        began = time.perf_counter()
        for some in _runs(asked) if self._model.together else ([one] for one in asked):
            self._run(some)
        self._took((time.perf_counter() - began) / len(asked))

    def _run(self, asked: Sequence[_PendingRequest]) -> None:
        if len(asked) > 1:
            with suppress(Exception):  # then each is told of its own
                columns = {name: [value for one in asked for value in one.columns[name]] for name in asked[0].columns}
                codes, shares = self._model.predict(columns, labels=any(one.labels for one in asked))
                end = 0
                for one in asked:
                    start, end = end, end + one.rows
                    one.tell(*(None if found is None else found[start:end] for found in (codes, shares)))
                return
        for one in asked:
            try:
                one.tell(*self._model.predict(one.columns, labels=one.labels))
            except Exception as error:  # noqa: BLE001  # whose request it is finds out which
                one.fail(error)


class _PendingRequest(NamedTuple):
    columns: Columns
    labels: bool
    rows: int
    answer: asyncio.Future[tuple[Any, Any]]

    def tell(self, codes: Any, shares: Any) -> None:
        if not self.answer.done():  # as it is where the server had to stop
            self.answer.set_result((codes, shares))

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            # a future takes no StopIteration
            self.answer.set_exception(RuntimeError(str(error)) if isinstance(error, StopIteration) else error)


def _runs(asked: Sequence[_PendingRequest]) -> Iterator[list[_PendingRequest]]:
    """The requests in groups of at most ``MOST`` rows; one that has more is a group of its own."""
    some: list[_PendingRequest] = []
    rows = 0
    for one in asked:
        if some and rows + one.rows > MOST:
            yield some
            some, rows = [], 0
        some.append(one)
        rows += one.rows
    if some:
        yield some
