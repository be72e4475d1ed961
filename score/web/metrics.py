"""Prometheus metrics: requests, rows, load, and the drift of requests from the training data.

Each of several workers counts into files of its own (prometheus_client's multiprocess mode, which the supervisor sets
up), and the worker that gets the scrape adds them up. A column's values are counted into the bins of its training
profile; drift is computed from the counts at scrape time. Requests change plain numbers, which ``update`` moves into the
library's counters: those take longer than scoring a row.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from score.contract import distribution
from score.contract.distribution import Profile

if TYPE_CHECKING:
    from score.contract.columns import Columns, Values

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
MIN_VALUES = 100  # fewer drift by chance
MAX_VALUES = 1000  # of one request, sampled evenly over its rows
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the variable that prometheus_client reads at its import
VALUES = "score_column_values"


class Metrics:
    """The counters of one process, and the page with those of all."""

    def __init__(self, package: Path, info: Mapping[str, str], queued: Callable[[], int] = int) -> None:
        self._queued = queued
        self._profiles = profiles = distribution.read(package)
        disable_created_metrics()  # type: ignore[no-untyped-call]  # an unused line for each counter
        own = CollectorRegistry()
        self._source: Any = own
        if FOLDER in os.environ:
            self._source = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        self._requests = Counter("score_requests", "Requests answered.", ("path", "status"), registry=own)
        self._seconds = Histogram(
            "score_request_seconds", "From a request's head to the end of its answer.", ("path",), registry=own,
            buckets=SECONDS,
        )  # fmt: skip
        self._rows = Counter("score_rows", "Rows that kept the contract.", registry=own)
        self._in_flight = Gauge("score_requests_in_flight", "Requests being answered, waiting ones included.",
                                registry=own, multiprocess_mode="livesum")  # fmt: skip
        self._waiting = Gauge("score_requests_waiting", "Requests in a queue for a thread that scores them.",
                              registry=own, multiprocess_mode="livesum")  # fmt: skip
        shown = Gauge("score_package_info", "What is served.", tuple(info), registry=own, multiprocess_mode="max")
        shown.labels(**info).set(1)
        values = Counter(VALUES, "Values of a column, by the part of training's spread that they fall into; "
                         f"of a long request {MAX_VALUES} of them.", ("column", "bin"), registry=own)  # fmt: skip
        self._values = {
            name: [values.labels(name, bin_name) for bin_name in each.bins] for name, each in profiles.items()
        }
        self._labelled: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.in_flight = 0  # changed by the event loop alone
        self._lock = threading.Lock()  # for what is pending until the next update
        self._answered: list[tuple[str, int, float, int]] = []
        self._pending = [(name, each.place, [0] * len(each.bins)) for name, each in profiles.items()]
        self._values_pending = False

    def count(self, path: str, status: int, seconds: float, rows: int | None) -> None:
        """Count a response; ``path`` is its route's, of which there are few."""
        with self._lock:
            self._answered.append((path, status, seconds, rows or 0))

    def watch(self, columns: Columns) -> None:
        """Count checked values; from any thread."""
        if len(next(iter(columns.values()), ())) == 1:
            places = [place(columns[name][0]) for name, place, _ in self._pending]
            with self._lock:  # the event loop waits for it, so only additions are done inside
                self._values_pending = True
                for (_, _, counts), where in zip(self._pending, places, strict=True):
                    counts[where] += 1
            return
        found = [self._profiles[name].counted(_sample(columns[name])) for name, _, _ in self._pending]
        with self._lock:
            self._values_pending = True
            for (_, _, counts), more in zip(self._pending, found, strict=True):
                counts[:] = map(add, counts, more)

    def update(self) -> None:
        """Move pending counts into the library's counters; from any thread."""
        with self._lock:
            for path, status, seconds, rows in self._answered:
                known = self._labelled.get((path, status))
                if known is None:
                    known = self._labelled[path, status] = (
                        self._requests.labels(path, status),
                        self._seconds.labels(path),
                    )
                known[0].inc()
                known[1].observe(seconds)
                if rows:
                    self._rows.inc(rows)
            self._answered.clear()
            self._in_flight.set(self.in_flight)
            self._waiting.set(self._queued())
            if self._values_pending:
                for name, _, counts in self._pending:
                    for where, count in enumerate(counts):
                        if count:
                            self._values[name][where].inc(count)
                            counts[where] = 0
            self._values_pending = False

    def page(self) -> tuple[bytes, str]:
        """Return what Prometheus scrapes, and its media type."""
        self.update()
        return generate_latest(_Scrape(self._source, self._profiles)), CONTENT_TYPE_LATEST


def _sample(values: Values) -> Values:
    step: int = max(1, -(-len(values) // MAX_VALUES))
    return values[::step]


class _Scrape:
    """A registry of the counters and the drift computed from them."""

    def __init__(self, source: Any, profiles: Mapping[str, Profile]) -> None:
        self._source, self._profiles = source, profiles

    def collect(self) -> Iterator[Metric]:
        found = list(self._source.collect())
        yield from found
        yield from self._drift(next((metric.samples for metric in found if metric.name == VALUES), ()))

    def _drift(self, samples: Iterable[Any]) -> Iterator[Metric]:
        counted = {
            (sample.labels["column"], sample.labels["bin"]): sample.value
            for sample in samples
            if sample.name == f"{VALUES}_total"
        }
        training = GaugeMetricFamily(
            "score_column_training_share", "The share of training's rows, by the same parts.", labels=("column", "bin")
        )
        outside = GaugeMetricFamily(
            "score_column_out_of_range_ratio", "The share of values beyond training's range.", labels=("column",)
        )
        psi = GaugeMetricFamily(
            "score_column_psi", "Population stability index against training since the service started, "
            f"after {MIN_VALUES} values; above {distribution.CHANGED} the column has changed.", labels=("column",),
        )  # fmt: skip
        for name, each in self._profiles.items():
            counts = [counted.get((name, bin_name), 0.0) for bin_name in each.bins]
            for bin_name, share in zip(each.bins, each.shares, strict=True):
                training.add_metric((name, bin_name), share)
            if sum(counts):
                outside.add_metric((name,), each.outside(counts))
            if sum(counts) >= MIN_VALUES:
                psi.add_metric((name,), each.psi(counts))
        yield from (training, outside, psi)
