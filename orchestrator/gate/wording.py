"""The gate's decision in words: what was compared, how sure that is, and what would be needed."""

from __future__ import annotations

import math

from orchestrator.gate.verdict import Level
from orchestrator.uncertainty.comparisons import Needed, PairedComparison, Rule


def describe_comparison(
    compared: PairedComparison, metric: str, rule: Rule, margin: float, level: Level, *, shown: bool
) -> str:
    """Say what two scores, their difference and its p-value are."""
    low, high = compared.interval()
    digits = digits_for(compared)
    p = compared.p_value(margin if rule == "better" else -margin)
    by = f" by more than {margin:g}" if margin and rule == "better" else ""
    claim = f"better{by}" if rule == "better" else f"less than {margin:g} worse"
    return (
        f"{'' if shown else 'no evidence that it is '}{claim}: {metric} {compared.first:.{digits}f} against "
        f"{compared.second:.{digits}f} on {compared.rows:,} rows, difference {compared.difference:+.{digits}f} "
        f"(95 % interval {low:+.{digits}f} to {high:+.{digits}f}); p {format_p(p)} is {'at most' if shown else 'above'} "
        f"{format_p(level.spent)} ({compared.method})"
    )


def describe_needed(needed: Needed, compared: PairedComparison) -> str:
    """Say what would be shown in 8 of 10 cases: a difference on these rows, or the found difference on more rows."""
    kind = "rows" if "folds" in compared.method else "hold-out rows"
    if compared.standard_error == 0 and compared.difference:
        return f"needed: more {kind}; on these {compared.rows:,} rows the difference is the same in every resample"
    if compared.standard_error == 0:
        same = f"to this metric both models say the same of these {compared.rows:,} rows"
        return f"needed: other predictions; {same} (gate.rule=not_worse lets an equally good one pass)"
    digits = digits_for(compared)
    shown = "shown in 8 of 10 cases"
    text = f"needed: a difference of {needed.difference:+.{digits}f} on these {compared.rows:,} rows"
    if needed.rows is not None and needed.rows > compared.rows:
        shown = f"either is {shown}"
        text += f", or about {_rounded(needed.rows):,} {kind} if {compared.difference:+.{digits}f} is the true one"
    return f"{text} ({shown})"


def describe_level(level: Level, *, tested: bool = True) -> str:
    """Say how often the hold-out rows were used, and what that leaves of the level if something is ``tested``; "" where it is not known."""
    if not level.looks:
        return ""
    left = f"{format_p(level.spent)} of the level {level.alpha:g}"
    by = ", beside the jobs of this sweep, which were compared by cross-validation" if level.swept else ""
    if level.looks == 1:
        return f"no other model was scored on these hold-out rows{by}" + (
            f"; this decision gets {left}" if tested else ""
        )
    used = f"{level.looks} models were scored on these hold-out rows, this one included{by}"
    return f"{used}, so this decision gets {left}; fresh rows begin anew" if tested else used


def digits_for(compared: PairedComparison) -> int:
    """Return the decimals that the standard error supports: two digits of it."""
    error = compared.standard_error
    return min(max(1 - math.floor(math.log10(error)), 2), 6) if error > 0 else 4


def format_p(value: float) -> str:
    """Format a probability with two significant digits."""
    return "below 0.0001" if 0 < value < 0.0001 else f"{value:.2g}"


def _rounded(rows: int) -> int:
    """Round to two significant digits, upwards."""
    step = int(10 ** max(len(str(rows)) - 2, 0))
    return math.ceil(rows / step) * step
