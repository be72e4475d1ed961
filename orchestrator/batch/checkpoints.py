"""Checkpoints of a batch job: finished parts in a folder, behind which a killed run resumes.

A part is written under a temporary name and then named after its rows: a file with such a name is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.batch.sinks import CsvSink, Sink
from score.payload.reader import Flags

REASONS = CsvSink(("row", "column", "problem", "expected"))


@dataclass(frozen=True)
class Part:
    """The scored rows of a chunk, as they are stored.

    Attributes:
        stop: The number of the next row.
        share: How much of the table (0 to 1) is read with them.
        content: A part of the sink, of the accepted rows.
        refused: The number of refused rows.
        reasons: A part of ``REASONS``; empty if no row is refused.
        flags: How many values of each column were flagged.
    """

    stop: int
    share: float
    content: bytes
    refused: int
    reasons: bytes
    flags: Flags


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
            self._write_atomically(job, lambda path: path.write_text(identity, encoding="utf-8"))
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
            self._write_atomically(path.with_suffix(".reasons"), lambda new: new.write_bytes(part.reasons))
        if any(part.flags):
            text = json.dumps(part.flags._asdict())
            self._write_atomically(path.with_suffix(".flags"), lambda new: new.write_text(text, encoding="utf-8"))
        self._write_atomically(path, lambda new: new.write_bytes(part.content))
        self._count(part.flags)
        self._paths.append(path)
        self.stop, self.refused = part.stop, self.refused + part.refused

    def publish(self, output: Path, reasons: Path) -> None:
        """Join the parts into one file, and the reasons into another if there are any; remove the folder."""
        refusals = [path.with_suffix(".reasons") for path in self._paths]
        if self.refused:
            self._write_atomically(reasons, lambda new: REASONS.join(new, filter(Path.exists, refusals)))
        else:
            reasons.unlink(missing_ok=True)  # of an earlier job
        self._write_atomically(output, lambda new: self._sink.join(new, self._paths))
        shutil.rmtree(self._folder)

    def _write_atomically(self, path: Path, write: Callable[[Path], object]) -> None:
        """Write a file under a temporary name, and rename it once it is on the disk."""
        new = self._folder / "new"
        write(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
