"""A table's finished parts in a folder, so that a run that was killed goes on behind them.

A part is written under another name and then called after the rows it was made of: what has such a name is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from orchestrator.batch.tables import Columns, CsvSink, Sink
from score.payload.errors import Problem
from score.payload.reader import Flags

REASONS = CsvSink(("row", "column", "problem", "expected"))


class Checkpoints:
    """The parts that ``folder`` holds of one job; those of another ``identity`` are removed.

    ``stop`` is the number of the first row that no part was made of, ``refused`` how many rows were refused so far, and
    ``outside`` and ``unseen`` how many values of each column were flagged (see ``score.payload.reader.Flags``).
    """

    def __init__(self, folder: Path, identity: str, sink: Sink) -> None:
        self._folder, self._sink = folder, sink
        self.stop = self.refused = 0
        self.outside, self.unseen = Counter[str](), Counter[str]()
        job = folder / "job.json"
        if not job.exists() or job.read_text(encoding="utf-8") != identity:
            for path in folder.glob("*-*"):
                path.unlink()
            self._put(job, lambda path: path.write_text(identity, encoding="utf-8"))
        self._paths = list(self._found())

    def _found(self) -> Iterator[Path]:
        for path in sorted(self._folder.glob("*.part")):
            start, stop, refused = map(int, path.stem.split("-"))
            if start == self.stop:
                self.stop, self.refused = stop, self.refused + refused
                if (told := path.with_suffix(".flags")).exists():
                    self._count(Flags(**json.loads(told.read_text(encoding="utf-8"))))
                yield path

    def _count(self, flags: Flags) -> None:
        self.outside.update(flags.outside)
        self.unseen.update(flags.unseen)

    def add(self, stop: int, columns: Columns, flags: Flags, problems: Sequence[Problem]) -> None:
        """Keep the rows before ``stop`` that have no part yet; they outlive the process once this returns."""
        refused = len({problem.row for problem in problems})
        path = self._folder / f"{self.stop:015}-{stop:015}-{refused}.part"
        if problems:
            reasons = {name: list(map(attrgetter(name), problems)) for name in REASONS.names}
            self._put(path.with_suffix(".reasons"), lambda new: REASONS.write(new, reasons))
        if any(flags):
            text = json.dumps(flags._asdict())
            self._put(path.with_suffix(".flags"), lambda new: new.write_text(text, encoding="utf-8"))
        self._put(path, lambda new: self._sink.write(new, columns))
        self._count(flags)
        self._paths.append(path)
        self.stop, self.refused = stop, self.refused + refused

    def publish(self, output: Path, reasons: Path) -> None:
        """Make one file of the parts, and another of the reasons if there are any; remove the folder."""
        told = [path.with_suffix(".reasons") for path in self._paths]
        if self.refused:
            self._put(reasons, lambda new: REASONS.join(new, filter(Path.exists, told)))
        else:
            reasons.unlink(missing_ok=True)  # another table's
        self._put(output, lambda new: self._sink.join(new, self._paths))
        shutil.rmtree(self._folder)

    def _put(self, path: Path, write: Callable[[Path], object]) -> None:
        """Write a file under another name, and give it its own once it is on the disk."""
        new = self._folder / "new"
        write(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
