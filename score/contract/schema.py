"""The contract of a package: its columns, classes, versions and fingerprint, stored beside the model as contract.json.

Plain dataclasses and json: every import here is an import of the server.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from score.contract import dates
from score.contract.cells import TableFormat

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
FILE = "contract.json"
KINDS = ("integer", "number", "boolean", "category", "string", "datetime")
TASKS = ("classification", "regression")
EXTRA_COLUMNS = ("forbid", "ignore")
UNSEEN = ("refuse", "accept", "missing")


@dataclass(frozen=True)
class Levels:
    """When a text column is a category: at most ``share`` distinct values a row, and at most ``most`` in all."""

    share: float = 0.5
    most: int = 1000

    def judge(self, levels: int, rows: int) -> tuple[bool, str]:
        """Return whether a column with this number of distinct values is a category, and the reason."""
        if levels > self.share * rows:
            return False, f"{levels} distinct values in {rows} rows: more than {self.share:g} a row"
        if levels > self.most:
            return False, f"{levels} distinct values in {rows} rows: more than {self.most} in all"
        return True, f"{levels} levels in {rows} rows: at most {self.share:g} a row and {self.most} in all"


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        kind: What a request may hold; ``decided`` says why.
        dtype: What the pipeline was fitted on.
        minimum, maximum, example: Of the training rows, for information and not enforced; dates are ISO 8601.
        categories: The levels of all rows; no training row has those that are ``held_out``.
        declared: The levels of pandas' dtype where they are more.
        unseen: Whether other levels are refused, accepted, or scored as missing values, as then the ``held_out`` ones are.
        missing_as: How an object column writes a missing value, "nan" or "none", which scikit-learn's imputers
            distinguish; other dtypes have one way only.
    """

    name: str
    kind: str
    dtype: str
    missing: bool = False
    missing_as: str | None = None
    minimum: Any = None
    maximum: Any = None
    categories: Sequence[Any] | None = None
    ordered: bool = False
    example: Any = None
    held_out: Sequence[Any] = ()
    declared: Sequence[Any] | None = None
    unseen: str = "refuse"
    decided: str = ""

    def __post_init__(self) -> None:
        _one_of(f"kind of column {self.name!r}", self.kind, KINDS)
        _one_of(f"unseen of column {self.name!r}", self.unseen, UNSEEN)

    @property
    def learned(self) -> Sequence[Any]:
        """The levels that training rows have."""
        held_out = set(self.held_out)
        return [level for level in self.categories or () if level not in held_out]

    @classmethod
    def describe(cls, values: pd.Series, held_out: pd.Series | None = None, levels: Levels | None = None) -> Column:
        """Describe the column of these values (n_rows,) of training rows, and of hold-out rows.

        Raises:
            ValueError: no JSON value stands for this dtype, or an object column mixes types.
        """
        name, dtype = str(values.name), str(values.dtype)
        others = values.iloc[:0] if held_out is None else held_out
        missing = values.isna()
        seen, seen_out = values[~missing] if missing.any() else values, others.dropna()
        kind, decided, categories = _kind_of(values, seen, seen_out, levels or Levels())
        known: dict[str, Any] = {"missing": bool(missing.any() or others.isna().any()), "decided": decided}
        if categories is not None:
            trained, held_out_levels = _distinct(seen), _distinct(seen_out)
            known["categories"] = _plain(level for level in categories if level in trained or level in held_out_levels)
            known["held_out"] = _plain(
                level for level in categories if level in held_out_levels and level not in trained
            )
            if len(known["categories"]) < len(categories):
                known["declared"] = _plain(categories)
        if kind in ("integer", "number"):
            least, most = seen.min(), seen.max()
            if len(seen) and not -math.inf < least <= most < math.inf:  # JSON has no infinity
                seen = seen[seen.between(-math.inf, math.inf, inclusive="neither")]
                least, most = seen.min(), seen.max()
            if len(seen):
                known |= {"minimum": json_value(least), "maximum": json_value(most)}
        if kind == "datetime":
            return cls(name, kind, dtype, **_date_range(seen, dtype), **known)
        if dtype == "category":
            known["ordered"] = bool(values.cat.ordered)
        if dtype == "object" and known["missing"]:
            markers = values[missing] if missing.any() else others[others.isna()]
            known["missing_as"] = "none" if all(value is None for value in markers) else "nan"
        return cls(name, kind, dtype, example=json_value(next(iter(seen), None)), **known)


@dataclass(frozen=True)
class Contract:
    """The contract of a package; its pipeline predicts codes 0..k-1, and ``classes[code]`` is the label in replies.

    With a ``threshold`` a row is of the second of two classes where that one's probability reaches it; None: the estimator's
    own ``predict`` decides.
    """

    model_name: str
    task: str
    columns: Sequence[Column]
    classes: Sequence[Any] | None = None
    extra_columns: str = "forbid"
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    table: TableFormat | None = None  # how training's was written
    threshold: float | None = None

    def __post_init__(self) -> None:
        _one_of("task", self.task, TASKS)
        _one_of("extra_columns", self.extra_columns, EXTRA_COLUMNS)
        if (self.task == "classification") != (self.classes is not None):
            raise ValueError("a classification has classes and a regression has none")
        if self.threshold is not None and (len(self.classes or ()) != 2 or not 0 <= self.threshold <= 1):
            raise ValueError(f"a threshold is of two classes and between 0 and 1, got {self.threshold!r}")

    @classmethod
    def describe(
        cls,
        X: pd.DataFrame,
        *,
        model_name: str,
        task: str,
        classes: Iterable[Any] | None = None,
        versions: Mapping[str, str] | None = None,
        extra_columns: str = "forbid",
        held_out: pd.DataFrame | None = None,
        levels: Levels | None = None,
    ) -> Contract:
        """Describe the contract of a model fitted on ``X`` (n_rows, n_columns); ``write`` adds the fingerprint.

        ``held_out`` are the table's other rows, whose levels and missing values are accepted as well.

        Raises:
            ValueError: a column's name is no string or stands twice, or its dtype has no JSON.
        """
        names = list(X.columns)
        if odd := [name for name in names if not isinstance(name, str)]:
            raise ValueError(f"column names must be text, got {', '.join(map(repr, odd))}: rename the columns")
        if twice := list(X.columns[X.columns.duplicated()].unique()):
            raise ValueError(f"columns stand twice: {', '.join(map(repr, twice))}; rename or drop them")
        columns = tuple(
            Column.describe(X[name], None if held_out is None else held_out[name], levels) for name in names
        )
        labels = None if classes is None else _plain(classes)
        return cls(model_name, task, columns, labels, extra_columns, dict(versions or {}))

    @classmethod
    def from_json(cls, text: str | bytes) -> Contract:
        """Read a contract that ``to_json`` wrote.

        Raises:
            ValueError: the text is not a contract of this format.
        """
        try:
            content = json.loads(text)
            _one_of("format", content.pop("format"), (FORMAT,))
            columns = tuple(Column(**column) for column in content.pop("columns"))
            table = content.pop("table", None)
            content["table"] = None if table is None else TableFormat.of(table)
            return cls(model_name=content.pop("model")["name"], columns=columns, **content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{FILE} is damaged or of another version ({error}): build the package again") from error

    def to_json(self) -> str:
        """Return the text of contract.json."""
        content = dataclasses.asdict(self)
        if content["table"] and not content["table"]["dates"]:
            del content["table"]["dates"]  # as it was before there were any
        if self.threshold is None:
            del content["threshold"]
        return json.dumps({"format": FORMAT, "model": {"name": content.pop("model_name")}} | content, indent=1) + "\n"

    def write(self, folder: Path) -> Contract:
        """Write contract.json as the last file of a package; return the contract with its fingerprint."""
        (folder / FILE).write_text(self.to_json(), encoding="utf-8")
        sealed = dataclasses.replace(self, fingerprint=fingerprint_of(folder))
        (folder / FILE).write_text(sealed.to_json(), encoding="utf-8")
        return sealed


def fingerprint_of(folder: Path) -> str:
    """Return the SHA-256 of the paths and contents of a package's files; contract.json counts without its fingerprint."""
    total = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name, path in sorted(files.items()):
        if "__pycache__" in name.split("/"):
            continue
        content = path.read_bytes()
        if name == FILE:
            known = {key: value for key, value in json.loads(content).items() if key != "fingerprint"}
            content = json.dumps(known, sort_keys=True).encode()
        # a digest each, so that bytes cannot move from one file or name to the next unnoticed
        total.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(content).digest())
    return total.hexdigest()


def json_value(value: Any) -> Any:
    """Return a numpy or Python scalar as a JSON value.

    Raises:
        ValueError: JSON has no such value.
    """
    plain = value.item() if hasattr(value, "item") else value
    if plain is None or isinstance(plain, bool | int | str) or (isinstance(plain, float) and math.isfinite(plain)):
        return plain
    raise ValueError(f"{value!r} ({type(value).__name__}) has no JSON: make it a number, a boolean or text")


def _kind_of(
    values: pd.Series, seen: pd.Series, seen_out: pd.Series, levels: Levels
) -> tuple[str, str, Sequence[Any] | None]:
    """Return a column's kind, the reason, and its levels if any; ``seen`` and ``seen_out`` hold no missing values."""
    dtype = str(values.dtype)
    if number := re.fullmatch(
        r"(u?int|float)\d+", dtype.lower()
    ):  # lower: pandas' Int64 is the one with missing values
        return ("number" if number[1] == "float" else "integer"), f"dtype {dtype}", None
    if values.dtype.kind == "M":
        return "datetime", f"dtype {dtype}", None
    rows = len(seen) + len(seen_out)
    if dtype == "category":
        declared = list(values.cat.categories)
        return "category", f"dtype category, with {len(declared)} levels in {rows} rows", declared
    types = {*map(type, seen), *map(type, seen_out)} if dtype == "object" else set()
    if dtype in ("bool", "boolean") or types == {bool}:
        return "boolean", f"dtype {dtype}", None
    if dtype in ("object", "str", "string") and types <= {str}:
        distinct = _distinct(seen) | _distinct(seen_out)
        few, decided = levels.judge(len(distinct), rows)
        return ("category", decided, sorted(distinct)) if few else ("string", decided, None)
    held = f"object with {' and '.join(sorted(kind.__name__ for kind in types))}" if types else dtype
    if types == {int} and any(abs(value) >= 2**63 for value in (*seen, *seen_out)):
        held = "of integers beyond 64 bits"
    raise ValueError(f"column {values.name!r} is {held}: make it numbers, booleans or text, or leave it out")


def _distinct(values: pd.Series) -> set[Any]:
    """Return the distinct values of a column (n_rows,); only objects are looked at one by one."""
    return set(values if values.dtype == "object" else values.unique())


def _date_range(seen: pd.Series, dtype: str) -> dict[str, Any]:
    """Return the example and the range of dates without missing ones; none for no dates."""
    if not len(seen):
        return {}
    seconds = dates.column_seconds(seen)
    ends = {"example": seconds[0], "minimum": seconds.min(), "maximum": seconds.max()}
    return {name: dates.write(float(each), aware=dates.is_aware(dtype)) for name, each in ends.items()}


def _plain(values: Iterable[Any]) -> list[Any]:
    return [json_value(value) for value in values]


def _one_of(what: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{what} should be one of {', '.join(map(str, allowed))}, got {value!r}")
