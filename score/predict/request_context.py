"""What is noted of a request while it is answered, for the log and the metrics; noted from whatever thread scores it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from score.models.base import Columns


@dataclass
class RequestContext:
    """``rows`` is None as long as no checked row was seen; ``watch`` gets the columns of those that were."""

    watch: Callable[[Columns], None] | None = None
    rows: int | None = None


CURRENT: ContextVar[RequestContext | None] = ContextVar("note", default=None)  # None where no server of ours asks


def seen(columns: Columns) -> None:
    """Tell that a request's columns have passed the contract."""
    note = CURRENT.get()
    if note is not None:
        note.rows = len(next(iter(columns.values()), ()))
        if note.watch is not None:
            note.watch(columns)
