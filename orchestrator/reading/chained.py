"""Several CSV files as one text: the header of the first one, then the rows of all."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from orchestrator.reading.files import open_text
from orchestrator.reading.rows import read_rows


@contextmanager
def open_chained(paths: Sequence[Path], encoding: str, separator: str) -> Iterator[TextIO]:
    """Open CSV files with the same columns as one, each part of it read when it is its turn.

    Raises:
        UnreadableTableError: a file is no text, or has another encoding.
        OSError: it cannot be opened.
    """
    if len(paths) == 1:
        with open_text(paths[0], encoding) as (text, _):
            yield text
        return
    with ExitStack() as stack:
        yield _Chained(paths, encoding, separator, stack)  # type: ignore[misc]  # it has what pandas reads by


class _Chained(io.TextIOBase):
    def __init__(self, paths: Sequence[Path], encoding: str, separator: str, stack: ExitStack) -> None:
        self._waiting = list(paths)
        self._encoding, self._separator, self._stack = encoding, separator, stack
        self._text: TextIO | None = None
        self._ended = True  # the last line read, by a line break

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> str:
        if size is None or size < 0:
            return "".join(iter(lambda: self.read(1 << 20), ""))
        while True:
            block = self._text.read(size) if self._text is not None else ""
            if block:
                self._ended = block.endswith(("\n", "\r"))
                return block
            if not self._waiting:
                return ""
            first = self._text is None
            self._open(self._waiting.pop(0), with_header=first)
            if not self._ended:
                self._ended = True
                return "\n"

    def _open(self, path: Path, *, with_header: bool) -> None:
        self._stack.close()  # the former file
        self._text, _ = self._stack.enter_context(open_text(path, self._encoding))
        if not with_header:
            next(read_rows(self._text, self._separator), None)
