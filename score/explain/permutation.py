"""Shapley values of any model, estimated by permutations of the columns, with a standard error for each value.

A coalition's columns have the row's values, the others those of a training row (Štrumbelj and Kononenko, "Explaining
prediction models and individual predictions with feature contributions", 2014; Castro et al., 2009). Columns enter in a
random order, then in the reverse one (antithetic, Mitchell et al., 2022), for each of some training rows; so the values of a
row add up to its answer less the mean answer of these training rows, without any error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    from score.contract.columns import Columns

    Answers: TypeAlias = Callable[[Columns], np.ndarray]  # of rows of checked columns: numbers (n_rows, n_outputs)

PAIRS = 32  # of permutations, each with a training row of its own
FEWEST_PAIRS = 4
CELLS = 2**21  # of the rows that one explanation needs; a wide table has fewer pairs
CALL_CELLS = 2**21  # of one call of the model


def pairs(columns: int) -> int:
    """Return the number of pairs of permutations, and so of training rows, for a table of so many columns."""
    return min(PAIRS, max(FEWEST_PAIRS, CELLS // (2 * max(1, columns) ** 2)))


class PermutationExplainer:
    """Explains rows of checked columns.

    Args:
        answers: The model's answers.
        background: Training rows as checked columns, in the order of the contract.
    """

    def __init__(self, answers: Answers, background: Columns) -> None:
        import numpy as np

        self._answers, self._names = answers, list(background)
        self._background = [_objects(values) for values in background.values()]
        self._rows = len(self._background[0])
        rng = np.random.default_rng(0)  # the same row has the same values, in every process
        self._orders = [rng.permutation(len(self._names)) for _ in range(self._rows)]
        self._without = answers(
            {name: values.tolist() for name, values in zip(self._names, self._background, strict=True)}
        )
        self.base = self._without.mean(axis=0)

    def explain(self, columns: Columns) -> tuple[Any, Any]:
        """Return the values of rows and their standard errors, both (n_rows, n_outputs, n_columns)."""
        import numpy as np

        rows = list(zip(*(_objects(columns[name]) for name in self._names), strict=True))
        answered = self._answers(columns)
        explained = [self._explain(row, answer) for row, answer in zip(rows, answered, strict=True)]
        return np.array([values for values, _ in explained]), np.array([errors for _, errors in explained])

    def _explain(self, row: Sequence[Any], answer: Any) -> tuple[Any, Any]:
        import numpy as np

        width = len(self._names)
        at_once = max(1, CALL_CELLS // (2 * width**2))
        found = np.concatenate(
            [
                self._walk(row, answer, range(start, min(start + at_once, self._rows)))
                for start in range(0, self._rows, at_once)
            ]
        )  # (n_pairs, n_outputs, n_columns)
        error = found.std(axis=0, ddof=1) / np.sqrt(self._rows) if self._rows > 1 else np.full(found.shape[1:], np.inf)
        return found.mean(axis=0), error

    def _walk(self, row: Sequence[Any], answer: Any, numbers: range) -> Any:
        """Return what each column adds, by the mean of both orders of each of some pairs."""
        import numpy as np

        width, steps = len(self._names), len(self._names) - 1
        places = np.empty((len(numbers), 2, width), dtype=np.int64)  # of each column in an order
        for place, number in zip(places, numbers, strict=True):
            place[0, self._orders[number]] = np.arange(width)
            place[1] = steps - place[0]
        entered = places[:, :, None, :] <= np.arange(steps)[:, None]  # (n_pairs, 2, n_steps, n_columns)
        entered = entered.reshape(-1, width)
        background = np.repeat(np.array(numbers), 2 * steps)
        mixed: dict[str, Any] = {}
        for column, name in enumerate(self._names):
            values = self._background[column][background]
            values[entered[:, column]] = row[column]
            mixed[name] = values.tolist()
        outputs = len(answer)
        path = np.empty((len(numbers), 2, width + 1, outputs))
        path[:, :, 0] = self._without[numbers.start : numbers.stop, None]
        path[:, :, -1] = answer
        if steps:
            path[:, :, 1:-1] = self._answers(mixed).reshape(len(numbers), 2, steps, outputs)
        added = np.diff(path, axis=2)  # by the column at each place
        by_column = np.take_along_axis(added, places[..., None], axis=2)
        return by_column.mean(axis=1).transpose(0, 2, 1)


def _objects(values: Any) -> Any:
    """Return values as an array of objects (n_rows,), whatever they are."""
    import numpy as np

    found = np.empty(len(values), dtype=object)
    found[:] = values.tolist() if hasattr(values, "tolist") else list(values)
    return found
