"""Check the table to be scored and the output of it: what is not there, what is there already, and what overlaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

from orchestrator.errors import Problem
from orchestrator.locations.connections import locate
from orchestrator.locations.copies import find_local
from orchestrator.locations.delta import NOT_INSTALLED, address_of
from orchestrator.locations.storage import exists, find_files, is_delta
from orchestrator.locations.urls import LocationError, Url
from orchestrator.reading.files import is_parquet
from orchestrator.reading.header import SEPARATORS, read_csv_header, read_parquet_header
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.messages import missing_columns, suggest


def problems(batch: BatchSpec) -> Iterator[Problem]:
    """Yield what is wrong with the input, of which nothing is copied yet, then what is wrong with the output."""
    wrong = list(_input(batch))
    yield from wrong
    try:
        yield from _output(batch, compare=not wrong)
    except LocationError as error:
        yield Problem("batch.output", error.of("batch.output_storage"))


def _input(batch: BatchSpec) -> Iterator[Problem]:
    place = batch.input
    try:
        if is_delta(place, batch.storage):
            address_of(place)
            if find_spec("deltalake") is None:
                yield Problem("batch.input", NOT_INSTALLED)
        elif batch.version is not None:
            yield Problem("batch.version", f"{place} is no Delta table, and has no versions")
        elif isinstance(place, Url):
            find_files(place, batch.storage)
        elif place.exists() or has_magic(str(place)):
            yield from _kept(batch, find_local(place, None).paths[0])
        else:
            beside = (each.name for each in place.parent.iterdir()) if place.parent.is_dir() else ()
            yield Problem("batch.input", f"there is no file {place}{suggest(place.name, beside)}")
    except LocationError as error:
        yield Problem("batch.input", error.of("batch.storage"))


def _kept(batch: BatchSpec, path: Path) -> Iterator[Problem]:
    """Yield every column to keep that a file lacks; batch scoring reports what cannot be read."""
    if batch.keep is None:
        return
    try:
        if is_parquet(path):
            names: Sequence[str] = read_parquet_header(path).names
        else:
            separators = list(SEPARATORS) if batch.separator is None else [batch.separator]
            headers = [read_csv_header(path, each, batch.encoding or "utf-8").names for each in separators]
            names = max(headers, key=len)  # training's separator is in the package, which is not loaded yet
    except Exception:  # noqa: BLE001  # whatever pyarrow, csv or a decompressor say of a damaged file
        return
    yield from missing_columns("batch.keep", batch.input.name, batch.keep, names)


def _output(batch: BatchSpec, *, compare: bool) -> Iterator[Problem]:
    if batch.writes == "delta":
        address_of(batch.output)
        if find_spec("deltalake") is None:
            yield Problem("batch.output", NOT_INSTALLED)
    if compare and (overlap := _overlap(batch)):
        yield Problem("batch.output", overlap)
    elif is_there(batch):
        yield Problem("batch.output", f"{batch.output} is there already; remove it, or name another")


def is_there(batch: BatchSpec) -> bool:
    """Return whether there is an output; a folder without a log is no Delta table yet.

    Raises:
        LocationError: that cannot be found out.
    """
    if batch.writes == "delta" and not (isinstance(batch.output, Path) and batch.output.is_file()):
        return is_delta(batch.output, batch.output_storage)
    return batch.output.exists() if isinstance(batch.output, Path) else exists(batch.output, batch.output_storage)


def _overlap(batch: BatchSpec) -> str:
    """Return in words that the run would write over its input, or that the next run would read what this one wrote."""
    system, source = locate(batch.input, batch.storage)
    for place in (batch.output, batch.rejected):
        other, path = locate(place, batch.output_storage)
        if other is not system:
            continue
        what = "is" if place is batch.output else f"would have its refused rows in {place}, which is"
        if path == source:
            return f"{batch.output} {what} the input itself; name another"
        if path.startswith(f"{source}/"):
            return f"{batch.output} {what} in the folder that is read, and the next run would read it; name another"
        if _fits(path, source):
            return f"{batch.output} {what} a file that the pattern of the input fits; name another"
    return ""


def _fits(path: str, pattern: str) -> bool:
    """Return whether a pattern of files fits a path, a folder at a time unless ``**`` stands for several."""
    if "**" in pattern:
        return fnmatchcase(path, pattern.replace("**/", "*")) or fnmatchcase(path, pattern)
    pairs = zip_longest(path.split("/"), pattern.split("/"), fillvalue="")
    return has_magic(pattern) and all(fnmatchcase(*pair) for pair in pairs)
