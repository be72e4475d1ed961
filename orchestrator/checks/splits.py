"""Findings about the split: rows on both sides, and dates or groups that a random split tears apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.checks.traits import Trait, name_words
from orchestrator.findings import DUPLICATES, GROUP, TIME, TableFinding, format_overrides
from orchestrator.spec.data import DataSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from orchestrator.artifacts import Split

_SHARE = 0.05  # of the hold-out rows that are training rows too, from which it matters
_FEWEST = 3  # such rows
_BY_CHANCE = 0.1  # of that share, at most, is there as well if the columns of distinct rows are shuffled
_LOOKED_AT = 1000  # numbers, for their decimals
_MOSTLY = 0.5
_YEARS = (1800, 2200)
_FEWEST_YEARS = 5
_FEWEST_TIMES = 5  # distinct dates
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, with well mixed bits: 2**64 divided by the golden ratio


def find_duplicates(split: Split, data: DataSpec) -> Iterator[TableFinding]:
    """Yield a finding if more hold-out rows than chance explains have the features of a training row.

    Where ``data.duplicates=drop`` is no remedy, since it is set or since the rows differ in the column that splits them,
    rows count only if they have the target as well.
    """
    remedy = data.duplicates == "keep" and data.split.by is None
    train, test = split.X_train, split.X_test
    numeric = [name for name in train.columns if train[name].dtype.kind in "iufb"]
    columns = [_mix(_bits(train[name], test[name]), place) for place, name in enumerate(numeric)]
    if columns and not _matters(_on_both_sides(columns, len(train)), len(test)):
        return  # the numbers alone distinguish the rows
    others = [name for name in train.columns if name not in numeric]
    columns += [_mix(_codes(train[name], test[name]), -1 - place) for place, name in enumerate(others)]
    repeated = _on_both_sides(columns, len(train))
    if not _matters(repeated, len(test)):
        return
    if _is_chance(
        columns, len(train), float(repeated.mean()), measured=any(_is_measured(train[name]) for name in numeric)
    ):
        return
    target = _mix(_codes(split.y_train, split.y_test), len(columns))
    with_target = _on_both_sides([*columns, target], len(train))
    if not remedy:
        if _matters(with_target, len(test)):
            yield _same_but_for_split(int(with_target.sum()), len(test), data)
        return
    changes = {"data.duplicates": "drop"}
    text = (
        f"{int(repeated.sum()):,} of {len(test):,} hold-out rows have the features of a training row, "
        f"{int(with_target.sum()):,} of them the target as well; write {format_overrides(changes)} to keep one row of each"
    )
    yield TableFinding(DUPLICATES, text, (), changes)


def _same_but_for_split(repeated: int, test: int, data: DataSpec) -> TableFinding:
    but = f" and differ in '{data.split.by}' only" if data.split.by else ""
    text = (
        f"{repeated:,} of {test:,} hold-out rows have the features and the target of a training row{but}: the scores are "
        f"partly scores on training rows; correct the table, or write {format_overrides({'data.accept': [DUPLICATES]})} if "
        "these are different cases"
    )
    return TableFinding(DUPLICATES, text)


def find_order(traits: Mapping[str, Trait], split: Split, data: DataSpec) -> Iterator[TableFinding]:
    """Yield the columns that group or order the rows, where the split is random; groups first, as they matter more."""
    if not is_random(data):
        return
    X = split.X_train
    groups = [name for name in X.columns if name in traits and traits[name].kind == "group"]
    for name in groups:
        share = float(split.X_test[name].isin(X[name].unique()).mean())
        changes = split_by("group", name)
        text = (
            f"column '{name}' is {traits[name].reason.partition(';')[0]}, and the split is random: {share:.0%} of the hold-out "
            f"rows are of one that the model was trained on; write {format_overrides(changes)}"
        )
        yield TableFinding(GROUP, text, (name,), changes)
    for name in X.columns:
        trait = traits.get(name)
        is_date = trait is not None and trait.kind == "date" and X[name].nunique() >= _FEWEST_TIMES
        if is_date or (name not in groups and is_year(X[name])):
            changes = split_by("time", name)
            text = (
                f"column '{name}' holds {trait.reason if trait else 'a year'}, and the split is random: if the model is for "
                f"later rows, write {format_overrides(changes)}"
            )
            yield TableFinding(TIME, text, (name,), changes)


def is_random(data: DataSpec) -> bool:
    """Return whether the hold-out rows are drawn at random."""
    return data.split.rule == "random"


def split_by(kind: str, column: str) -> dict[str, Any]:
    """Return the change that holds rows out by a column."""
    return {"data.split": kind, "data.split.by": column}


def is_year(values: pd.Series) -> bool:
    """Return whether a column is called year and holds years, more of them than a survey of a few seasons has."""
    if values.dtype.kind not in "iu" or name_words(str(values.name)) not in (["year"], ["yr"]):
        return False
    return bool(values.between(*_YEARS).all()) and values.nunique() >= _FEWEST_YEARS


def _bits(train: pd.Series, test: pd.Series) -> np.ndarray[Any, Any]:
    """Return two parts of a column of numbers as 64-bit integers that are equal where the numbers are."""
    import numpy as np

    values = np.concatenate([train.to_numpy(), test.to_numpy()])
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    numbers = values.astype(np.float64) + 0.0  # -0.0 becomes 0.0
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view(np.int64)


def _codes(train: pd.Series, test: pd.Series) -> np.ndarray[Any, Any]:
    import numpy as np
    import pandas as pd

    return pd.factorize(pd.concat([train, test], ignore_index=True))[0].astype(np.int64)


def _mix(values: np.ndarray[Any, Any], place: int) -> np.ndarray[Any, Any]:
    """Hash the values of one column; the sums of these hashes are equal where rows are."""
    import numpy as np

    mixed = values.view(np.uint64) + np.uint64((2 * place + 1) * _MULTIPLIER % 2**64)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)  # of the mixing function of SplitMix64 (Steele, Lea and Flood 2014)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _add(columns: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Return the hash of each row."""
    import numpy as np

    rows = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        rows += column
    return rows


def _on_both_sides(columns: Sequence[np.ndarray[Any, Any]], train: int) -> np.ndarray[Any, Any]:
    """Return for each row behind the first ``train`` ones whether one of these has the same hashes."""
    import numpy as np

    rows = _add(columns)
    return np.isin(rows[train:], rows[:train])


def _is_chance(columns: Sequence[np.ndarray[Any, Any]], train: int, share: float, *, measured: bool) -> bool:
    """Return whether columns that are independent of each other would repeat rows as well.

    All rows are shuffled, column by column. Where one is ``measured``, values that stand twice are no chance: then the
    distinct rows are shuffled.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    kept = np.unique(_add(columns), return_index=True)[1] if measured else np.arange(len(columns[0]))
    shuffled = [rng.permutation(column[kept]) for column in columns]
    again = _on_both_sides(shuffled, max(1, len(kept) * train // len(columns[0])))
    return float(again.mean()) > _BY_CHANCE * share


def _is_measured(values: pd.Series) -> bool:
    """Return whether a column holds numbers with many decimals, of which two are hardly ever equal."""
    import numpy as np

    if values.dtype.kind != "f":
        return False
    numbers = values.to_numpy()
    numbers = numbers[np.isfinite(numbers)][:_LOOKED_AT]
    return bool(len(numbers) and (np.round(numbers, 2) != numbers).mean() > _MOSTLY)


def _matters(repeated: np.ndarray[Any, Any], test: int) -> bool:
    return bool(repeated.sum() >= max(_FEWEST, _SHARE * test))
