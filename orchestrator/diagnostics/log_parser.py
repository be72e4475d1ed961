"""Parse raw text into lines without colours, times and levels, and into the exceptions of its tracebacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from orchestrator.diagnostics.evidence import Source

_ANSI_COLOUR = re.compile(r"\x1b?\[[0-9;]*m")
# Prefixes of loggers, in any order; each is removed as often as it occurs.
_PREFIX = re.compile(
    r"(?:#\d+ (?:\d+\.\d+ )?"  # docker's step
    r"|\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?\]?:? ?"
    r"|(?:[|-] )?[\w-]+/run \| ?"  # Azure's images
    r"|(?P<letter>[DIWEC]) \[\d+\] [\w.]+ - "  # azmlinfsrv
    r"|\[\d+\] \[(?P<gunicorn>[A-Z]+)\] "
    r"|\| [\w.]+ \| (?P<piped>[A-Z]+) \| "
    r"|(?P<word>DEBUG|INFO|WARNING|ERROR|CRITICAL): +)"
)
_HARMLESS_LEVELS = ("D", "I", "W")
_EXCEPTION = re.compile(r"(?P<type>(?:\w+\.)*_*[A-Z]\w*)(?:: (?P<message>.*)|:?\s*$)")
_EXCEPTION_NAME = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)(?:: .*|:?\s*$)")
# A traceback after one of these lines did not end the process.
_IGNORED_HEADS = re.compile(r"^(?:Exception ignored in|Exception in thread|--- Logging error ---|Error in atexit)")
_TRACEBACK_HEAD = "Traceback (most recent call last):"
_DURING_HANDLING = "During handling of the above exception"
_DIRECT_CAUSE = "The above exception was the direct cause"
# Servers wrap what the model's code raises; the wrapper carries no information.
_WRAPPERS = re.compile(r"(?:^|\.)(?:UserScript(?:Import)?Exception|HaltServer|WorkerLostError)$")


@dataclass(frozen=True)
class Line:
    """One line: as written (``raw``), and its message (``text``). ``harmless``: logged below the level of errors."""

    source: Source
    number: int
    raw: str
    text: str
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.source}, line {self.number}: {self.raw.strip()}"


@dataclass(frozen=True)
class LoggedException:
    """An exception at the end of a traceback. ``handled``: another one was raised while this one was handled."""

    line: Line
    frames: str
    handled: bool = False

    @property
    def wraps(self) -> bool:
        """Whether it is only a server's wrapper of the one before."""
        match = _EXCEPTION.match(self.line.text.strip())
        return bool(match and _WRAPPERS.search(match["type"]))


Chain = tuple[LoggedException, ...]  # exceptions of which each led to the next


def parse_lines(source: Source, text: str) -> list[Line]:
    """Split a text into its lines."""
    return [_parse_line(source, number, raw) for number, raw in enumerate(text.splitlines(), 1)]


def lines_after(pattern: re.Pattern[str], lines: Sequence[Line]) -> list[Line]:
    """Return the lines after the last one that matches ``pattern``: all of them, if none does."""
    last = max((line.number for line in lines if pattern.search(line.text)), default=0)
    return [line for line in lines if line.number > last]


def parse_exceptions(lines: Sequence[Line]) -> list[Chain]:
    """Return every chain of tracebacks, or else the lone last lines of tracebacks whose heads were cut off."""
    chains = [tuple(chain) for chain in _parse_chains(lines) if not all(exception.wraps for exception in chain)]
    if not any(_TRACEBACK_HEAD in line.text for line in lines):
        chains = [
            (LoggedException(line, ""),)
            for line in lines
            if not line.harmless and _EXCEPTION_NAME.match(line.text.strip())
        ]
    return chains


def _parse_chains(lines: Sequence[Line]) -> Iterator[list[LoggedException]]:
    chain: list[LoggedException] = []
    linked = ignored = False
    rest = iter(lines)
    for line in rest:
        ignored = ignored or bool(_IGNORED_HEADS.match(line.text))
        if _DURING_HANDLING in line.text and chain:
            chain[-1] = replace(chain[-1], handled=True)
        linked = linked or _DURING_HANDLING in line.text or _DIRECT_CAUSE in line.text
        if not line.text.rstrip().endswith(_TRACEBACK_HEAD):
            continue
        exception = _end_of_traceback(rest)
        if exception is None:  # the log was cut in the middle of it
            break
        if (ignored or line.harmless) and not linked:
            ignored = False
            continue
        if not linked and chain:
            yield chain
            chain = []
        chain.append(exception)
        linked = False
    if chain:
        yield chain


def _end_of_traceback(rest: Iterator[Line]) -> LoggedException | None:
    """Return the exception that ends the traceback whose head was just read."""
    frames = []
    for line in rest:
        if line.text[:1].isspace() or line.text.startswith("File ") or not _EXCEPTION.match(line.text):
            frames.append(line.text)
        else:
            return LoggedException(line, "\n".join(frames))
    return None


def _parse_line(source: Source, number: int, raw: str) -> Line:
    text, harmless = _ANSI_COLOUR.sub("", raw), False
    while prefix := _PREFIX.match(text):
        text = text[prefix.end() :]
        level = next(filter(None, prefix.groups()), "")
        harmless = harmless or level.startswith(_HARMLESS_LEVELS)
    return Line(source, number, raw, text, harmless)
