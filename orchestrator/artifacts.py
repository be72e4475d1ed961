"""Artifacts: the frozen values that stages take and return. Heavy libraries are imported for annotations only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.notebook_views import EndpointView, EvaluationView, TrainedView

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator

    from orchestrator.findings import TableFinding
    from orchestrator.modeling.decision import Decision
    from orchestrator.modeling.row_digests import FoldScores
    from orchestrator.modeling.splitting.folds import Folds
    from orchestrator.modeling.splitting.summary import SplitSummary
    from orchestrator.modeling.weights import RowWeights
    from orchestrator.reading.description import TableReading
    from orchestrator.uncertainty.design import HoldOutDesign
    from orchestrator.uncertainty.interval import Interval


@dataclass(frozen=True)
class Dataset:
    """The table as read: ``X`` (n_rows, n_columns) and ``y`` (n_rows,).

    ``classes`` are the labels in the file, in the order of their codes in ``y``; None for a regression. ``reading``
    says how each column was read. ``split_by`` (n_rows,) decides which rows are held out, unless that is random.
    ``weights`` (n_rows,) are None where each row counts alike.
    """

    X: pd.DataFrame
    y: pd.Series
    classes: tuple[Any, ...] | None
    digest: str
    reading: TableReading | None = None
    split_by: pd.Series | None = None
    weights: pd.Series | None = None


@dataclass(frozen=True)
class Split:
    """Training and hold-out rows; ``classes``, ``digest`` and ``reading`` are the Dataset's.

    ``folds`` are positions of training rows; None where the search makes them itself. ``keys`` (n_train,) are the groups
    or times of the training rows where these decide the split. ``design`` says how the hold-out rows depend on each other.
    """

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: pd.Series
    y_test: pd.Series
    classes: tuple[Any, ...] | None
    digest: str
    reading: TableReading | None = None
    folds: Folds | None = None
    summary: SplitSummary | None = None
    weights: RowWeights | None = None
    keys: Any = None
    design: HoldOutDesign | None = None


@dataclass(frozen=True)
class Search:
    """An unfitted search over ``candidates`` candidates: a scikit-learn search estimator, ready to clone and fit.

    ``fits`` is None where that depends on how the candidates do, or on the rows.
    """

    estimator: BaseEstimator
    candidates: int
    fits: int | None


@dataclass(frozen=True)
class Candidate:
    """One candidate of the search: parameters, and mean and std over the folds of every metric."""

    params: Mapping[str, Any]
    mean: Mapping[str, float]
    std: Mapping[str, float]
    rank: int
    fit_seconds: float
    resources: int | None = None  # what a halving search spent on it in its last round
    error: str = ""  # why it has no score (search.on_error=skip)


@dataclass(frozen=True)
class Trained(TrainedView):
    """The best pipeline, refitted on all training rows, and every candidate's scores. Parameters have bare names.

    ``trees`` is the number at which the refit stopped early; None if it could not. ``unfitted`` is the last step as another
    fit needs it; None if that is a clone of the pipeline's.
    """

    pipeline: BaseEstimator
    best_index: int
    candidates: Sequence[Candidate]
    finished_at: str = ""  # ISO 8601, UTC; the time of the training, also where it comes from the cache
    trees: int | None = None
    unfitted: Any = None
    folds: FoldScores | None = None  # the best candidate's; None where folds differ

    @property
    def best(self) -> Candidate:
        """The candidate that ``pipeline`` was refitted with."""
        return self.candidates[self.best_index]


@dataclass(frozen=True)
class ScoreContext:
    """What scores depend on: the number of hold-out ``rows`` and the strategy of the ``dummy`` model."""

    rows: int = 0
    positive: str = ""  # of two labels
    positive_metrics: Sequence[str] = ()  # those that depend on which label is positive
    dummy: str = ""
    weight: str = ""  # the column that the hold-out rows are weighted by
    caution: str = ""  # what the intervals take for granted, in a sentence


@dataclass(frozen=True)
class Evaluation(EvaluationView):
    """The best pipeline on the hold-out rows: metrics with intervals, and figures as PNG bytes by file name.

    ``decision`` is the threshold of labels; None: the estimator's ``predict`` decides. Of ``calibration`` lower is better.
    """

    metrics: Mapping[str, float]
    figures: Mapping[str, bytes] = field(repr=False)
    dummy: Mapping[str, float] = field(default_factory=dict)  # metrics of a model that ignores the features
    notes: ScoreContext = ScoreContext()
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # of the metrics that have one
    decision: Decision | None = None
    calibration: Mapping[str, float] = field(default_factory=dict)
    dummy_calibration: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a tracker records, as strings, numbers and bytes: cheap to load and to send between processes."""

    params: Mapping[str, str]
    tags: Mapping[str, str]
    best_params: Mapping[str, Any]
    metrics: Mapping[str, float]
    candidates: Sequence[Candidate]
    figures: Mapping[str, bytes] = field(repr=False)
    config: str
    trained_at: str = ""
    notes: ScoreContext = ScoreContext()
    table: Mapping[str, Any] | None = None  # how the table was read, for result.json
    findings: Sequence[TableFinding] = ()  # about the table
    split: Mapping[str, Any] | None = None  # how its rows were split
    folds: int | None = None  # the number of test scores that each mean is of; None where that depends on the rows
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # of the hold-out metrics
    decision: Decision | None = None  # the Evaluation's


BESIDE_PACKAGE = ("MLmodel", "input_example.json", "serving_input_example.json", "report.html")  # of a version


@dataclass(frozen=True)
class Refusals:
    """How many of the hold-out ``rows`` the endpoint would refuse, with an example value, by column and reason."""

    rows: int
    refused: int
    reasons: Mapping[str, Mapping[str, int]]
    examples: Mapping[str, Mapping[str, str]]

    @property
    def share(self) -> float:
        """The share of the rows that are refused."""
        return self.refused / self.rows if self.rows else 0.0


def short_id(fingerprint: str) -> str:
    """Return the start of a package's fingerprint, which identifies it in text for the user."""
    return fingerprint[:16]


@dataclass(frozen=True)
class Package:
    """A self-contained folder that any target can serve; ``fingerprint`` is the digest of all its files."""

    path: Path
    fingerprint: str
    model_name: str
    refusals: Refusals | None = field(default=None, compare=False)

    @classmethod
    def stored(cls, state_dir: Path, fingerprint: str, model_name: str, refusals: Refusals | None = None) -> Package:
        """Return the package with this fingerprint in ``state_dir``."""
        return cls(state_dir / "packages" / short_id(fingerprint), fingerprint, model_name, refusals)

    @property
    def short_id(self) -> str:
        """The start of the fingerprint, as folders, images and messages name the package."""
        return short_id(self.fingerprint)

    def cache_files(self) -> Sequence[Path]:
        """Return every file: a package that lost or changed one is built again."""
        return sorted(path for path in self.path.rglob("*") if path.is_file() and "__pycache__" not in path.parts)

    def is_intact(self) -> bool:
        """Return whether the folder exists and its files still have the fingerprint."""
        from score.contract.schema import FILE, Contract, fingerprint_of

        try:
            promised = Contract.from_json((self.path / FILE).read_bytes()).fingerprint
            return promised == self.fingerprint == fingerprint_of(self.path)
        except (OSError, ValueError):
            return False


@dataclass(frozen=True)
class Verification:
    """A clean process loaded this package and gave the training process's answers to ``requests`` golden requests."""

    fingerprint: str
    requests: int
    memory_bytes: int


@dataclass(frozen=True)
class TrackedRun:
    """The run that holds a Report; ``run_id`` is None where nothing is tracked."""

    run_id: str | None


@dataclass(frozen=True)
class PackageProvenance:
    """Where a package comes from; kept outside of it, since equal trainings make equal packages. Empty: not known."""

    data: str = ""  # the name of the table's file
    trained: str = ""  # the time of the training
    spec_hash: str = ""
    rebuild: str = ""  # the command that repeats the run
    gate: str = ""  # why it was deployed


@dataclass(frozen=True)
class ModelVersion:
    """A version in the model registry. ``version`` is empty and ``run_id`` None where nothing is tracked.

    ``memory_bytes`` is what the verification measured; 0 if unknown. ``origin`` is of the last run that registered the
    package. ``chosen`` is why a version of an earlier run was selected; empty for this run's own.
    """

    name: str
    version: str
    run_id: str | None
    package: Package
    memory_bytes: int = field(default=0, compare=False)
    origin: PackageProvenance = field(default=PackageProvenance(), compare=False)
    chosen: str = field(default="", compare=False)


@dataclass(frozen=True)
class BatchResult:
    """A scored table of ``rows`` rows at a path or a URL; the file ``reasons`` says why ``refused`` rows were refused.

    ``out_of_range`` counts values beyond training's range by column, ``unseen`` levels that no training row has.
    """

    path: Path | str
    rows: int
    refused: int
    reasons: Path | str | None
    out_of_range: Mapping[str, int]
    unseen: Mapping[str, int]


@dataclass(frozen=True)
class Endpoint(EndpointView):
    """Where a package is served. ``headers`` hold the key, so they are never printed or compared."""

    url: str
    target: str
    auth: bool
    package: Package
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    share: int = 100  # percentage of the traffic; a canary gets less than 100


@dataclass(frozen=True)
class Probe:
    """The endpoint gave the package's own answers to ``requests`` golden requests; ``share`` is the Endpoint's."""

    requests: int
    p50_ms: float
    p95_ms: float
    refused_without_key: bool | None
    share: int = 100
