"""Findings: what is likely wrong with a table, or with the model. Each kind has a code that never changes its meaning, and a remedy.

``KINDS`` is a part of docs/reference/errors.md.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LEAK = "data-leak"
IDENTIFIER = "data-identifier"
CONSTANT = "data-constant"
DUPLICATES = "data-duplicates"
TIME = "data-time"
GROUP = "data-group"
FREE_TEXT = "data-free-text"
CARDINALITY = "data-cardinality"
TYPE_CHANGED = "data-type-changed"
LEADING_ZEROS = "data-leading-zeros"
NUMBER_TEXT = "data-number-text"
THOUSANDS = "data-thousands"
MISSING_WORD = "data-missing-word"
SPELLING = "data-spelling"
DATE_ORDER = "data-date-order"
DATE_TEXT = "data-date-text"
PRECISION = "data-precision"
FEW_ROWS = "data-few-rows"
STRICT = "data-findings"
OF_THE_MODEL = "model-"  # what the codes of findings after the training begin with
OVERFITTING = "model-overfitting"
NO_BETTER = "model-no-better"
EDGE = "model-grid-edge"
FEW_HELD_OUT = "model-few-rows"


@dataclass(frozen=True)
class FindingKind:
    """What a code means, and how to fix it."""

    meaning: str
    fix: str


KINDS: Mapping[str, FindingKind] = {  # by code
    LEAK: FindingKind(
        meaning="A model of this column alone predicts the target nearly without error on cross-validated rows, or "
        "columns add up to the target: it was probably written down with the target or after it, so that new "
        "rows will not have it.",
        fix="leave the column out (`data.drop`), unless it is known when a prediction is made.",
    ),
    IDENTIFIER: FindingKind(
        meaning="The column has another value in each row, as an identifier or a row number has.",
        fix="leave the column out (`data.drop`).",
    ),
    CONSTANT: FindingKind(
        meaning="The column is empty, or has one value in every row.",
        fix="leave the column out (`data.drop`).",
    ),
    DUPLICATES: FindingKind(
        meaning="Hold-out rows have the same features as training rows, and by far more of them than chance explains: "
        "the scores on the hold-out rows are partly scores on training rows.",
        fix="keep one row of each (`data.duplicates=drop`), or hold the rows of one thing out together (`data.split`).",
    ),
    TIME: FindingKind(
        meaning="The column orders the rows in time and the split is random: the model is scored on rows that lie "
        "between those that it was trained on, and will be used on later ones.",
        fix="hold the newest rows out (`data.split`), or leave the column out if time does not matter.",
    ),
    GROUP: FindingKind(
        meaning="The column names what several rows belong to, such as a customer, and the split is random: the model "
        "is scored on customers that it was trained on, and will be used on others.",
        fix="hold whole groups out (`data.split`), or leave the column out if all groups are known already.",
    ),
    FREE_TEXT: FindingKind(
        meaning="The column holds sentences or names, of which few stand twice: as categories they carry nothing over "
        "to new rows.",
        fix="leave the column out (`data.drop`), or encode it as text (`preprocess`).",
    ),
    CARDINALITY: FindingKind(
        meaning="One-hot encoding makes many columns of this one.",
        fix="keep the most frequent values (`max_categories` of the encoder), or leave the column out.",
    ),
    TYPE_CHANGED: FindingKind(
        meaning="The column has another type than in the last registered version of the model: clients that send the "
        "former type would be refused.",
        fix="correct the table, or how it is read (`data.text_columns`, `data.missing_values`, `data.decimal`).",
    ),
    LEADING_ZEROS: FindingKind(
        meaning="The column is read as numbers, and some begin with zeros, as postal codes and account numbers do: 007 "
        "becomes 7.",
        fix="read the column as text (`data.text_columns`).",
    ),
    NUMBER_TEXT: FindingKind(
        meaning="The column is read as text and looks like numbers: with decimal commas, thousands separators or units, "
        "or with words among them, such as one for a missing value.",
        fix="say how numbers are written (`data.decimal`, `data.thousands`, `data.missing_values`), or correct the "
        "cells; name the column in `data.text_columns` if it holds codes.",
    ),
    THOUSANDS: FindingKind(
        meaning="The points in the column's numbers are read as decimal points and may group thousands: 1.234 may mean "
        "1234.",
        fix="say how numbers are written (`data.thousands`, `data.decimal`), if it is so.",
    ),
    MISSING_WORD: FindingKind(
        meaning="Words of a text column, such as NA or None, were taken for missing values.",
        fix="keep them as values (`data.keep_default_na=false`), if they are.",
    ),
    SPELLING: FindingKind(
        meaning="Values of the column differ in blanks or in case only, and count as different ones.",
        fix="write them alike in the table.",
    ),
    DATE_ORDER: FindingKind(
        meaning="The column is read as text: it holds dates whose day and month may change places, as 03/04/2024 may be "
        "in March or in April, and no cell shows which, or years of two digits.",
        fix="say how they are written (`data.dates`).",
    ),
    DATE_TEXT: FindingKind(
        meaning="The column is read as text: most cells are dates, and some are none, or are written in another way.",
        fix="correct these cells, or say which of them mean a missing value (`data.missing_values`).",
    ),
    PRECISION: FindingKind(
        meaning="Numbers or times of the column have more digits than are kept: 15 of a decimal, microseconds of a time, "
        "and whole numbers up to 2**53 where others are missing.",
        fix="read the column as text if these are codes (`data.text_columns`), or round it in the table.",
    ),
    FEW_ROWS: FindingKind(
        meaning="A class has fewer rows than the search has folds, so that some folds would not have it. This ends the "
        "run.",
        fix="use fewer folds (`search.cv`), or leave the class out of the table.",
    ),
    STRICT: FindingKind(
        meaning="There are findings, and `data.checks=strict` ends the run for them before training. The text lists "
        "them all.",
        fix="apply the remedies that the text lists; `data.checks=warn` prints the findings and goes on.",
    ),
    OVERFITTING: FindingKind(
        meaning="More than half of what the model gains on its training rows, compared to a model that ignores the columns, is "
        "lost on rows that it has not seen: it has learned the rows by heart rather than what they have in common.",
        fix="search simpler candidates (`model.param_grid`: fewer levels, larger leaves, more regularisation), leave columns "
        "out that mean nothing for new rows (`data.drop`), or add rows.",
    ),
    NO_BETTER: FindingKind(
        meaning="On the hold-out rows the model is no better than one that ignores the columns, or neither these rows nor the "
        "folds show that it is.",
        fix="look whether the columns have anything to do with the target, try another model, or hold more rows out "
        "(`data.test_size`) if the difference is small.",
    ),
    EDGE: FindingKind(
        meaning="The best candidate has the largest or the smallest number of the grid, and the score still rises towards it "
        "by more than its standard error, and by more than a hundredth of what the model gains compared to one that ignores "
        "the columns: a better one may lie beyond.",
        fix="extend the grid (`model.param_grid`).",
    ),
    FEW_HELD_OUT: FindingKind(
        meaning="Fewer than 50 rows are held out, or fewer than 20 of a class: the scores on them may be far from those on "
        "other rows.",
        fix="hold more rows out (`data.test_size`), or go by the cross-validated scores.",
    ),
}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*|_[A-Za-z0-9_]+")
_KEY, _ESCAPED = re.compile(r"([\\()\[\]{}:=, \t])"), r"\\\1"  # of a mapping, which Hydra takes without quotes
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "nan", "inf"}  # that Hydra or YAML read as something else


@dataclass(frozen=True)
class TableFinding:
    """What is likely wrong with ``columns`` of a table, or with the model; ``text`` is a sentence.

    ``changes`` are the configuration keys that would be the remedy, with their whole new values; empty where only the
    table can be corrected.
    """

    code: str
    text: str
    columns: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The code and the columns: ``data-identifier (id)``."""
        return f"{self.code} ({', '.join(self.columns)})" if self.columns else self.code

    def is_accepted(self, accept: Collection[str]) -> bool:
        """Return whether ``data.accept`` has its code, or the code and each of its columns, as in ``data-time:year``."""
        named = bool(self.columns) and all(f"{self.code}:{column}" in accept for column in self.columns)
        return self.code in accept or named

    @property
    def remedy(self) -> str:
        """The overrides to paste, quoted for a shell; "" if there are none."""
        return format_overrides(self.changes)

    def as_json(self) -> dict[str, Any]:
        """Return the finding for result.json."""
        return {"code": self.code, "columns": list(self.columns), "text": self.text, "remedy": self.remedy or None}


@dataclass(frozen=True)
class TableFindings:
    """What is likely wrong with a table, from its rows alone: cheap to load, and equal for equal tables.

    ``kinds`` are the columns' kinds; ``searched`` of the ``rows`` rows were searched for leaks.
    """

    findings: Sequence[TableFinding]
    kinds: Mapping[str, str]
    rows: int
    searched: int


@dataclass(frozen=True)
class CheckedTable:
    """All findings about a table: its own, and those against the last registered version of the model.

    ``remedy`` are the overrides of all findings together; ``note`` says what was not looked at.
    """

    findings: Sequence[TableFinding]
    remedy: str = ""
    note: str = ""


def merge_changes(findings: Iterable[TableFinding]) -> dict[str, Any]:
    """Return the changes of all findings at once: lists are joined, and of other values the first one counts."""
    merged: dict[str, Any] = {}
    for finding in findings:
        for key, value in finding.changes.items():
            if isinstance(value, list):
                merged[key] = list(dict.fromkeys([*merged.get(key, []), *value]))
            else:
                merged.setdefault(key, value)
    return merged


def format_overrides(changes: Mapping[str, Any]) -> str:
    """Return overrides as they are typed: ``'data.drop=[id]' data.keep_default_na=false``."""
    return " ".join(shlex.quote(f"{key}={_format(value)}") for key, value in changes.items())


def quote_text(text: str) -> str:
    """Return a text as an item of a list in an override."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _format(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_format, value))}]"
    if isinstance(value, str):
        return quote_text(value)
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{_KEY.sub(_ESCAPED, key)}: {_format(each)}' for key, each in value.items())}}}"
    return json.dumps(value)
