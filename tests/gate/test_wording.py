"""What the gate says, and what it records."""

from __future__ import annotations

import json
import math

import pytest

from orchestrator.gate.verdict import Level, LimitCheck, Verdict
from orchestrator.gate.wording import describe_comparison, describe_level, describe_needed, digits_for
from orchestrator.uncertainty.comparisons import Needed, PairedComparison, compare_folds, needed_for

COMPARED = PairedComparison("DeLong's test", 0.873333, 0.844815, 0.0155, math.inf, 154)
LEVEL = Level(0.05, 2, 0.025)


def test_a_comparison_is_said_in_one_sentence() -> None:
    said = describe_comparison(COMPARED, "roc_auc", "better", 0.0, LEVEL, shown=False)
    assert said == (
        "no evidence that it is better: roc_auc 0.873 against 0.845 on 154 rows, difference +0.029 (95 % interval -0.002 to "
        "+0.059); p 0.033 is above 0.025 (DeLong's test)"
    )
    said = describe_comparison(COMPARED, "roc_auc", "not_worse", 0.02, LEVEL, shown=True)
    assert said.startswith("less than 0.02 worse: roc_auc 0.873")
    assert "is at most 0.025" in said
    assert "better by more than 0.01:" in describe_comparison(COMPARED, "f1", "better", 0.01, LEVEL, shown=False)


def test_what_is_needed_is_rounded() -> None:
    assert describe_needed(Needed(0.0433, 357), COMPARED) == (
        "needed: a difference of +0.043 on these 154 rows, or about 360 hold-out rows if +0.029 is the true one "
        "(either is shown in 8 of 10 cases)"
    )
    same = PairedComparison("DeLong's test", 0.8, 0.8, 0.0, math.inf, 154)
    assert describe_needed(Needed(0.0, None), same).startswith("needed: other predictions; to this metric both")
    assert describe_needed(Needed(0.0433, None), COMPARED) == (
        "needed: a difference of +0.043 on these 154 rows (shown in 8 of 10 cases)"
    )
    folds = compare_folds([0.8, 0.82, 0.81], [0.79, 0.8, 0.81], 0.5, 600)
    needed = needed_for(folds, "better", 0.0, 0.025)
    assert "rows" in describe_needed(needed, folds)
    assert "hold-out" not in describe_needed(needed, folds)
    assert needed.difference > 4.5 * folds.standard_error, "Student's t with two degrees of freedom"
    perfect = PairedComparison("DeLong's test", 1.0, 0.5, 0.0, 2, 6)
    assert describe_needed(needed_for(perfect, "better", 0.0, 0.025), perfect).startswith("needed: more hold-out rows")


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (Level(0.05, 0, 0.025), ""),
        (
            Level(0.05, 1, 0.025),
            "no other model was scored on these hold-out rows; this decision gets 0.025 of the level 0.05",
        ),
        (
            LEVEL,
            "2 models were scored on these hold-out rows, this one included, so this decision gets 0.025 of the level 0.05",
        ),
        (
            Level(0.05, 1, 0.025, swept=True),
            "rows, beside the jobs of this sweep, which were compared by cross-validation; this decision gets 0.025 of",
        ),
        (Level(0.05, 900, 6e-8), "gets below 0.0001 of"),
    ],
)
def test_the_use_of_the_rows_is_said(level: Level, said: str) -> None:
    assert said in describe_level(level)
    assert bool(describe_level(level)) is bool(said)
    assert "level" not in describe_level(level, tested=False)


def test_digits_follow_the_standard_error() -> None:
    assert [digits_for(PairedComparison("", 0, 0, error, 1, 9)) for error in (0.3, 0.0155, 0.00042, 0.0)] == [
        2,
        3,
        5,
        4,
    ]


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (LimitCheck("f1", "minimum", 0.61, 0.6, True), "f1 0.61 is at least 0.6 (gate.minimum)"),
        (LimitCheck("f1", "minimum", 0.59, 0.6, False), "f1 0.59 is below 0.6 (gate.minimum)"),
        (LimitCheck("r2", "maximum", 0.9, 0.95, True), "r2 0.9 is at most 0.95 (gate.maximum)"),
        (LimitCheck("r2", "maximum", 0.99, 0.95, False), "r2 0.99 is above 0.95 (gate.maximum)"),
        (LimitCheck("f1", "dummy", 0.5, 0.5, False), "f1 0.5 is no better than a dummy's 0.5"),
        (LimitCheck("f1", "dummy", 0.6, 0.5, True, "bound"), "the bound of f1, 0.6, is better than a dummy's 0.5"),
    ],
)
def test_a_check_is_one_line(check: LimitCheck, line: str) -> None:
    assert check.line == line


def test_a_verdict_is_recorded_in_words_and_numbers() -> None:
    kept = Verdict("kept", ["a", "b"], ["n"], (), "3", "roc_auc", "better", 0.0, COMPARED, LEVEL, "needed: rows")
    assert kept.ends == "the gate keeps champion version 3"
    assert kept.alarming
    assert kept.tags == {"gate": "kept", "gate_reason": "a; b; needed: rows"}
    assert kept.metrics["gate_p_value"] == pytest.approx(0.033, abs=1e-3)
    assert (kept.metrics["gate_level"], kept.metrics["gate_looks"]) == (0.025, 2)
    found = json.loads(json.dumps(kept.as_json()))
    assert found["comparison"]["interval"] == pytest.approx([-0.0019, 0.0589], abs=1e-3)
    assert (found["alpha"], found["level"], found["looks"], found["champion"]) == (0.05, 0.025, 2, "3")


def test_what_passes_ends_nothing() -> None:
    for decision in ("passed", "unchanged", "open"):
        assert Verdict(decision, []).ends == ""
    refused = Verdict("refused", ["x"], checks=[LimitCheck("f1", "minimum", 0.1, 0.6, False)])
    assert refused.ends == "the gate refuses this version"
    assert json.loads(json.dumps(refused.as_json()))["checks"][0]["limit"] == 0.6
