"""Training's spread: its bins, what falls where, and how far something else is from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from score.contract import distribution
from score.contract.distribution import Profile
from score.contract.schema import Contract


def of(values: pd.Series) -> Profile:
    contract = Contract.describe(values.to_frame("x"), model_name="m", task="regression")
    (column,) = contract.columns
    made = Profile.describe(values.rename("x"), column.kind, column.categories)
    assert made is not None
    return made


def test_numbers_fall_into_tenths_of_training() -> None:
    made = of(pd.Series(range(100)))
    assert made.bins[:3] == ["missing", "below", "0.0 to 9.0"]
    assert made.shares == pytest.approx([0, 0, 0.09, *[0.1] * 8, 0.11, 0], abs=0.011)
    counts = made.counted([None, -1, 0, 99, 99.5])
    assert (counts[0], counts[1], counts[2], counts[-2], counts[-1]) == (1, 1, 1, 1, 1)
    assert made.outside(counts) == 2 / 5


@pytest.mark.parametrize("rows", [1, 7, 30, 401])
def test_its_edges_are_the_tenths_that_pandas_finds(rows: int) -> None:
    values = pd.Series(np.random.default_rng(rows).normal(size=rows))
    tenths = [values.quantile(part / 10, interpolation="lower") for part in range(10)]
    made = of(values)
    assert list(made.edges or ()) == [*sorted({*tenths}), np.nextafter(values.max(), np.inf)]
    assert made.shares == [count / rows for count in made.counted(values.tolist())]


@pytest.mark.parametrize("values", [[1] * 50, [0, 1] * 25, [0] * 48 + [1, 2], [0.5, None] * 25])
def test_few_values_make_few_bins_and_training_never_drifts_from_itself(values: list[float | None]) -> None:
    made = of(pd.Series(values))
    counts = made.counted([None if pd.isna(value) else value for value in values])
    assert len(set(made.bins)) == len(made.shares) == len(counts)
    assert sum(counts) == 50
    assert made.psi(counts) == 0
    assert made.outside(counts) == 0


def test_the_index_is_its_definition_and_finds_a_shift() -> None:
    rng = np.random.default_rng(0)
    made = of(pd.Series(rng.normal(0, 1, 5000)))
    arrays = [rng.normal(shift, 1, 5000) for shift in (0, 1)]
    same, other = map(made.counted, arrays)
    assert [same, other] == [made.counted(values.tolist()) for values in arrays]
    assert made.psi(same) < 0.02
    shares, expected = np.array(other) / 5000, np.array(made.shares)
    shares, expected = (np.array([a[0], a[1] + a[2], *a[3:-2], a[-2] + a[-1]]) for a in (shares, expected))
    there = expected > 0
    assert made.psi(other) == pytest.approx(
        np.sum((shares - expected)[there] * np.log(shares[there] / expected[there])), rel=1e-9
    )
    assert made.psi(other) > 0.5


def test_categories_booleans_and_missing_values() -> None:
    made = of(pd.Series(["a", "b", "a", None] * 10))
    assert (made.bins, made.shares) == (["missing", '"a"', '"b"', "unseen"], [0.25, 0.5, 0.25, 0])
    assert made.psi(made.counted([None] * 40)) > 1
    assert made.counted(["c", None, "a", "d"]) == [1, 1, 0, 2]
    assert made.psi(made.counted(["c"] * 40)) > 1
    assert of(pd.Series([True, False] * 5)).bins == ["missing", "false", "true"]


def test_a_column_of_very_many_categories_has_no_profile() -> None:
    many = pd.Series([f"level {i % 101}" for i in range(1010)], name="x")
    (column,) = Contract.describe(many.to_frame(), model_name="m", task="regression").columns
    assert (column.kind, Profile.describe(many, column.kind, column.categories)) == ("category", None)


def test_free_text_has_no_profile_and_what_was_written_is_read(tmp_path: Path, mixed: pd.DataFrame) -> None:
    contract = Contract.describe(mixed, model_name="m", task="regression")
    distribution.write(tmp_path, mixed, contract)
    read = distribution.read(tmp_path)
    assert list(read) == [name for name in mixed if name != "note"]
    for name, made in read.items():
        values = [None if pd.isna(value) else value for value in mixed[name]]
        assert made.psi(made.counted(values)) == pytest.approx(0, abs=1e-12)
    assert distribution.read(tmp_path / "none") == {}
