"""Values by permutation: what they add up to, how near they come, and whether the error says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.packaging.explanation_check import shapley_values
from score.explain.permutation import FEWEST_PAIRS, PAIRS, PermutationExplainer, pairs

NAMES = ["a", "b", "c", "d"]


def answers(columns: Any) -> Any:
    a, b, c, d = (np.array([-1.0 if cell is None else cell for cell in columns[name]], dtype=float) for name in NAMES)
    return np.column_stack([a * b + 2 * c, np.sin(a + b * c) + 0 * d])


def table(seed: int, rows: int) -> dict[str, list[Any]]:
    numbers = np.random.default_rng(seed).normal(size=(rows, len(NAMES))).astype(object)
    numbers[::5, 1] = None
    return dict(zip(NAMES, numbers.T.tolist(), strict=True))


def by_definition(background: dict[str, list[Any]], row: dict[str, Any]) -> Any:
    def worth(coalition: tuple[int, ...]) -> Any:
        known = {NAMES[place] for place in coalition}
        mixed = {name: [row[name]] * len(cells) if name in known else cells for name, cells in background.items()}
        return answers(mixed).mean(axis=0)

    return shapley_values(worth, len(NAMES))


def test_values_add_up_and_are_near_the_definition_by_their_errors() -> None:
    background, rows = table(1, 200), table(2, 10)
    explainer = PermutationExplainer(answers, background)
    values, errors = explainer.explain(rows)
    assert values.shape == errors.shape == (10, 2, 4)
    np.testing.assert_allclose(explainer.base + values.sum(axis=2), answers(rows), atol=1e-12)
    np.testing.assert_allclose(explainer.base, answers(background).mean(axis=0))
    expected = np.array([by_definition(background, {name: rows[name][n] for name in NAMES}) for n in range(10)])
    off = np.abs(values - expected)
    # the rows of the background are all that there are, so that the order alone is drawn: the error is an upper bound
    assert (off <= 3 * errors + 1e-12).mean() > 0.97
    assert 0 < errors[:, 1, :3].mean() < 0.2
    np.testing.assert_allclose(values[:, :, 3], 0, atol=1e-12)  # a column that decides nothing
    np.testing.assert_allclose(values[:, 0, 2], expected[:, 0, 2], atol=1e-12)  # and one that acts alone


def test_the_same_row_has_the_same_values() -> None:
    background, rows = table(1, 8), table(2, 2)
    first, second = (PermutationExplainer(answers, background).explain(rows)[0] for _ in range(2))
    assert (first == second).all()


def test_chunks_of_pairs_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer, rows = PermutationExplainer(answers, table(1, 8)), table(2, 2)
    whole = explainer.explain(rows)
    monkeypatch.setattr("score.explain.permutation.CALL_CELLS", 1)
    np.testing.assert_allclose(explainer.explain(rows), whole)


def test_a_single_column_has_all_of_the_difference() -> None:
    explainer = PermutationExplainer(lambda columns: np.array([columns["a"]], dtype=float).T, {"a": [1.0, 3.0]})
    values, errors = explainer.explain({"a": [7.0]})
    assert values.tolist() == [[[5.0]]]
    assert errors.tolist() == [[[1.0]]]


def test_a_wide_table_has_fewer_pairs() -> None:
    assert [pairs(1), pairs(8), pairs(200), pairs(5000)] == [PAIRS, PAIRS, 26, FEWEST_PAIRS]
