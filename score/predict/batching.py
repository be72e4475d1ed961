"""Micro-batching: requests that arrive in one event-loop iteration share one model call, whose cost is mostly per call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from score.predict.predictor import Prediction

if TYPE_CHECKING:
    from score.contract.columns import Columns

    Predict = Callable[..., Prediction]  # Predictor.predict: columns, and whether labels are wanted

MAX_ROWS = 32  # of one shared call: by then the cost per call is a small part, and other requests wait


class MicroBatcher:
    """Calls ``predict`` once for all requests of one event-loop iteration; used from that loop alone.

    Args:
        predict: ``Predictor.predict``.
        batchable: Whether a row is predicted alike to the last bit whatever rows are predicted with it; else each
            request has a call of its own.
        report: Called with the mean seconds that the model took for each request of an iteration.
    """

    def __init__(self, predict: Predict, *, batchable: bool, report: Callable[[float], None]) -> None:
        self._predict, self._batchable, self._report = predict, batchable, report
        self._pending: list[_PendingRequest] = []

    async def predict(self, columns: Columns, *, labels: bool = True) -> Prediction:
        """Predict these columns, together with those of the other requests of this iteration."""
        loop = asyncio.get_running_loop()
        if not self._pending:
            loop.call_soon(self._predict_pending)
        future: asyncio.Future[Prediction] = loop.create_future()
        self._pending.append(_PendingRequest(columns, labels, len(next(iter(columns.values()), ())), future))
        return await future

    def _predict_pending(self) -> None:
        pending, self._pending = self._pending, []
        started = time.perf_counter()
        for batch in _split_batches(pending) if self._batchable else ([request] for request in pending):
            self._predict_batch(batch)
        self._report((time.perf_counter() - started) / len(pending))

    def _predict_batch(self, batch: Sequence[_PendingRequest]) -> None:
        if len(batch) > 1:
            with suppress(Exception):  # then each request is predicted alone, and the one at fault gets the error
                names = batch[0].columns
                columns = {name: [value for request in batch for value in request.columns[name]] for name in names}
                labels, probabilities = self._predict(columns, labels=any(request.labels for request in batch))
                stop = 0
                for request in batch:
                    start, stop = stop, stop + request.rows
                    own = None if probabilities is None else probabilities[start:stop]
                    request.resolve(Prediction(labels[start:stop], own))
                return
        for request in batch:
            try:
                request.resolve(self._predict(request.columns, labels=request.labels))
            except Exception as error:  # noqa: BLE001  # the awaiting request handles it
                request.reject(error)


class _PendingRequest(NamedTuple):
    columns: Columns
    labels: bool
    rows: int
    future: asyncio.Future[Prediction]

    def resolve(self, prediction: Prediction) -> None:
        if not self.future.done():  # a request may have been cancelled
            self.future.set_result(prediction)

    def reject(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def _split_batches(pending: Sequence[_PendingRequest]) -> Iterator[list[_PendingRequest]]:
    """Yield the requests in batches of at most ``MAX_ROWS`` rows; a longer request is a batch of its own."""
    batch: list[Any] = []
    rows = 0
    for request in pending:
        if batch and rows + request.rows > MAX_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(request)
        rows += request.rows
    if batch:
        yield batch
