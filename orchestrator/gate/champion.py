"""The champion: find it in the registry, and let its package score today's hold-out rows in a clean process."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.artifacts import ModelVersion, Package, Split
from orchestrator.deploy.none import NoTarget
from orchestrator.errors import PackageError
from orchestrator.packaging import clean_process, holdout_check
from orchestrator.registry.download import ensure_package
from orchestrator.registry.selection import find_version
from orchestrator.spec.field_types import StateDir
from orchestrator.spec.package import PackageSpec
from orchestrator.tracking.tracker import Tracker
from score.contract import training_info
from score.contract.schema import FILE, Contract

if TYPE_CHECKING:
    from orchestrator.gate.predictions import Predictions

CHUNK = 1000  # rows of a request
MOST_REFUSED = 0.1  # share of the hold-out rows that a champion may refuse and still be compared on the others
SHOWN = 3  # versions that differ
# reads one request a line, writes one answer a line; of the package only what Azure calls by name, as it may be an old one
_ASK = """import json
from score import score
score.init()
with open(sys.argv[1]) as asked, open(sys.argv[2], "w") as answers:
    for body in asked:
        answers.write(json.dumps(score.run(body)) + chr(10))
print(json.dumps("done"))
"""


class NotComparableError(Exception):
    """The champion cannot be compared with; the text says why."""


@dataclass(frozen=True)
class Champion:
    """The champion's version with its package on this machine, its contract, and what it says of its training."""

    version: ModelVersion
    contract: Contract
    about: Mapping[str, Any]

    @property
    def said(self) -> str:
        """Its name in text for the user."""
        return f"champion version {self.version.version}"


def load_champion(spec: PackageSpec, state_dir: StateDir, tracker: Tracker, *, fetch: bool = True) -> Champion:
    """Return the champion of the registry.

    One that another machine registered is downloaded, unless only what is here is to be looked at (``fetch`` is False).

    Raises:
        NotComparableError: its package is gone, not here, or of a format that is not read any more.
        TrackingError: the registry does not answer.
    """
    wanted = spec.model_copy(update={"version": "champion"})
    try:
        version = find_version(wanted, state_dir, tracker, NoTarget(), ())
        if fetch:
            version = ensure_package(version, state_dir, tracker)
        if not version.package.path.is_dir():
            raise NotComparableError("its package is not on this machine")
        contract = Contract.from_json((version.package.path / FILE).read_bytes())
        return Champion(version, contract, training_info.read(version.package.path) or {})
    except (PackageError, OSError, ValueError) as error:
        raise NotComparableError(f"its package cannot be used: {error}") from error


@dataclass(frozen=True)
class Answers:
    """What a champion predicts for the hold-out rows at the positions ``rows``; the others it refuses."""

    predictions: Predictions
    rows: Any
    notes: Sequence[str] = ()


def ask_champion(champion: Champion, split: Split) -> Answers:
    """Return the champion's predictions for the hold-out rows that its contract accepts.

    Raises:
        NotComparableError: it is of another task or other classes, needs other columns, refuses too many rows, or fails.
    """
    frame, contract = split.X_test, champion.contract
    _check_contract(contract, split)
    columns = [column.name for column in contract.columns]
    checked = holdout_check.check_rows(frame, contract.columns)
    if checked.refusals.share > MOST_REFUSED:
        raise NotComparableError(f"it refuses {holdout_check.describe_refusals(checked.refusals)}")
    rows = checked.rows
    records = holdout_check.as_records(frame[columns].iloc[rows], contract.columns)
    notes = [f"the {champion.said} refuses {checked.refusals.refused} hold-out rows; the others are compared"]
    return Answers(
        _as_predictions(_ask(champion.version.package, records), split),
        rows,
        [*(notes if checked.refusals.refused else []), *_other_versions(champion)],
    )


def target_note(champion: Champion, target: str) -> str:
    """Say that the champion predicts a column of another name, which may be another question."""
    its = champion.about.get("target")
    return (
        ""
        if not (its and target) or its == target
        else f"the {champion.said} predicts '{its}', and this version '{target}'"
    )


def overlap_note(champion: Champion, split: Split, holdout: str) -> str:
    """Say whether today's hold-out rows may be among the champion's training rows, which makes it look better."""
    about, said = champion.about, champion.said
    if about.get("fit_on") == "all" and about.get("held_out") == holdout:
        return f"the {said} was fitted on all rows, these hold-out rows included (search.fit_on=all), and looks better than it is"
    if about.get("held_out") == holdout:
        return ""
    if about.get("data") == split.digest:
        known = about.get("training_rows", 0), about.get("held_out_rows", 0)
        share = 1.0 if about.get("fit_on") == "all" else known[0] / (sum(known) or 1)
        return (
            f"the {said} was trained on another split of this table, or on other columns of the same split: with another one "
            f"about {share:.0%} of these hold-out rows were among its training rows, so it looks better than it is; with its "
            "seed and data.split both are scored on rows that are new"
        )
    return (
        f"the {said} was trained on another table: it is not known whether some of these hold-out rows were among its "
        "training rows, which would make it look better than it is"
    )


def _check_contract(contract: Contract, split: Split) -> None:
    task = "regression" if split.classes is None else "classification"
    if contract.task != task:
        raise NotComparableError(f"it is a {contract.task} and this is a {task}")
    if split.classes is not None:
        today, its = ({str(label) for label in each or ()} for each in (split.classes, contract.classes))
        if today != its:
            raise NotComparableError(f"its classes are {_list(its)}, and those of this table {_list(today)}")
    if missing := [column.name for column in contract.columns if column.name not in split.X_test]:
        raise NotComparableError(f"it needs columns that this table has not: {_list(missing)}")


def _list(names: Any) -> str:
    shown = sorted(map(str, names))
    more = [f"and {len(shown) - 10} more"] if len(shown) > 10 else []
    return ", ".join(map(repr, shown[:10])) + "".join(f" {each}" for each in more)


def _ask(package: Package, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the package's answers to requests of up to ``CHUNK`` rows."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answers = Path(folder, "requests.jsonl"), Path(folder, "answers.jsonl")
        with asked.open("w", encoding="utf-8") as file:
            for start in range(0, len(records), CHUNK):
                file.write(json.dumps({"data": records[start : start + CHUNK]}) + "\n")
        try:
            clean_process.run_package(package.path, f"exec({_ASK!r})", str(asked), str(answers))
            return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
        except (PackageError, OSError, ValueError) as error:
            raise NotComparableError(f"it fails on this machine: {error}") from error


def _as_predictions(answers: Sequence[Mapping[str, Any]], split: Split) -> Predictions:
    """Return answers as predictions by today's class codes."""
    import numpy as np

    from orchestrator.gate.predictions import Predictions

    predicted = [each for answer in answers for each in answer["predictions"]]
    if split.classes is None:
        return Predictions(np.asarray(predicted, dtype=float))
    codes = {str(label): code for code, label in enumerate(split.classes)}
    found = Predictions(np.array([codes[str(label)] for label in predicted]))
    if any(answer.get("probabilities") is None for answer in answers):
        return found
    order = np.argsort([codes[str(label)] for label in answers[0]["classes"]])
    rows = [each for answer in answers for each in answer["probabilities"]]
    return replace(found, probabilities=np.asarray(rows, dtype=float)[:, order])


def _other_versions(champion: Champion) -> Sequence[str]:
    """Say which libraries differ from those that the champion's package asks for."""
    differing = []
    for name, wanted in champion.contract.versions.items():
        try:
            installed = platform.python_version() if name == "python" else importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "none"
        if installed != wanted:
            differing.append(f"{name} {installed} for {wanted}")
    more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
    listed = ", ".join(differing[:SHOWN])
    return [f"the {champion.said} was scored with this machine's libraries ({listed}{more})"] if differing else []
