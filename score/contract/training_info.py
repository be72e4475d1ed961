"""What people are told of a model: how it was trained and how it does, kept in the package's folder ``about/``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "about"
FILE = "training.json"


@dataclass(frozen=True)
class About:
    """The estimator with its best parameters, its metrics on the rows held out, what it predicts, and the data's digest.

    Nothing of the run, such as a time or a path: two equal trainings have the same (see :mod:`score.contract.deployment_info` for the rest).
    """

    estimator: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    training_rows: int
    held_out_rows: int
    data: str
    target: str


def write(package: Path, about: About, figures: Mapping[str, bytes]) -> None:
    """Keep it with a package; figures are PNG by file name."""
    folder = package / FOLDER
    folder.mkdir()
    (folder / FILE).write_text(
        json.dumps(dataclasses.asdict(about), indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    for name, figure in figures.items():
        (folder / name).write_bytes(figure)


def read(package: Path) -> dict[str, Any] | None:
    """What was written, as JSON has it; None for a package that has nothing of this."""
    file = package / FOLDER / FILE
    held: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return held


def figures(package: Path) -> dict[str, Path]:
    """The figures by file name."""
    return {path.name: path for path in sorted((package / FOLDER).glob("*.png"))}
