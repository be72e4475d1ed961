"""Verdict: what the gate decided about a version, in words and in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.tracking.registered_model import GATE, GATE_REASON

if TYPE_CHECKING:
    from orchestrator.uncertainty.comparisons import PairedComparison

Decision = Literal["passed", "kept", "refused", "unchanged", "open"]


@dataclass(frozen=True)
class LimitCheck:
    """A score on the hold-out rows against a limit: a minimum, a maximum, or the score of a dummy.

    ``value`` is the score, or the bound of its interval where that is what counts.
    """

    metric: str
    kind: Literal["minimum", "maximum", "dummy"]
    value: float
    limit: float
    passed: bool
    by: Literal["estimate", "bound"] = "estimate"

    @property
    def line(self) -> str:
        """What was found, in words."""
        value = (
            f"the bound of {self.metric}, {self.value:.4g},"
            if self.by == "bound"
            else f"{self.metric} {self.value:.4g}"
        )
        if self.kind == "dummy":
            return f"{value} is {'better' if self.passed else 'no better'} than a dummy's {self.limit:.4g}"
        side = {("minimum", True): "at least", ("minimum", False): "below", ("maximum", True): "at most"}
        return f"{value} is {side.get((self.kind, self.passed), 'above')} {self.limit:g} (gate.{self.kind})"


@dataclass(frozen=True)
class Level:
    """How much of ``alpha`` a decision gets: ``spent``, after so many ``looks`` at the same hold-out rows.

    A look is a spec of which a run was scored on these rows, this one included; 0 where they were not counted. ``swept``:
    it is about the best job of a sweep, whose other jobs are not among the looks.
    """

    alpha: float
    looks: int
    spent: float
    swept: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, and why.

    ``passed``: it may be deployed. ``kept``: the champion stays. ``refused``: it keeps a limit not, or is no better than a
    dummy. ``unchanged``: it is the champion already. ``open``: nothing was decided, as nothing is deployed.
    """

    decision: Decision
    reasons: Sequence[str]
    notes: Sequence[str] = ()
    checks: Sequence[LimitCheck] = ()
    champion: str = ""  # its version
    metric: str = ""
    rule: str = ""
    margin: float = 0.0
    comparison: PairedComparison | None = None
    level: Level | None = None
    needed: str = ""
    recorded: str = ""  # of a version that was decided about before: that line

    @property
    def ends(self) -> str:
        """Why the stages that deploy are skipped; "" if they run."""
        if self.decision == "kept":
            return f"the gate keeps champion version {self.champion}"
        return "the gate refuses this version" if self.decision == "refused" else ""

    @property
    def alarming(self) -> bool:
        """Whether something was found that speaks against the version."""
        return bool(self.ends) or any(not check.passed for check in self.checks)

    @property
    def line(self) -> str:
        """The decision and its reasons in one line."""
        return f"{self.decision}: {'; '.join(self.reasons)}"

    @property
    def tags(self) -> Mapping[str, str]:
        """What is recorded at the run and the version."""
        return {GATE: self.decision, GATE_REASON: "; ".join([*self.reasons, *filter(None, [self.needed])])}

    @property
    def metrics(self) -> Mapping[str, float]:
        """What is recorded at the run as numbers."""
        found: dict[str, float] = {}
        if self.comparison is not None:
            low, high = self.comparison.interval()
            found |= {
                "gate_difference": self.comparison.difference,
                "gate_difference_low": low,
                "gate_difference_high": high,
            }
            found |= {"gate_p_value": self.p_value, "gate_champion": self.comparison.second}
        if self.level is not None:
            found |= {"gate_level": self.level.spent, "gate_looks": float(self.level.looks)}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    @property
    def p_value(self) -> float:
        """The one-sided p-value of the comparison; NaN without one."""
        if self.comparison is None:
            return math.nan
        return self.comparison.p_value(-self.margin if self.rule == "not_worse" else self.margin)

    def as_json(self) -> dict[str, Any]:
        """Return it for result.json."""
        compared = None
        if self.comparison is not None:
            compared = {
                "metric": self.metric,
                "rule": self.rule,
                "margin": self.margin,
                "method": self.comparison.method,
                "rows": self.comparison.rows,
                "challenger": self.comparison.first,
                "champion": self.comparison.second,
                "difference": self.comparison.difference,
                "interval": [*self.comparison.interval()],
                "p_value": self.p_value,
            }
        return {
            "decision": self.decision,
            "reasons": [*self.reasons],
            "notes": [*self.notes],
            "needed": self.needed or None,
            "champion": self.champion or None,
            "comparison": compared,
            "checks": [
                {name: None if value != value else value for name, value in vars(check).items()}  # noqa: PLR0124 - NaN
                for check in self.checks
            ],
            "alpha": self.level and self.level.alpha,
            "level": self.level and self.level.spent,
            "looks": self.level and self.level.looks,
        }
