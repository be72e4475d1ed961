"""The problems of a request, each with its place, and the problem document that reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from score.contract.columns import shown

MAX_PROBLEMS = 100
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a request: where (row counted from 0), what, and what was expected."""

    row: int | None
    column: str | None
    problem: str
    expected: str

    def __str__(self) -> str:
        places = [f"row {self.row}"] * (self.row is not None)
        places += [f"column {shown(self.column)}"] * (self.column is not None)
        return f"{', '.join(places) or 'the request'}: {self.problem}; expected {self.expected}"


class BadRequest(ValueError):  # noqa: N818  # HTTP's own name
    """The request does not keep the contract: ``problems`` holds the first ones, ``more`` counts the others."""

    status = 400

    def __init__(self, problems: Sequence[Problem], more: int = 0) -> None:
        self.problems = tuple(problems)
        self.more = more
        super().__init__(str(problems[0]))

    def document(self) -> dict[str, Any]:
        """Return the reply's body, a problem document of RFC 9457."""
        document = problem_document(self.status, "Bad Request", str(self))
        document["problems"] = [asdict(problem) for problem in self.problems]
        return document | ({"more": self.more} if self.more else {})


class Problems:
    """Collects the problems of one request, at most ``limit`` of them."""

    def __init__(self, limit: int = MAX_PROBLEMS) -> None:
        self._limit = limit
        self._kept: list[Problem] = []
        self._more = 0

    @property
    def full(self) -> bool:
        """Whether another problem would only be counted."""
        return len(self._kept) == self._limit

    def add(self, row: int | None, column: str | None, problem: str, expected: str) -> None:
        """Keep a problem, or count it where there are enough."""
        if self.full:
            self._more += 1
        else:
            self._kept.append(Problem(row, column, problem, expected))

    def raise_if_any(self) -> None:
        """Raise BadRequest if there are problems, in the order of the rows."""
        if self._kept:
            kept = sorted(self._kept, key=lambda problem: -1 if problem.row is None else problem.row)
            raise BadRequest(kept, self._more)


def problem_document(status: int, title: str, detail: str) -> dict[str, Any]:
    """Return a problem document of RFC 9457, the body of every reply that is not 200."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}
