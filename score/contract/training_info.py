"""Training summary: estimator, metrics and data of a package, stored in ``about/``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "about"
FILE = "training.json"


@dataclass(frozen=True)
class About:
    """The estimator with its best parameters, its hold-out metrics, its target, and the data's digest.

    ``split`` says how the hold-out rows were chosen: the strategy, the column or file that decides, the number of rows held
    out, and all of it in one line. ``intervals`` are of the metrics: low, high, level and method. ``decision`` says how the
    contract's threshold was chosen. The metrics are always those of a fit on the training rows; with ``fit_on`` "all" the
    served model was fitted again on the hold-out rows, too.

    ``held_out`` is the digest of the hold-out rows. ``folds`` holds the digest of the search's folds, the ratio of their test
    rows to their training rows and the model's scores on each: what a later model is compared with. ``target_profile`` are
    the shares of the target's values among the training rows, as :class:`score.contract.distribution.Profile` has them.

    Nothing of the run, such as a time or a path, as equal trainings give equal packages; see
    :mod:`score.contract.deployment_info` for these.
    """

    estimator: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    training_rows: int
    held_out_rows: int
    data: str
    target: str
    split: Mapping[str, Any] | None = None
    fit_on: str = "training"
    intervals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decision: Mapping[str, Any] | None = None
    held_out: str = ""
    folds: Mapping[str, Any] | None = None
    target_profile: Mapping[str, Any] | None = None


def write(package: Path, about: About, figures: Mapping[str, bytes]) -> None:
    """Write it into a package; figures are PNG by file name."""
    folder = package / FOLDER
    folder.mkdir()
    (folder / FILE).write_text(
        json.dumps(dataclasses.asdict(about), indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    for name, figure in figures.items():
        (folder / name).write_bytes(figure)


def read(package: Path) -> dict[str, Any] | None:
    """Read it as JSON; None for a package without."""
    file = package / FOLDER / FILE
    content: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return content


def figures(package: Path) -> dict[str, Path]:
    """Return the figures by file name."""
    return {path.name: path for path in sorted((package / FOLDER).glob("*.png"))}
