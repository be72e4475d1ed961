"""What is compared before a package explains its answers exactly: with the pipeline, and with all coalitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from score.contract.columns import Columns
from score.explain.trees import TreeArrays, TreeExplainer

PLAYERS = 4  # groups of columns, of which all 16 coalitions are tried
TOLERANCE = 1e-9
NODES = 2**16  # of the trees that are tried: a sum of trees is explained by the sum of their values


class WrongExplanationError(Exception):
    """A comparison fails; its text says which."""


def check_encoding(encode: Callable[[Columns], Any], reference: Any, columns: Columns, owner: Any) -> Any:
    """Return the encoded rows, after comparing them with the pipeline's (n_rows, n_features) and mixing pairs of rows.

    Where some columns are of one row and the others of another, a feature must be that of the row its column is of.

    Raises:
        WrongExplanationError: one differs.
    """
    encoded = encode(columns)
    if not _close(encoded, reference):
        raise WrongExplanationError("the features of the compiled model differ from those of the pipeline")
    rng = np.random.default_rng(0)
    others, chosen = np.roll(np.arange(len(encoded)), 1), rng.random((len(encoded), len(columns))) < 0.5
    mixed = {
        name: [
            values[row if own else other] for row, (own, other) in enumerate(zip(chosen[:, place], others, strict=True))
        ]
        for place, (name, values) in enumerate(columns.items())
    }
    expected = np.where(chosen[:, owner], encoded, encoded[others])
    different = np.flatnonzero(~np.isclose(encode(mixed), expected, rtol=1e-6, atol=1e-9, equal_nan=True).all(axis=0))
    if len(different):
        raise WrongExplanationError(f"the steps make feature {different[0]} from several columns")
    return encoded


def check_sums(expected: Any, found: Any, tolerance: float) -> None:
    """Compare what the sums of the values give with what the pipeline predicts.

    Raises:
        WrongExplanationError: they differ.
    """
    difference = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    if not (difference <= tolerance).all():
        raise WrongExplanationError(f"the values do not add up to the prediction: {difference.max():.1g} is left")


def check_coalitions(arrays: Mapping[str, Any], owner: Any, rows: Any) -> int:
    """Compare the trees' values with those by definition, over all coalitions of a few groups of columns.

    Returns:
        The number of coalitions.

    Raises:
        WrongExplanationError: they differ.
    """
    trees = _first_trees(TreeArrays.of(arrays))
    used = np.unique(owner[trees.feature[trees.left >= 0]])
    if not len(used):
        return 0
    group = np.zeros(int(owner.max()) + 1, dtype=np.int64)
    group[used] = np.arange(len(used)) % PLAYERS
    players = min(PLAYERS, len(used))
    grouped = group[owner]
    outputs = len(arrays["start"])
    explained = TreeExplainer(trees, grouped, players, np.zeros(outputs)).explain(rows)
    for row, values in zip(rows, explained, strict=True):
        expected = shapley_values(partial(worth, trees, grouped, row, outputs), players)
        if not (np.abs(values - expected) <= TOLERANCE * np.maximum(1, np.abs(expected))).all():
            raise WrongExplanationError("the values differ from those by all coalitions")
    return int(2**players * len(rows))


def shapley_values(worth: Callable[[tuple[int, ...]], Any], players: int) -> Any:
    """Return the Shapley values (n_outputs, n_players) by definition; ``worth`` gives the outputs of a coalition (n_outputs,)."""
    everyone = range(players)
    coalitions = [each for size in range(players + 1) for each in itertools.combinations(everyone, size)]
    known = {coalition: worth(coalition) for coalition in coalitions}
    values = []
    for player in everyone:
        total = 0.0
        for coalition in coalitions:
            if player not in coalition:
                weight = 1 / (players * math.comb(players - 1, len(coalition)))
                total += weight * (known[tuple(sorted((*coalition, player)))] - known[coalition])
        values.append(total)
    return np.array(values).T


def worth(trees: TreeArrays, owner: Any, row: Any, outputs: int, coalition: tuple[int, ...]) -> Any:
    """Return the sums of the trees (n_outputs,) where only a coalition's columns are known, by walking down all branches."""
    total = np.zeros(outputs)
    nodes, weights, targets = trees.roots, np.ones(len(trees.roots)), trees.target
    while len(nodes):
        leaf = trees.left[nodes] < 0
        for place in range(trees.value.shape[1]):
            np.add.at(total, targets[leaf] + place, weights[leaf] * trees.value[nodes[leaf], place])
        nodes, weights, targets = nodes[~leaf], weights[~leaf], targets[~leaf]
        left, right = trees.left[nodes], trees.right[nodes]
        feature = trees.feature[nodes]
        goes_left = np.where(np.isnan(row[feature]), trees.missing_left[nodes], row[feature] <= trees.threshold[nodes])
        shared = trees.cover[left] / (trees.cover[left] + trees.cover[right])
        share = np.where(np.isin(owner[feature], coalition), goes_left, shared)
        nodes, weights = np.concatenate([left, right]), np.concatenate([weights * share, weights * (1 - share)])
        targets = np.concatenate([targets, targets])
    return total


def _first_trees(trees: TreeArrays) -> TreeArrays:
    """Return as many trees as there is time to try."""
    count = max(1, int(np.searchsorted(trees.roots, NODES)))
    stop = int(trees.roots[count]) if count < len(trees.roots) else len(trees.left)
    by_node = {name: values[:stop] for name, values in trees.arrays().items() if name not in ("roots", "target")}
    return TreeArrays(**by_node, roots=trees.roots[:count], target=trees.target[:count])


def _close(left: Any, right: Any) -> bool:
    return left.shape == right.shape and bool(np.allclose(left, right, rtol=1e-12, atol=0, equal_nan=True))
