"""Choose by which column rows are held out: whole groups, else the newest rows, where the table allows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.modeling.splitting.folds import make_folds
from orchestrator.modeling.splitting.holdout import hold_out
from orchestrator.project.survey import Survey
from orchestrator.project.task import Task
from orchestrator.spec.split import SplitSpec
from score.contract.dates import ISO

if TYPE_CHECKING:
    import pandas as pd

_FORMATS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d")


@dataclass(frozen=True)
class SplitChoice:
    """The keys of ``data.split``, none for a random split, and why; ``notes`` are on columns that cannot decide."""

    keys: Mapping[str, Any] = field(default_factory=dict)
    why: str = "at random"
    notes: tuple[str, ...] = ()

    def dropped(self, survey: Survey) -> Mapping[str, str]:
        """Return the columns to leave out; the one that decides leaves the features anyway."""
        return {name: why for name, why in survey.dropped.items() if name != self.keys.get("by")}


def choose_split(survey: Survey, task: Task) -> SplitChoice:
    """Return the first rule that leaves rows of every class in the training, in the hold-out part and in every fold."""
    notes: list[str] = []
    for keys, values, why in _candidates(survey):
        if all(name == keys["by"] for name in survey.features):
            continue
        problem = _try(survey, task, SplitSpec(**keys), values)
        if not problem:
            return SplitChoice(keys, why)
        notes.append(f"the split is random: by '{keys['by']}', {why}, rows cannot be held out ({problem})")
    return SplitChoice(notes=tuple(notes))


def _candidates(survey: Survey) -> Iterator[tuple[dict[str, Any], pd.Series, str]]:
    for name, values in survey.groups.items():
        yield {"rule": "group", "by": name}, values, f"whole groups of '{name}'"
    for name, values in survey.times.items():
        keys = {"rule": "time", "by": name}
        if form := _written(name, survey) or _date_format(values):
            keys["date_format"] = form
        yield keys, values, f"the newest rows by '{name}'"


def _written(name: str, survey: Survey) -> str:
    """Return how a column of dates is written, if it was recognised and is not ISO 8601."""
    return survey.reading.form.dates.get(name, ISO).replace(ISO, "")


def _date_format(values: pd.Series) -> str:
    """Return how dates that are not written as ISO 8601 are; "" if that is not known for certain."""
    import pandas as pd

    texts = values.dropna().astype(str)
    is_compact = values.dtype.kind in "iu" and texts.str.fullmatch(r"\d{8}").all()
    if values.dtype.kind != "O" and not is_compact:
        return ""
    if not is_compact and pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).notna().all():
        return ""
    fitting = [form for form in _FORMATS if pd.to_datetime(texts, format=form, errors="coerce").notna().all()]
    return fitting[0] if len(fitting) == 1 else ""


def _try(survey: Survey, task: Task, split: SplitSpec, values: pd.Series) -> str:
    """Hold rows out and make folds; return why that fails, "" if it does not."""
    import numpy as np
    import pandas as pd

    classified = task.kind != "regression"
    target = survey.target.reset_index(drop=True)
    y = pd.Series(pd.factorize(target)[0]) if classified else target
    data = survey.data.model_copy(update={"split": split})
    try:
        held = hold_out(y, values.reset_index(drop=True), data, 0, classified=classified)
        train = y.iloc[held.train]
        folds, _ = make_folds(task.folds, held, train.to_frame(), train, split, 0, classified=classified)
    except DataError as error:
        return str(error).partition(": ")[2]
    parts = [train, y.iloc[held.test], *(train.iloc[rows] for fold in folds or () for rows in fold)]
    if classified and any(len(np.unique(part)) < len(task.counts) for part in parts):
        return "a class would be absent from the hold-out rows or from a fold"
    return "" if all(len(part) > 1 for part in parts) else "a fold would have one row only"
