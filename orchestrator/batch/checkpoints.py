"""Checkpoints of a batch job: finished parts in a folder, behind which a killed run resumes.

A part is written under a temporary name and then named after its rows: a file with such a name is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.batch.sinks import CsvSink, ParquetSink, Sink
from orchestrator.locations.copies import scratch
from orchestrator.locations.delta import write_delta
from orchestrator.locations.storage import exists, open_write, remove_file
from orchestrator.locations.urls import Url
from orchestrator.spec.batch import BatchSpec
from score.payload.reader import Flags


@dataclass(frozen=True)
class Part:
    """The scored rows of a chunk, as they are stored.

    Attributes:
        stop: The number of the next row.
        share: How much of the table (0 to 1) is read with them.
        content: A part of the sink, of the accepted rows.
        refused: The number of refused rows.
        reasons: A part of the file of reasons; empty if no row is refused.
        flags: How many values of each column were flagged.
    """

    stop: int
    share: float
    content: bytes
    refused: int
    reasons: bytes
    flags: Flags


def parts_folder(spec: BatchSpec) -> Path:
    """Return where the parts of an output lie: beside it, or in the state folder if it is not on this machine."""
    if isinstance(spec.output, Path):
        return spec.output.with_name(f"{spec.output.name}.part")
    key = hashlib.sha256(str(spec.output).encode()).hexdigest()[:16]
    return (scratch() if spec.state is None else spec.state) / "batch" / key


class Checkpoints:
    """The parts of one job in ``folder``; those of another ``identity`` are removed.

    Attributes:
        stop: The number of the first row without a part.
        refused: The number of rows refused so far.
        outside, unseen: How many values of each column were flagged (see ``score.payload.reader.Flags``).
    """

    def __init__(self, folder: Path, identity: str, sink: Sink) -> None:
        self._folder, self._sink = folder, sink
        self.stop = self.refused = 0
        self.outside, self.unseen = Counter[str](), Counter[str]()
        job = folder / "job.json"
        if not job.exists() or job.read_text(encoding="utf-8") != identity:
            for path in folder.glob("*-*"):
                path.unlink()
            self._write_atomically(job, lambda file: file.write(identity.encode()))
        self._paths = list(self._existing())

    def _existing(self) -> Iterator[Path]:
        for path in sorted(self._folder.glob("*.part")):
            start, stop, refused = map(int, path.stem.split("-"))
            if start == self.stop:
                self.stop, self.refused = stop, self.refused + refused
                if (flags := path.with_suffix(".flags")).exists():
                    self._count(Flags(**json.loads(flags.read_text(encoding="utf-8"))))
                yield path

    def _count(self, flags: Flags) -> None:
        self.outside.update(flags.outside)
        self.unseen.update(flags.unseen)

    def add(self, part: Part) -> None:
        """Write the part of the rows from ``stop`` on; it is on the disk once this returns."""
        path = self._folder / f"{self.stop:015}-{part.stop:015}-{part.refused}.part"
        if part.reasons:
            self._write_atomically(path.with_suffix(".reasons"), lambda new: new.write(part.reasons))
        if any(part.flags):
            text = json.dumps(part.flags._asdict())
            self._write_atomically(path.with_suffix(".flags"), lambda new: new.write(text.encode()))
        self._write_atomically(path, lambda new: new.write(part.content))
        self._count(part.flags)
        self._paths.append(path)
        self.stop, self.refused = part.stop, self.refused + part.refused

    def publish(self, spec: BatchSpec, reasons: CsvSink) -> None:
        """Join the parts into the output, and the reasons into another file if there are any; remove the folder.

        Raises:
            LocationError: what lies elsewhere cannot be written; the parts stay.
        """
        refusals = [path.with_suffix(".reasons") for path in self._paths]
        if self.refused:
            self._place(spec, spec.rejected, lambda file: reasons.join(file, filter(Path.exists, refusals)))
        elif isinstance(spec.rejected, Path):
            spec.rejected.unlink(missing_ok=True)  # of an earlier job
        elif exists(spec.rejected, spec.output_storage):  # who may only write needs no right to remove
            remove_file(spec.rejected, spec.output_storage)
        if spec.writes == "delta" and isinstance(self._sink, ParquetSink):
            write_delta(spec.output, self._sink.schema, self._sink.tables(self._paths), spec.output_storage)
        else:
            self._place(spec, spec.output, lambda file: self._sink.join(file, self._paths))
        shutil.rmtree(self._folder)

    def _place(self, spec: BatchSpec, place: Path | Url, write: Callable[[IO[bytes]], object]) -> None:
        """Write a file that is there as a whole or not at all."""
        if isinstance(place, Path):
            self._write_atomically(place, write)
            return
        with open_write(place, spec.output_storage) as file:
            write(file)

    def _write_atomically(self, path: Path, write: Callable[[IO[bytes]], object]) -> None:
        """Write a file under a temporary name, and rename it once it is on the disk."""
        new = self._folder / "new"
        with new.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
