"""From a raw text to lines without colours, times and levels, and to the exceptions that stand in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from orchestrator.diagnostics.evidence import Source

_COLOUR = re.compile(r"\x1b?\[[0-9;]*m")
# What loggers put before the words, in any order; each is taken off as often as it stands there.
_PREFIX = re.compile(
    r"(?:#\d+ (?:\d+\.\d+ )?"  # docker's step
    r"|\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?\]?:? ?"
    r"|(?:[|-] )?[\w-]+/run \| ?"  # Azure's images
    r"|(?P<letter>[DIWEC]) \[\d+\] [\w.]+ - "  # azmlinfsrv
    r"|\[\d+\] \[(?P<gunicorn>[A-Z]+)\] "
    r"|\| [\w.]+ \| (?P<piped>[A-Z]+) \| "
    r"|(?P<word>DEBUG|INFO|WARNING|ERROR|CRITICAL): +)"
)
_QUIET = ("D", "I", "W")
_EXCEPTION = re.compile(r"(?P<type>(?:\w+\.)*_*[A-Z]\w*)(?:: (?P<message>.*)|:?\s*$)")
_NAMED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)(?:: .*|:?\s*$)")
# A traceback below one of these did not end the process.
_HARMLESS = re.compile(r"^(?:Exception ignored in|Exception in thread|--- Logging error ---|Error in atexit)")
_HEAD = "Traceback (most recent call last):"
_HANDLED = "During handling of the above exception"
_CAUSED = "The above exception was the direct cause"
# Servers wrap what the model's code raised; the wrapper says nothing.
_WRAPPERS = re.compile(r"(?:^|\.)(?:UserScript(?:Import)?Exception|HaltServer|WorkerLostError)$")


@dataclass(frozen=True)
class Line:
    """One line: as it stands (``raw``), and the words alone (``text``). ``quiet``: logged below the level of errors."""

    source: Source
    number: int
    raw: str
    text: str
    quiet: bool = False

    def __str__(self) -> str:
        return f"{self.source}, line {self.number}: {self.raw.strip()}"


@dataclass(frozen=True)
class LoggedException:
    """An exception at the end of a traceback. ``handled``: another one came while this one was dealt with."""

    line: Line
    frames: str
    handled: bool = False

    @property
    def wraps(self) -> bool:
        """Whether it is only a server's wrapper of the one before."""
        found = _EXCEPTION.match(self.line.text.strip())
        return bool(found and _WRAPPERS.search(found["type"]))


Chain = tuple[LoggedException, ...]  # exceptions that led from one to the next


def read(source: Source, text: str) -> list[Line]:
    """The lines of a text."""
    return [_line(source, number, raw) for number, raw in enumerate(text.splitlines(), 1)]


def after(sign: re.Pattern[str], lines: Sequence[Line]) -> list[Line]:
    """The lines after the last one that shows ``sign``: all of them, where none does."""
    shown = max((line.number for line in lines if sign.search(line.text)), default=0)
    return [line for line in lines if line.number > shown]


def chains(lines: Sequence[Line]) -> list[Chain]:
    """Every chain of tracebacks, or else the lone last lines of tracebacks whose heads were cut off."""
    found = [tuple(chain) for chain in _chains(lines) if not all(raised.wraps for raised in chain)]
    if not any(_HEAD in line.text for line in lines):
        found = [(LoggedException(line, ""),) for line in lines if not line.quiet and _NAMED.match(line.text.strip())]
    return found


def _chains(lines: Sequence[Line]) -> Iterator[list[LoggedException]]:
    chain: list[LoggedException] = []
    joined = harmless = False
    rest = iter(lines)
    for line in rest:
        harmless = harmless or bool(_HARMLESS.match(line.text))
        if _HANDLED in line.text and chain:
            chain[-1] = replace(chain[-1], handled=True)
        joined = joined or _HANDLED in line.text or _CAUSED in line.text
        if not line.text.rstrip().endswith(_HEAD):
            continue
        raised = _raised(rest)
        if raised is None:  # the log was cut in the middle of it
            break
        if (harmless or line.quiet) and not joined:
            harmless = False
            continue
        if not joined and chain:
            yield chain
            chain = []
        chain.append(raised)
        joined = False
    if chain:
        yield chain


def _raised(rest: Iterator[Line]) -> LoggedException | None:
    """The exception that ends the traceback whose head was just read."""
    frames = []
    for line in rest:
        if line.text[:1].isspace() or line.text.startswith("File ") or not _EXCEPTION.match(line.text):
            frames.append(line.text)
        else:
            return LoggedException(line, "\n".join(frames))
    return None


def _line(source: Source, number: int, raw: str) -> Line:
    text, quiet = _COLOUR.sub("", raw), False
    while found := _PREFIX.match(text):
        text = text[found.end() :]
        level = next(filter(None, found.groups()), "")
        quiet = quiet or level.startswith(_QUIET)
    return Line(source, number, raw, text, quiet)
