"""Charts hold the numbers that they are given, and no colour of their own."""

from __future__ import annotations

import re

import pytest

from orchestrator.report import charts
from orchestrator.report.inspection import Curve


def test_a_histogram_has_a_bar_for_each_count_but_0() -> None:
    drawn = charts.histogram((4, 0, 2))
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"/>', drawn)]
    assert heights == [25.0, 12.5]
    assert 'aria-hidden="true"' in drawn
    assert charts.histogram(()) == ""


def test_an_interval_lies_where_its_scale_puts_it() -> None:
    drawn = charts.interval(0.5, 0.25, 0.75, (0.0, 1.0), 0.0)
    assert re.findall(r'class="whisker" x1="([\d.]+)" x2="([\d.]+)"', drawn) == [("43.0", "117.0")]
    assert 'cx="80.0"' in drawn
    assert 'class="whisker"' not in charts.interval(0.5, None, None, (0.0, 1.0))


def test_a_chart_is_named_and_described_and_escapes_both() -> None:
    drawn = charts.curves([Curve('<b>"', (0.0, 1.0), (0.0, 1.0), 0.5)], "x", "y", "ROC", [(0, 0), (1, 1)])
    assert 'role="img"' in drawn
    assert "<title>ROC</title>" in drawn
    assert "&lt;b&gt;&#34;: 0.500" in drawn
    assert "<b>" not in drawn
    assert not re.search(r"#[0-9a-f]{3,6}\b(?!;)|rgb|style=", drawn)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.7, 12.2), (1e6, 3.3e6), (0.001, 0.0013), (5, 5)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = charts.round_ticks(low, high)
    assert 1 <= len(ticks) <= 6
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert all(len(f"{tick:.4g}") <= 9 for tick in ticks)


def test_a_scale_of_one_value_has_room_around_it() -> None:
    assert charts.ends_of([3.0, None, float("nan")]) == (2.7, 3.3)
    assert charts.ends_of([]) == (-0.06, 1.06)
