"""Leaks: columns that nearly determine the target alone, by a one-column model, or as a sum.

Numbers are compared by their ranks in a regression, so that the target's logarithm, or the target in another unit, is
found like a copy of it. A histogram of every column screens them; only candidates get a cross-validated model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.checks.columns import drop
from orchestrator.checks.traits import Trait
from orchestrator.findings import LEAK, TableFinding, format_overrides
from orchestrator.spec.data import DataSpec
from score.contract.dates import seconds_series

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS = 5000  # of the sample of a table that has more
FEWEST = 30  # rows, below which a column may fit by chance
_BINS = 64
_PER_BIN = 10  # rows
_CANDIDATE = {True: 0.8, False: 0.95}  # share of the variation that a histogram explains: of classes, of ranks
_LEAK = {True: 0.98, False: 0.99}  # the same on cross-validated rows, from which a column gives the target away
_LINEAR = 1 - 1e-9  # squared correlation of a linear function of the target
_EXACT = 1e-6  # share of the variation that a sum may leave
_PARTS = 40  # numeric columns that are searched for the parts of a sum
_PER_PART = 4  # rows, at least


@dataclass(frozen=True)
class SampledTarget:
    """The target of the sampled rows: codes of classes, or numbers and their ranks, scaled to variance 1."""

    name: str
    numbers: np.ndarray[Any, Any]
    compared: np.ndarray[Any, Any]
    is_class: bool

    def take(self, mask: np.ndarray[Any, Any]) -> SampledTarget:
        """Return the target of some of the rows."""
        chosen = self.compared[mask]
        compared = chosen if self.is_class or mask.all() else _scale(chosen)
        return SampledTarget(self.name, self.numbers[mask], compared, self.is_class)


def draw_rows(count: int) -> Any:
    """Return the places of the rows to look at: all, or a sample with a fixed seed, in order."""
    import numpy as np

    return slice(None) if count <= ROWS else np.sort(np.random.default_rng(0).choice(count, ROWS, replace=False))


def find_leaks(
    X: pd.DataFrame,
    y: pd.Series,
    traits: Mapping[str, Trait],
    data: DataSpec,
    *,
    is_class: bool,
    groups: pd.Series | None = None,
) -> Iterator[TableFinding]:
    """Yield the columns of ``X`` (n_rows, n_columns) that nearly determine ``y`` (n_rows,); a sample is enough.

    Rows of one of the ``groups`` (n_rows,) are predicted from other groups: what is the same in all rows of a person
    determines the target of that person only.
    """
    import numpy as np
    from scipy.stats import rankdata

    if len(y) < FEWEST:
        return
    X = X.assign(**{name: seconds_series(X[name]) for name in X.columns if X[name].dtype.kind == "M"})
    values = y.to_numpy() if is_class else y.to_numpy(dtype=float)
    compared = values if is_class else _scale(rankdata(values))
    target = SampledTarget(str(y.name), values, compared, is_class)
    fold = _assign_folds(compared) if groups is None else _assign_whole(groups)
    explained: dict[str, float] = {}
    leaks: dict[str, TableFinding] = {}
    copies: list[str] = []
    for name in X.columns:
        if name in traits and traits[name].kind != "date":
            continue
        codes = _bin_column(X[name])
        masks = _masks(codes)
        explained[name] = max(_explained(codes[mask], target.take(mask)) for mask in masks)
        if explained[name] < _CANDIDATE[is_class]:
            continue
        share = max(_cross_validate(X[name][mask], codes[mask], target.take(mask), fold[mask]) for mask in masks)
        if share >= _LEAK[is_class]:
            relation = "" if is_class else _relation(X[name], target)
            leaks[name] = _leak(name, share, relation, target, data)
            copies += [name] if relation else []
    if not is_class:
        numeric = [name for name in explained if name not in copies and X[name].dtype.kind in "iuf"]
        likely = sorted(numeric, key=lambda name: -explained[name])[: min(_PARTS, len(y) // _PER_PART)]
        complete = [name for name in likely if np.isfinite(X[name].to_numpy(dtype=float)).all()]
        if parts := _find_sum(X[complete], values, fold):
            leaks = {name: leak for name, leak in leaks.items() if name not in parts}
            yield _sum(parts, target, data)
    yield from leaks.values()


def _masks(codes: np.ndarray[Any, Any]) -> Sequence[np.ndarray[Any, Any]]:
    """Return which rows a column is judged on: all, and those with a value, where that is enough rows.

    That a value is missing may give a class away; and few missing values do not hide the others.
    """
    import numpy as np

    present = codes > 0
    masks = [np.ones(len(codes), dtype=bool)]
    enough = max(FEWEST, len(codes) / 2)
    return [*masks, present] if enough <= present.sum() < len(codes) else masks


def _scale(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    spread = values.std()
    scaled: np.ndarray[Any, Any] = (values - values.mean()) / (spread or 1.0)
    return scaled


def _assign_folds(compared: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the fold, 0 or 1, of each row: every class, or every part of the range, is in both."""
    import numpy as np

    order = np.lexsort((np.random.default_rng(0).random(len(compared)), compared))
    fold = np.empty(len(compared), dtype=int)
    fold[order] = np.arange(len(compared)) % 2
    return fold


def _assign_whole(groups: pd.Series) -> np.ndarray[Any, Any]:
    """Return the fold, 0 or 1, of each row: that of its group."""
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(groups)
    fold_of_group = np.random.default_rng(0).permutation(np.arange(len(distinct)) % 2)
    fold: np.ndarray[Any, Any] = fold_of_group[codes]
    return fold


def _bin_column(values: pd.Series) -> np.ndarray[Any, Any]:
    """Return a code from 0 for each row: of the category, or of the quantile of a number; missing values have one."""
    import numpy as np
    import pandas as pd

    if values.dtype.kind not in "iuf":
        return pd.factorize(values)[0] + 1
    numbers = values.to_numpy(dtype=float)
    present = numbers[np.isfinite(numbers)]
    count = max(2, min(_BINS, len(present) // _PER_BIN))
    edges = np.unique(np.quantile(present, np.linspace(0, 1, count + 1)[1:-1])) if len(present) else np.empty(0)
    codes: np.ndarray[Any, Any] = np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers) + 1)
    return codes


def _explained(codes: np.ndarray[Any, Any], target: SampledTarget) -> float:
    """Return the share of the variation that a histogram explains on the rows that it is made of."""
    import numpy as np

    counts = np.bincount(codes)
    if not target.is_class:
        sums = np.bincount(codes, weights=target.compared)
        return float((sums**2 / np.maximum(counts, 1)).sum() / len(codes))
    classes = int(target.compared.max()) + 1
    by_code = np.bincount(codes * classes + target.compared, minlength=len(counts) * classes).reshape(-1, classes)
    return _gain(len(codes) - int(by_code.max(axis=1).sum()), target)


def _gain(errors: int, target: SampledTarget) -> float:
    """Return the share of the errors of always naming the most frequent class that are avoided."""
    import numpy as np

    dummy = len(target.compared) - int(np.bincount(target.compared).max())
    return 1 - errors / dummy if dummy else 0.0


def _cross_validate(
    values: pd.Series, codes: np.ndarray[Any, Any], target: SampledTarget, fold: np.ndarray[Any, Any]
) -> float:
    """Return the share that a model of the column alone explains on rows that it was not fitted on."""
    import numpy as np

    if fold.min() == fold.max():  # nearly all rows are of one group
        return 0.0
    predicted = np.empty_like(target.compared)
    for held_out in (0, 1):
        fit, test = fold != held_out, fold == held_out
        model = _predict_by_tree if values.dtype.kind in "iuf" else _predict_by_code
        column = values.to_numpy(dtype=float) if values.dtype.kind in "iuf" else codes
        predicted[test] = model(column[fit], target.compared[fit], column[test], is_class=target.is_class)
    if target.is_class:
        return _gain(int((predicted != target.compared).sum()), target)
    return 1 - float(((predicted - target.compared) ** 2).mean())


def _predict_by_tree(fit: Any, compared: Any, test: Any, *, is_class: bool) -> Any:
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    def column(numbers: Any) -> Any:  # float32 is what trees take
        most = np.finfo(np.float32).max
        return np.clip(numbers, -most, most)[:, None]

    tree = (DecisionTreeClassifier if is_class else DecisionTreeRegressor)(random_state=0)
    return tree.fit(column(fit), compared).predict(column(test))


def _predict_by_code(fit: Any, compared: Any, test: Any, *, is_class: bool) -> Any:
    """Predict a category's most frequent class or mean; a new category has that of all rows."""
    import numpy as np

    size = int(max(fit.max(), test.max())) + 1
    counts = np.bincount(fit, minlength=size)
    if is_class:
        classes = int(compared.max()) + 1
        table = np.bincount(fit * classes + compared, minlength=size * classes).reshape(size, classes)
        table[counts == 0] = np.bincount(compared, minlength=classes)
        return table.argmax(axis=1)[test]
    means = np.bincount(fit, weights=compared, minlength=size) / np.maximum(counts, 1)
    means[counts == 0] = compared.mean()
    return means[test]


def _find_sum(X: pd.DataFrame, wanted: np.ndarray[Any, Any], fold: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return the columns that add up to the target, each with its sign; empty if there are none."""
    import numpy as np

    if X.shape[1] < 2 or not np.isfinite(wanted).all() or not wanted.std():
        return {}
    numbers = X.to_numpy(dtype=float)
    spread = numbers.std(axis=0)
    scaled, centered = (numbers - numbers.mean(axis=0)) / np.where(spread, spread, 1), wanted - wanted.mean()
    fit = fold == 0
    weights, *_ = np.linalg.lstsq(scaled[fit], centered[fit], rcond=None)
    left = ((centered[~fit] - scaled[~fit] @ weights) ** 2).mean() / wanted.var()
    if left > _EXACT:
        return {}
    counts = np.abs(weights) > 1e-3 * wanted.std()
    factors = (weights / np.where(spread, spread, 1))[counts]
    if counts.sum() < 2 or (np.abs(np.abs(factors) - 1) > 1e-2).any():
        return {}
    return dict(zip(X.columns[counts], np.sign(factors).tolist(), strict=True))


def _leak(name: str, share: float, relation: str, target: SampledTarget, data: DataSpec) -> TableFinding:
    changes = drop(data, name)
    score = (
        f"a model of it avoids {share:.1%} of the errors of always naming the most frequent class"
        if target.is_class
        else f"a model of it explains {share:.2%} of the variation of the ranks"
    )
    text = (
        f"column '{name}' alone nearly determines the target '{target.name}'{relation}: {score}, on cross-validated rows; "
        f"if new rows will not have it, write {format_overrides(changes)}"
    )
    return TableFinding(LEAK, text, (name,), changes)


def _relation(values: pd.Series, target: SampledTarget) -> str:
    """Return whether a column is a linear function of the target or of its logarithm."""
    import numpy as np

    if values.dtype.kind not in "iuf":
        return ""
    numbers, wanted = values.to_numpy(dtype=float), target.numbers
    known = np.isfinite(numbers) & np.isfinite(wanted)
    for what, function, lowest in (("it", np.asarray, -np.inf), ("its logarithm", np.log, 0.0)):
        usable = known.sum() > 2 and (wanted[known] > lowest).all() and numbers[known].std()
        if usable and np.corrcoef(numbers[known], function(wanted[known]))[0, 1] ** 2 >= _LINEAR:
            return f" (it is a linear function of {what})"
    return ""


def _sum(parts: Mapping[str, float], target: SampledTarget, data: DataSpec) -> TableFinding:
    terms = " ".join(f"{'-' if sign < 0 else '+'} '{name}'" for name, sign in parts.items()).removeprefix("+ ")
    changes = drop(data, *parts)
    text = (
        f"columns {', '.join(map(repr, parts))} give the target '{target.name}' exactly: {terms}, up to a constant; if new "
        f"rows will not have them, write {format_overrides(changes)}"
    )
    return TableFinding(LEAK, text, tuple(parts), changes)
