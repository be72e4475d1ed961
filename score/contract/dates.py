"""Dates and times: seconds since 1970 inside, ISO 8601 outside.

One rule for all: a time without a zone keeps the clock that it shows, one with a zone becomes UTC. Seconds are float64,
exact for every second, and for microseconds from 1700 to 2240.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ISO = "ISO8601"  # the name of the format, as pandas calls it
NAIVE, AWARE = "datetime64[us]", "datetime64[us, UTC]"  # the dtypes of a column
PATTERN = (  # of ISO 8601's many forms the extended ones; without a zone
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,9})?)?)?"
)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r"(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 -- the clock of a time without a zone, or UTC's
FIRST, LAST = -62135596800.0, 253402300799.0  # the years 1 and 9999


def parse(text: str, *, aware: bool) -> float:
    """Return the seconds of an ISO 8601 text such as ``2024-01-31`` or ``2024-01-31T08:30:00Z``.

    Digits beyond microseconds are cut off. A time with a zone is ``aware``.

    Raises:
        ValueError: it is none, or has a zone where there should be none, or the other way round.
    """
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("is no date")
    year, month, day, hour, minute, second, fraction, utc, sign, hours, minutes = found.groups()
    if (utc is None and sign is None) == aware:
        raise ValueError(
            "has no time zone, and training's times have one" if aware else "has a time zone, and training's have none"
        )
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    try:
        time = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micros)  # noqa: DTZ001
        if sign is not None:
            offset = dt.timedelta(hours=int(hours), minutes=int(minutes or 0))
            time = time - offset if sign == "+" else time + offset
    except (ValueError, OverflowError):
        raise ValueError("is no date") from None
    return (time - _EPOCH).total_seconds()


def parse_as(text: str, form: str, *, aware: bool = False) -> float:
    """Return the seconds of a text written as ``form``: :data:`ISO`, or a format of ``strptime``.

    Raises:
        ValueError: it is not written so.
    """
    if form == ISO:
        return parse(text, aware=aware)
    return seconds_of(dt.datetime.strptime(text, form), aware=aware)  # noqa: DTZ007 -- with the zone that it has


def is_format(form: str) -> bool:
    """Return whether this is a format of ``strptime`` with a year."""
    time = dt.datetime(2024, 1, 31, 10, 30, tzinfo=dt.timezone.utc)
    try:
        return dt.datetime.strptime(time.strftime(form), form).year == time.year  # noqa: DTZ007 -- of any kind
    except ValueError:
        return False


def seconds_of(time: dt.date, *, aware: bool) -> float:
    """Return the seconds of a date or a time.

    Raises:
        ValueError: it has a zone where there should be none, or the other way round.
    """
    if not isinstance(time, dt.datetime):
        time = dt.datetime(time.year, time.month, time.day)  # noqa: DTZ001
    if (time.tzinfo is not None) != aware:
        raise ValueError(
            "has no time zone, and training's times have one" if aware else "has a time zone, and training's have none"
        )
    time = dt.datetime.combine(time.date(), time.timetz())  # without the nanoseconds that pandas' times have
    if time.tzinfo is not None:
        time = time.astimezone(dt.timezone.utc).replace(tzinfo=None)
    return (time - _EPOCH) / dt.timedelta(seconds=1)


def write(seconds: float, *, aware: bool) -> str:
    """Return seconds as ISO 8601: with Z if ``aware``, else a midnight as a date alone."""
    time = _EPOCH + dt.timedelta(seconds=seconds)
    if aware:
        return f"{time.isoformat()}Z"
    return time.isoformat().removesuffix("T00:00:00")


def is_aware(dtype: str) -> bool:
    """Return whether the times of a column of this dtype have a zone."""
    return "," in dtype


def column_seconds(values: pd.Series) -> np.ndarray[Any, Any]:
    """Return the seconds (n_rows,) of a column of pandas' dates; NaN is a missing one."""
    import numpy as np

    times = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz is not None else values
    micros = times.to_numpy().astype(NAIVE)
    seconds: np.ndarray[Any, Any] = micros.view(np.int64) / 1e6
    seconds[np.isnat(micros)] = np.nan
    return seconds


def seconds_series(values: pd.Series) -> pd.Series:
    """Return the same, with the name and the index of the column."""
    import pandas as pd

    return pd.Series(column_seconds(values), index=values.index, name=values.name)


def to_pandas(seconds: Any, dtype: str) -> Any:
    """Return seconds (n_rows,), NaN or None for a missing one, as an array of this dtype."""
    import numpy as np
    import pandas as pd

    numbers = np.asarray(seconds, dtype=np.float64)
    missing = np.isnan(numbers)
    whole = np.floor(np.where(missing, 0.0, numbers))
    part = np.rint(np.where(missing, 0.0, numbers - whole) * 1e6)  # apart: the product would be rounded
    micros = (whole.astype(np.int64) * 10**6 + part.astype(np.int64)).view(NAIVE)
    micros[missing] = np.datetime64("NaT")
    times: Any = pd.Series(micros)
    if is_aware(dtype):
        times = times.dt.tz_localize("UTC")
    return times.astype(dtype).array
