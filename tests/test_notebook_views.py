"""What results show in a notebook: escaped tables, without a key, and without importing anything heavy."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Candidate, Endpoint, Evaluation, Package, ScoreContext, Trained
from orchestrator.uncertainty.interval import Interval


class Table(HTMLParser):
    """The texts of the cells, by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.add(tag)
        if tag in {"tr", "caption"}:
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        self.rows[-1].append(data)


def shown(artifact: Any) -> list[list[str]]:
    table = Table(artifact._repr_html_())
    assert table.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    return table.rows


def test_the_best_candidates_are_shown_best_first() -> None:
    found = [Candidate({"C": C}, {"f1": C / 100}, {"f1": 0.01}, 12 - C, 0.1) for C in range(12)]
    rows = shown(Trained(object(), 11, found))
    assert rows[:3] == [["object; 2 more"], ["rank", "candidate", "f1"], ["1", "C=11", "0.11 ± 0.01"]]
    assert len(rows) == 12


def test_an_evaluation_is_compared_with_the_dummy() -> None:
    context = ScoreContext(154, "<yes>", dummy="always <no>")
    intervals = {"f1": Interval(0.512, 0.704, "wilson")}
    rows = shown(Evaluation({"f1": 0.61234, "r2": 0.5}, {}, {"f1": 0.0}, context, intervals))
    assert rows == [
        ["154 hold-out rows; positive label: <yes>"],
        ["metric", "hold-out", "dummy (always <no>)"],
        ["f1", "0.612 (0.512 to 0.704)", "0"],
        ["r2", "0.5"],
    ]


def test_an_endpoint_shows_no_key() -> None:
    package = Package(Path("p"), "0" * 64, "<script>alert(1)</script>")
    endpoint = Endpoint("http://localhost/score?a=1&b=2", "local", True, package, {"Authorization": "Bearer s3cr3t"})
    rows = shown(endpoint)
    assert ["address", "http://localhost/score?a=1&b=2"] in rows
    assert ["package", f"<script>alert(1)</script> {'0' * 16}"] in rows
    assert "s3cr3t" not in endpoint._repr_html_()


def test_views_import_nothing_heavy() -> None:
    code = "import orchestrator.artifacts, sys; print({'pandas', 'sklearn', 'IPython'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_console_shows_no_bytes_of_pictures() -> None:
    shown = repr(Evaluation({"accuracy": 1.0}, {"roc_curve.png": b"\x89PNG"}))
    assert "accuracy" in shown
    assert "PNG" not in shown
