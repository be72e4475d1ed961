"""Inspection: what the report shows besides the scores, as plain numbers and texts; and ReportPage, the file itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.findings import TableFinding

FILE = "report.html"
TINY = 30  # rows of a group, below which its scores say little


@dataclass(frozen=True)
class ColumnSummary:
    """One column: its kind, missing cells, distinct values, ``about`` these in words, and ``counts`` of a small histogram.

    ``counts`` are of bins of equal width for numbers and dates, else of the most frequent values, which ``levels`` names.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    about: str
    counts: tuple[int, ...] = ()
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSummary:
    """The table: its ``target``, the first ``columns`` of ``width`` ones, and rows that repeat another one.

    Histograms and ``repeated`` are of ``sampled`` of the ``rows`` rows; missing cells are counted in all.
    """

    rows: int
    training: int
    held_out: int
    width: int
    target: ColumnSummary
    columns: Sequence[ColumnSummary]
    repeated: int
    sampled: int


@dataclass(frozen=True)
class Curve:
    """A line of points (x, y) from 0 to 1; ``area`` is its area, or the average precision. ``label`` is the class."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float


@dataclass(frozen=True)
class Confusion:
    """Rows by actual and predicted label; with many labels only ``pairs`` (actual, predicted, rows), most rows first."""

    labels: tuple[str, ...]
    counts: Sequence[Sequence[float]] = ()
    pairs: Sequence[tuple[str, str, float]] = ()
    weighted: bool = False

    def named(self) -> Iterator[tuple[str, Sequence[float]]]:
        """Yield each actual label with its rows by predicted label."""
        yield from zip(self.labels, self.counts, strict=True)


@dataclass(frozen=True)
class ShareOfBin:
    """The rows with a probability in one bin: the mean probability, the share that is positive, and its interval."""

    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class HoldoutFigures:
    """The numbers of the figures on the hold-out rows; ``points`` are (actual, predicted) of a regression.

    ``calibration`` and ``by_threshold`` (precision, recall and F1 of labels from a probability on) are of two classes;
    ``threshold`` is the one that decides.
    """

    roc: Sequence[Curve] = ()
    precision_recall: Sequence[Curve] = ()
    prevalence: float = 0.0  # share of the positive rows: what the precision of chance is
    confusion: Confusion | None = None
    points: Sequence[tuple[float, float]] = ()
    sampled: int = 0
    calibration: Sequence[ShareOfBin] = ()
    by_threshold: Sequence[Curve] = ()
    threshold: float = 0.5


@dataclass(frozen=True)
class ColumnEffect:
    """What ``metric`` loses when a column is shuffled: the mean over the shuffles, and Student's interval of that mean."""

    column: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """Permutation importance: ``effects``, largest first, of the ``width`` columns of the table; ``note`` if there is none."""

    metric: str
    rows: int
    repeats: int
    width: int
    effects: Sequence[ColumnEffect] = ()
    note: str = ""


@dataclass(frozen=True)
class GroupScore:
    """A metric of the rows of a group; None where it cannot be computed. ``low`` and ``high`` are its interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """Hold-out rows with one value of a column, or one range of its values."""

    label: str
    rows: int
    scores: Mapping[str, GroupScore]


@dataclass(frozen=True)
class Slices:
    """The hold-out rows by the values of a ``column``: ``by`` its values or its quartiles.

    Of more groups than are shown ``left_out`` are counted.
    """

    column: str
    by: str
    groups: Sequence[Group]
    left_out: int = 0


@dataclass(frozen=True)
class ColumnChange:
    """A column against another table: ``what`` happened (empty: it has not changed), its values ``before`` and ``now``.

    ``index`` is its population stability index.
    """

    name: str
    what: str
    before: str
    now: str
    index: float = math.inf  # of another type, new or gone


@dataclass(frozen=True)
class DataChanges:
    """What changed in the rows that a model is fitted on: the ``columns`` that did, and the target in any case.

    ``champion`` names the model that was fitted on the former ones. Of ``width`` columns all but ``unprofiled`` were compared by
    their values, in ``sampled`` of the ``rows``; ``largest`` is the one with the largest population stability index.
    """

    champion: str
    rows_before: int
    rows: int
    target: ColumnChange | None
    columns: Sequence[ColumnChange]
    unprofiled: int
    width: int
    largest: tuple[str, float]
    sampled: int


@dataclass(frozen=True)
class Inspection:
    """What a look at the table and the trained model found: plain data, cheap to load.

    ``training_scores`` are of the training rows that the model was fitted on, by metric. ``findings`` are what is likely
    wrong with the model.
    """

    table: TableSummary
    figures: HoldoutFigures
    importance: Importance
    slices: Sequence[Slices]
    training_scores: Mapping[str, float]
    findings: Sequence[TableFinding]
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportPage:
    """The report as one HTML file, and the findings about the model that ``data.accept`` does not accept.

    ``remedy`` are the overrides of all findings together.
    """

    html: str = field(repr=False)
    findings: Sequence[TableFinding] = ()
    remedy: str = ""
