"""The scikit-learn transformers that ship with every package, importable under the same name everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

if TYPE_CHECKING:
    import pandas as pd


class _FrameTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Base of transformers that keep a DataFrame's columns; learns only their names."""

    columns: Sequence[str] | None

    def fit(self, X: pd.DataFrame, y: Any = None) -> Any:  # noqa: ARG002  # scikit-learn's signature
        """Check the parameters against ``X`` (n_rows, n_columns) and remember its columns.

        Raises:
            TypeError: ``X`` is no DataFrame.
            ValueError: a parameter is wrong, or a column is not there.
        """
        self._validate_params()
        self._chosen(X)
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True  # stateless: transform needs no fit

    def _chosen(self, X: pd.DataFrame) -> list[str]:
        """Return the columns to transform, after checking that ``X`` has them and those of ``fit``."""
        import pandas as pd

        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"{type(self).__name__} takes a pandas DataFrame, got {type(X).__name__}: put it before the steps that give arrays, such as an imputer"
            )
        there = list(X.columns)
        chosen = there if self.columns is None else list(self.columns)
        fitted = list(getattr(self, "feature_names_in_", there))
        if lost := list(dict.fromkeys(name for name in [*chosen, *fitted] if name not in there)):
            named = ", ".join(map(repr, lost))
            raise ValueError(f"{type(self).__name__}: no column {named}; there are {', '.join(map(repr, there))}")
        if there != fitted:
            raise ValueError(f"{type(self).__name__}: fitted on columns {fitted}, in this order, got {there}")
        return chosen

    def _floats(self, X: pd.DataFrame, chosen: list[str]) -> pd.DataFrame:
        """Return a new frame with the chosen columns as float64."""
        try:
            return X.astype(dict.fromkeys(chosen, "float64"))
        except (TypeError, ValueError):
            for name in chosen:  # find the column, which pandas does not name
                try:
                    X[name].astype("float64")
                except (TypeError, ValueError) as error:
                    raise ValueError(f"{type(self).__name__}: column {name!r} holds no numbers ({error})") from error
            raise


class ToFloat(_FrameTransformer):
    """Cast ``columns`` (None: all) to float64."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"columns": ["array-like", None]}

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return ``X`` (n_rows, n_columns) with float64 columns; raises ValueError for a column without numbers."""
        return self._floats(X, self._chosen(X))


class ZerosToMissing(_FrameTransformer):
    """Replace zeros by NaN in ``columns``, where a zero stands for "not measured"; they become float64."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"columns": ["array-like"]}

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return ``X`` (n_rows, n_columns) with NaN for zeros; raises ValueError for a column without numbers."""
        chosen = self._chosen(X)
        result = self._floats(X, chosen)  # float64 always: the dtype must not depend on the rows at hand
        result[chosen] = result[chosen].mask(result[chosen] == 0)
        return result


class BooleansToObjects(_FrameTransformer):
    """Convert boolean columns to objects, as scikit-learn's imputers refuse a table of booleans alone."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"columns": ["array-like", None]}

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return ``X`` (n_rows, n_columns) with objects for booleans, and NaN for a missing one."""
        result = X.copy(deep=False)
        for name in self._chosen(X):
            if str(X[name].dtype) in ("bool", "boolean"):
                values = X[name].astype(object)
                result[name] = values.mask(X[name].isna(), np.nan)
        return result


DAY, HOUR = 86400, 3600  # in seconds
REFERENCE = 946684800  # the first second of the year 2000, since 1970


class DateParts(_FrameTransformer):
    """Replace dates by numbers: year, month, day of the week (Monday is 0), hour, and days since the year 2000.

    ``columns`` are dates; None: all columns of dates. The hour is left out where no time of day was seen that differs
    from the others. Days have the time of day as their fraction, in whole seconds. The parts of a missing date are NaN;
    times with a zone are taken in UTC.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"columns": ["array-like", None]}

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self.columns = columns

    def fit(self, X: pd.DataFrame, y: Any = None) -> DateParts:
        """Learn which columns of ``X`` (n_rows, n_columns) are dates, and which of these have a time of day.

        Raises:
            TypeError: ``X`` is no DataFrame.
            ValueError: a parameter is wrong, a column is not there, or it holds no dates.
        """
        super().fit(X, y)
        named = self._chosen(X) if self.columns is not None else [n for n in X.columns if X[n].dtype.kind == "M"]
        if odd := [name for name in named if X[name].dtype.kind != "M"]:
            raise ValueError(f"DateParts: column {odd[0]!r} holds no dates, but {X[odd[0]].dtype}")
        self.dates_ = tuple(named)
        self.hours_ = tuple(name for name in named if len(np.unique(_drop_nan(_whole_seconds(X[name])) % DAY)) > 1)
        made = self.get_feature_names_out().tolist()
        if twice := sorted({name for name in made if made.count(name) > 1}):
            raise ValueError(f"DateParts: there would be two columns {twice[0]!r}; rename the one that is there")
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "dates_")

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return ``X`` (n_rows, n_columns) with float64 columns for the parts of each date, in its place."""
        import pandas as pd
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        self._chosen(X)
        columns: dict[str, Any] = {}
        for name in X.columns:
            if name in self.dates_:
                parts = zip(self._names(name), _parts(_whole_seconds(X[name]), hour=name in self.hours_), strict=True)
                columns |= {part: pd.Series(values, index=X.index) for part, values in parts}
            else:
                columns[name] = X[name]
        return pd.DataFrame(columns, index=X.index)

    def get_feature_names_out(self, input_features: Any = None) -> Any:  # noqa: ARG002 -- scikit-learn's signature
        """Return the names of the columns of ``transform``, such as ``signup_month``."""
        names = (self._names(name) if name in self.dates_ else [name] for name in self.feature_names_in_)
        return np.asarray([each for group in names for each in group], dtype=object)

    def _names(self, name: str) -> list[str]:
        hour = ["hour"] if name in self.hours_ else []
        return [f"{name}_{part}" for part in ("year", "month", "weekday", *hour, "days")]


def _whole_seconds(values: pd.Series) -> Any:
    """Return the seconds since 1970 (n_rows,) as float64, without fractions; NaN is a missing date."""
    times = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz is not None else values
    micros = times.to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(micros), np.nan, np.floor_divide(micros.view(np.int64), 10**6).astype(np.float64))


def _drop_nan(values: Any) -> Any:
    return values[~np.isnan(values)]


def _parts(seconds: Any, *, hour: bool) -> Iterator[Any]:
    """Yield the parts (n_rows,) of whole seconds since 1970, as the compiled model computes them."""
    missing = np.isnan(seconds)
    times = np.where(missing, 0, seconds).astype(np.int64).view("datetime64[s]")
    months = times.astype("datetime64[M]").astype(np.int64)
    days = np.floor(seconds / DAY)
    yield np.where(missing, np.nan, np.floor_divide(months, 12) + 1970.0)
    yield np.where(missing, np.nan, months % 12 + 1.0)
    weekday = days + 3  # the first of January 1970 was a Thursday
    yield weekday - np.floor(weekday / 7) * 7
    if hour:
        yield np.floor((seconds - days * DAY) / HOUR)
    yield (seconds - REFERENCE) / DAY
