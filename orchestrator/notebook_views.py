"""Notebook views: how a result shows itself in a notebook, as a small HTML table. Only plain text, all of it escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

SHOWN = 10  # candidates, best first


class TrainedView:
    """The best candidates, with their scores over the folds."""

    def _repr_html_(self: Any) -> str:
        ranked = sorted(self.candidates, key=lambda candidate: candidate.rank)
        metrics = list(ranked[0].mean) if ranked else []
        rows = [
            [
                candidate.rank,
                ", ".join(f"{name}={value}" for name, value in candidate.params.items()),
                *(f"{candidate.mean[name]:.4g} ± {candidate.std[name]:.2g}" for name in metrics),
            ]
            for candidate in ranked[:SHOWN]
        ]
        steps = " → ".join(type(step).__name__ for _, step in getattr(self.pipeline, "steps", ()))
        hidden = f"; {len(ranked) - SHOWN} more" if len(ranked) > SHOWN else ""
        return html_table(f"{steps or type(self.pipeline).__name__}{hidden}", ["rank", "candidate", *metrics], rows)


class EvaluationView:
    """The metrics on the hold-out rows with their intervals, beside those of the dummy."""

    def _repr_html_(self: Any) -> str:
        against = f"dummy ({self.notes.dummy})" if self.notes.dummy else "dummy"
        rows = [
            [name, _score(value, self.intervals.get(name)), f"{self.dummy[name]:.4g}" if name in self.dummy else ""]
            for name, value in self.metrics.items()
        ]
        positive = f"; positive label: {self.notes.positive}" if self.notes.positive else ""
        weight = f"; weighted by '{self.notes.weight}'" if self.notes.weight else ""
        return html_table(f"{self.notes.rows} hold-out rows{positive}{weight}", ["metric", "hold-out", against], rows)


def _score(value: float, interval: Any) -> str:
    return f"{value:.4g}" if interval is None else f"{value:.{interval.decimals}f} ({interval.text()})"


class EndpointView:
    """Where the package is served; the key is left out."""

    def _repr_html_(self: Any) -> str:
        rows = [
            ["address", self.url],
            ["target", self.target],
            ["key", "needed" if self.auth else "none"],
            ["package", f"{self.package.model_name} {self.package.short_id}"],
            ["requests", f"{self.share} %"],
        ]
        return html_table("Endpoint", (), rows)


def html_table(caption: str, header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table in which all text is escaped."""
    head = f"<thead><tr>{_cells('th', header)}</tr></thead>" if header else ""
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption>{head}<tbody>{body}</tbody></table>"


def _cells(tag: str, values: Iterable[object]) -> str:
    return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)
