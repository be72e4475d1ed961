"""Compare a table with the one that the champion was trained on, by the profiles that its package carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.artifacts import Split
from orchestrator.checks.contract import TYPES
from orchestrator.report.columns import ROWS, kind_of
from orchestrator.report.inspection import ColumnChange, DataChanges
from score.contract.columns import shown
from score.contract.distribution import CHANGED, Profile
from score.contract.schema import Contract, json_value

if TYPE_CHECKING:
    import pandas as pd

SOME = 0.1  # an index from which a column is listed
CHANCE = 0.001  # below which it is not taken for chance
PARTS = 3  # that are written of a column, those whose shares changed most


@dataclass(frozen=True)
class TrainingData:
    """What a package says of its training data: the contract, the profiles by column, and the training summary.

    ``model`` is its name in text for the user.
    """

    model: str
    contract: Contract
    profiles: Mapping[str, Profile]
    about: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """The rows that the model was fitted on."""
        held_out = self.about.get("held_out_rows", 0) if self.about.get("fit_on") == "all" else 0
        return int(self.about.get("training_rows", 0)) + int(held_out)


def compare_data(before: TrainingData, split: Split, *, fit_on_all: bool) -> DataChanges:
    """Return what changed in the rows that a model is fitted on, since another one was; many rows are sampled.

    A column is listed if its population stability index is at least ``SOME`` and rows of one distribution would not differ
    as much by chance: of few rows the index alone is large.
    """
    import pandas as pd

    X = pd.concat([split.X_train, split.X_test]) if fit_on_all else split.X_train
    rows = len(X)
    if rows > ROWS:
        X = X.iloc[np.sort(np.random.default_rng(0).choice(rows, ROWS, replace=False))]
    kinds = {column.name: column.kind for column in split.reading.columns} if split.reading else {}
    known = {column.name: column for column in before.contract.columns}
    found, indices, unprofiled = [], {}, 0
    for name in X.columns:
        kind = kinds.get(str(name)) or kind_of(X[name])
        column = known.get(name)
        if column is None:
            found.append(ColumnChange(str(name), "new column", "", kind))
        elif TYPES.get(kind) != TYPES[column.kind]:
            found.append(ColumnChange(name, "another type", TYPES[column.kind], TYPES.get(kind, kind)))
        elif name in before.profiles:
            change = _compare(X[name], before.profiles[name], column.kind, before.rows)
            indices[name] = change.index
            found += [change] if change.what else []
        else:
            unprofiled += 1
    found += [
        ColumnChange(name, "not there any more", TYPES[known[name].kind], "") for name in known if name not in X.columns
    ]
    target = _compare_target(before.about, split)
    return DataChanges(
        champion=before.model,
        rows_before=before.rows,
        rows=rows,
        target=target,
        columns=tuple(sorted(found, key=lambda change: -change.index)),
        unprofiled=unprofiled,
        width=X.shape[1],
        largest=max(indices.items(), key=lambda item: item[1], default=("", 0.0)),
        sampled=len(X),
    )


def _compare_target(about: Mapping[str, Any], split: Split) -> ColumnChange | None:
    """Return the target's values then and now, changed or not; None where the package does not say them.

    ``what`` names the column that the champion predicts, where that is another one.
    """
    stored, name = about.get("target_profile"), str(split.y_train.name)
    if stored is None:
        return None
    profile, values = Profile(**stored), split.y_train
    if (profile.edges is None) != (split.classes is not None):
        return None
    if split.classes is not None:
        values = values.map(dict(enumerate(json_value(label) for label in split.classes)))
    change = _compare(values, profile, "number" if split.classes is None else "category", len(values))
    its = str(about.get("target") or name)
    return replace(change, name=name, what=its if its != name else "")


def _compare(column: pd.Series, profile: Profile, kind: str, rows_before: int) -> ColumnChange:
    """Return the values of a column then and now; ``what`` is empty where it has not changed."""
    counts = profile.count(column, kind)
    total = sum(counts)
    if not total:
        return ColumnChange(profile.column, "no value", "", "")
    index = profile.psi(counts)
    changed = index >= SOME and not _is_chance([share * rows_before for share in profile.shares], counts)
    now = [count / total for count in counts]
    before_text, now_text = _shares(profile, now)
    today = Profile.describe(column, kind, None) if profile.edges is not None else None
    if today is not None:
        ends = _ends(profile), _ends(today)
        if ends[0] != ends[1] or not changed:
            before_text, now_text = ends
            if max(profile.shares[0], now[0]) > 0:
                before_text += f"; missing: {_percent(profile.shares[0])}"
                now_text += f"; missing: {_percent(now[0])}"
        if beyond := profile.outside(counts):
            now_text += f"; beyond the former range: {_percent(beyond)}"
    what = ("changed" if index > CHANGED else "changed somewhat") if changed else ""
    return ColumnChange(profile.column, what, before_text, now_text, index)


def _is_chance(before: Sequence[float], now: Sequence[float]) -> bool:
    """Return whether rows of one distribution differ as much as these counts: Pearson's chi-squared test."""
    from scipy.stats import chi2_contingency

    counts = np.array([before, now])
    counts = counts[:, counts.sum(axis=0) > 0]
    return counts.shape[1] < 2 or bool(chi2_contingency(counts).pvalue > CHANCE)


def _shares(profile: Profile, now: Sequence[float]) -> tuple[str, str]:
    """Return the shares, then and now, of the values or ranges whose shares changed most; of equal ones the last first."""
    if profile.edges is None:
        names = ["missing", *(shown(value) for value in profile.values), "other values"]  # noqa: PD011
    else:
        parts = pairwise(_show(edge) for edge in profile.edges)
        names = ["missing", "below", *(f"{low} to {high}" for low, high in parts), "above"]
    order = sorted(range(len(now)), key=lambda at: (-round(abs(profile.shares[at] - now[at]), 9), -at))[:PARTS]
    used = [at for at in order if max(profile.shares[at], now[at]) > 0]
    before_text, now_text = (
        "; ".join(f"{names[at]}: {_percent(shares[at])}" for at in used) for shares in (profile.shares, now)
    )
    return before_text, now_text


def _ends(profile: Profile) -> str:
    """Return the range and the median: the last edge below which are less than half of the values."""
    edges = list(profile.edges or ())
    half, below, median = (1 - profile.shares[0]) / 2, 0.0, edges[0]
    for edge, share in zip(edges, profile.shares[1:], strict=False):
        below += share
        median = edge if below < half - 1e-9 else median
    low, middle, high = (_show(edge) for edge in (edges[0], median, edges[-1]))
    return f"always {low}" if low == high else f"{low} to {high}, median {middle}"


def _show(edge: Any) -> str:
    return str(edge)[:10] if isinstance(edge, str) else f"{edge:,.4g}" if abs(edge) < 10_000 else f"{edge:,.0f}"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.01 else f"{share * 100:.0f} %"
