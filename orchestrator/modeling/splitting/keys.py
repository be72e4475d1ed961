"""Read the column that decides the split: groups, times, or the names of parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.modeling.labels import UnknownLabelError, find_label
from orchestrator.spec.messages import format_value
from orchestrator.spec.split import SplitSpec, duration_seconds
from score.contract import dates

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

TRAINING, VALIDATION, HELD_OUT = 0, 1, 2  # parts of the table
_WORDS = {  # names of parts that need no explanation, in lower case
    TRAINING: {"train", "training", "fit"},
    VALIDATION: {"valid", "validation", "val", "dev"},
    HELD_OUT: {"test", "testing", "holdout", "hold-out", "hold_out", "held out", "held_out"},
}
_LISTED = 5  # values in an error


def group_codes(values: pd.Series, by: str) -> np.ndarray:
    """Return the group of each row as a number from 0, in sorted order: scikit-learn then splits as by the values.

    Raises:
        DataError: a group is missing, or there is only one.
    """
    import pandas as pd

    _refuse_missing(values, by)
    codes, groups = pd.factorize(values, sort=True)
    if len(groups) < 2:
        raise DataError(f"data.split.by: '{by}' has one group only, {groups[0]!r}; two are the least")
    return codes


def time_values(values: pd.Series, split: SplitSpec) -> np.ndarray:
    """Return the time of each row as a number, or as numpy's datetime64 (in UTC if there are time zones).

    Raises:
        DataError: a time is missing or cannot be read, all are equal, or the gap has another unit.
    """
    by = str(split.by)
    _refuse_missing(values, by)
    numeric = values.dtype.kind in "iuf"
    times = values.to_numpy() if numeric and split.date_format is None else _dates(values, split)
    if (times == times[0]).all():
        raise DataError(f"data.split.by: '{by}' holds one time only, {values.iloc[0]!s}; two are the least")
    if times.dtype.kind == "M" and split.gap and not isinstance(split.gap, str):
        raise DataError(f"data.split.gap: '{by}' holds dates; write the gap with its unit, such as {split.gap:g}d")
    if times.dtype.kind != "M" and isinstance(split.gap, str):
        raise DataError(
            f"data.split.gap: '{by}' holds numbers such as {times[0]!s}; write the gap as a number in their unit, or say "
            "how a date is written (data.split.date_format='%Y%m%d')"
        )
    return times


def gap_of(times: np.ndarray, split: SplitSpec) -> Any:
    """Return the gap in a form that can be subtracted from ``times``."""
    import numpy as np

    if isinstance(split.gap, str):
        return np.timedelta64(round(duration_seconds(split.gap) * 1e6), "us")
    return split.gap or times.dtype.type(0) if times.dtype.kind != "M" else np.timedelta64(0, "us")


def _dates(values: pd.Series, split: SplitSpec) -> np.ndarray:
    import pandas as pd

    if values.dtype.kind != "M":
        written = values.astype(str) if values.dtype.kind in "iuf" else values
        form = split.date_format or "ISO8601"
        is_text = isinstance(written.iloc[0], str)  # else dates or timestamps of Python
        dates = pd.to_datetime(written, format=form if is_text else None, errors="coerce", utc=True)
        if (unread := dates.isna()).any():
            raise DataError(_unread_date(values[unread], split))
    else:
        dates = values
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.to_numpy().astype("datetime64[us]")  # nanoseconds end in 2262


def _unread_date(unread: pd.Series, split: SplitSpec) -> str:
    more = f" (and {len(unread) - 1:,} more)" if len(unread) > 1 else ""
    cell = format_value(str(unread.iloc[0]))
    if split.date_format is not None:
        return f"data.split.date_format: '{split.by}' holds {cell}{more}, which is not written as {split.date_format}"
    return (
        f"data.split.by: '{split.by}' holds {cell}{more}, which is neither a number nor a date such as 2024-01-31; say how "
        "it is written: 'data.split.date_format=\"%d/%m/%Y\"'"
    )


def parts_of(values: pd.Series, split: SplitSpec) -> np.ndarray:
    """Return the part of each row: TRAINING, VALIDATION or HELD_OUT, by ``split.test`` or by common names of parts.

    Raises:
        DataError: a row has no part, a name is unknown, or no rows are left for the training or for the evaluation.
    """
    by = str(split.by)
    _refuse_missing(values, by)
    if values.dtype.kind == "M":
        aware = dates.is_aware(str(values.dtype))
        values = dates.seconds_series(values).map(lambda seconds: dates.write(seconds, aware=aware))
    labels = values.unique().tolist()
    meaning = _named_parts(labels, split) if split.test is not None else _known_parts(labels, by)
    if split.test is None and split.validation is not None:
        meaning |= dict.fromkeys(_find(split.validation, labels, "validation", by), VALIDATION)
    for part, key in ((HELD_OUT, "test"), (TRAINING, "by")):
        if part not in meaning.values():
            what = "held out" if part == HELD_OUT else "left for training"
            raise DataError(f"data.split.{key}: no row is {what}: '{by}' holds {_listed(labels)}")
    return values.map(meaning).to_numpy()


def _named_parts(labels: Sequence[Any], split: SplitSpec) -> dict[Any, int]:
    """Return the parts of labels that the configuration names; every other one is for training."""
    meaning = dict.fromkeys(labels, TRAINING)
    for part, key in ((VALIDATION, "validation"), (HELD_OUT, "test")):
        named = getattr(split, key) or ()
        meaning |= dict.fromkeys(_find(named, labels, key, str(split.by)), part)
    return meaning


def _find(named: Iterable[Any], labels: Sequence[Any], key: str, by: str) -> list[Any]:
    try:
        return [find_label(name, labels) for name in named]
    except UnknownLabelError as error:
        text = str(error).replace("is no label of the target", f"is no value of '{by}'")
        raise DataError(f"data.split.{key}: {text}") from error


def _known_parts(labels: Sequence[Any], by: str) -> dict[Any, int]:
    """Return the parts of labels that are common names of them."""
    meaning: dict[Any, int] = {}
    for label in labels:
        word = label.strip().casefold() if isinstance(label, str) else None
        part = next((part for part, words in _WORDS.items() if word in words), None)
        if part is None:
            raise DataError(
                f"data.split.test: '{by}' holds {_listed(labels)}; write which of them are held out, such as "
                f"data.split.test={label}"
            )
        meaning[label] = part
    return meaning


def _listed(labels: Sequence[Any]) -> str:
    more = f" and {len(labels) - _LISTED:,} more" if len(labels) > _LISTED else ""
    return ", ".join(map(repr, labels[:_LISTED])) + more


def _refuse_missing(values: pd.Series, by: str) -> None:
    if missing := int(values.isna().sum()):
        raise DataError(f"data.split.by: '{by}' is missing in {missing:,} of {len(values):,} rows; fill or remove them")
