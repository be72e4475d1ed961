"""The page holds what was found, escapes what is not its own, and needs nothing besides itself."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from orchestrator.artifacts import Candidate, ScoreContext
from orchestrator.findings import TableFinding
from orchestrator.modeling.decision import Decision
from orchestrator.report.page import overrides_of
from orchestrator.reporting.scores import format_score
from orchestrator.spec.report import CardSpec, ReportSpec
from orchestrator.uncertainty.interval import Interval
from tests.report.trainings import HOSTILE, hostile, table, train, two_classes

VOID = {"meta", "rect", "line", "circle", "path"}
DATA = {"viewbox", "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "dy", "width", "height", "transform"}


class Reader(HTMLParser):
    """Collects tags, attributes and texts, and checks that elements are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [str(value) for name, value in attrs if name in {"href", "src"}]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_hostile_names_are_text_and_nothing_else() -> None:
    made = hostile()
    finding = TableFinding("data-leak", f"column '{HOSTILE[1]}' is one", (HOSTILE[0],))
    card = CardSpec(intended_use=HOSTILE[0], limits="\n\n".join(HOSTILE))
    page = made.page(
        inspection=made.inspect(slices=[HOSTILE[0], HOSTILE[4], "number"]),
        report={"tags": {"mlflow.source.git.commit": HOSTILE[1]}},
        findings=(finding,),
        card=card,
        rebuild=HOSTILE[1],
        verdict=HOSTILE,
    )
    read = Reader(page)
    assert not read.tags & {"script", "img", "iframe", "object", "link"}
    assert not [name for name in read.attributes if name.startswith("on")]
    assert all(link.startswith("#") for link in read.links)
    assert not re.search(r"url\(|@import|https?://", page)
    for text in HOSTILE:
        assert " ".join(text.split()) in read.text
    assert "49" not in re.findall(r"\d+", " ".join(read.texts[:40]))  # 7 * 7 was not computed
    assert "10 more candidates are not shown" in read.text
    assert len(page) < 200_000


def test_the_page_says_what_was_found_and_the_same_again_for_the_same_run() -> None:
    made = two_classes()
    page = made.page(rebuild="orchestrate data.target=y deploy=none")
    read = Reader(page)
    assert page == made.page(rebuild="orchestrate data.target=y deploy=none")
    score = made.evaluation.metrics["roc_auc"]
    for said in (
        "LogisticRegression for y",
        "roc_auc of yes on 50 hold-out rows"
        if made.evaluation.notes.positive_metrics
        else "roc_auc on 50 hold-out rows",
        format_score(score, 50, made.evaluation.intervals["roc_auc"]),
        "always",
        "orchestrate data.target=y deploy=none",
        "search.refit=roc_auc",
        "model-overfitting",
        "Oslo",
        "1 best",
    ):
        assert said in read.text, said
    assert f"95 % interval {made.evaluation.intervals['roc_auc'].text()}" in read.text
    assert "95 % interval" not in made.page(report={"intervals": {}})
    for absent in ('id="verdict"', 'id="card"', 'id="slices"'):
        assert absent not in page


def test_intervals_a_verdict_and_a_card_are_shown_where_they_exist() -> None:
    made = two_classes()
    found = {
        "intervals": {"roc_auc": Interval(0.612, 0.974, "")},
        "notes": ScoreContext(50, caution="Rows of one day."),
        "decision": Decision(0.25, "fixed", "yes"),
    }
    card = CardSpec(intended_use="Calls to customers.\n\nBy sales.", limits=None)
    metrics = {**made.report().metrics, "holdout_brier_score": 0.1}
    page = made.page(
        report={**found, "metrics": metrics},
        card=card,
        verdict=["The champion stays.", "500 more rows would be needed."],
    )
    read = Reader(page)
    for said in (
        "95 % interval 0.612 to 0.974",
        "The champion stays.",
        "Rows of one day.",
        "cross-validated scores are of the estimator's own labels.",
        "brier_score (lower is better)",
        "Intended use Calls to customers. By sales.",
    ):
        assert said in read.text, said
    assert "Limits" not in [text.strip() for text in read.texts]


def test_findings_say_what_to_do_and_a_table_that_was_not_checked_is_said() -> None:
    made = two_classes()
    finding = TableFinding("model-grid-edge", "C=1 is at the edge; write model.param_grid.C=[1,2]")
    text = Reader(made.page(findings=(finding,), checked=None)).text
    assert "C=1 is at the edge; write model.param_grid.C=[1,2]" in text
    assert "To fix it: extend the grid" in text
    assert "The table was not checked." in text


@pytest.mark.parametrize("count", [1, 400])
def test_candidates_that_failed_and_many_parameters_fit_the_table(count: int) -> None:
    names = [f"p{at}" for at in range(9)]
    candidates = [
        Candidate(dict.fromkeys(names, at), {"r2": 0.9 - at / 1000}, {"r2": 0.01}, at + 1, 0.1) for at in range(count)
    ]
    candidates.append(
        replace(candidates[0], params=dict.fromkeys(names, -1), mean={"r2": float("nan")}, rank=999, error="no")
    )
    X = table()
    made = train(X, X["a"], candidates=candidates)
    text = Reader(made.page()).text
    assert text.count("p0=") >= min(count, 50)
    assert ("more candidates are not shown" in text) == (count > 50)
    assert ("failed: no" in text) == (count < 50)


def test_secrets_are_masked_by_name_and_by_look() -> None:
    params = {"data.storage.account_key": "abc", "data.path": "https://x/y?sig=abc", "seed": "0"}
    assert overrides_of(params) == ["data.storage.account_key=***", "data.path=https://x/y?sig=***", "seed=0"]


def test_building_the_page_imports_nothing_heavy() -> None:  # it is built in a run that is cached, too
    code = "import sys, orchestrator.report.page; print({'numpy', 'pandas', 'sklearn', 'matplotlib'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_card_is_no_part_of_what_is_computed() -> None:
    plain = ReportSpec(slices=("a",))
    assert plain.cache_parts() == ReportSpec(slices=("a",), card=CardSpec(limits="none")).cache_parts()
    assert plain.cache_parts() != ReportSpec().cache_parts()
