"""Tables of many kinds, each with what ``orchestrate init`` must find in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 120
Write = Callable[[pd.DataFrame, Path], object]


def as_csv(**options: Any) -> Write:
    def write(frame: pd.DataFrame, path: Path) -> None:
        frame.to_csv(path, **{"index": False, **options})

    return write


def features() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"age": rng.integers(18, 80, ROWS), "income": rng.normal(size=ROWS).round(3) + 0.0001}


def labels(*names: Any) -> list[Any]:
    return [names[place % len(names)] for place in range(ROWS)]


def many(count: int, text: str) -> list[str]:
    return [f"{text}{place % count}" for place in range(ROWS)]


LETTERS = [f"{chr(97 + place % 26)} comment, no {place}" for place in range(ROWS)]
DAYS = pd.date_range("2024-01-01", periods=ROWS)
MONEY = [f"{1000 + place},{place % 100:02d}" for place in range(ROWS)]
# by the name of the file: columns, how they are written, and what the experiment must hold
TABLES: dict[str, tuple[dict[str, Any], Write, dict[str, Any]]] = {
    "two_ints.csv": ({"y": labels(0, 1)}, as_csv(), {"data.positive": 1, "search.refit": "roc_auc", "data.drop": []}),
    "two-texts.csv": ({"y": labels("no", "yes", "no")}, as_csv(), {"data.positive": "yes", "name": "two-texts"}),
    "three.csv": (
        {"y": labels("a", "b", "c")},
        as_csv(),
        {"search.refit": "roc_auc_ovr", "search.scoring": ["roc_auc_ovr", "f1_macro", "accuracy"]},
    ),
    "grades.csv": ({"y": labels(1, 2, 3, 4)}, as_csv(), {"search.refit": "roc_auc_ovr"}),
    "prices.csv": (
        {"y": np.linspace(1.5, 900.25, ROWS)},
        as_csv(),
        {"model.estimator": "sklearn.ensemble.RandomForestRegressor", "search.refit": "r2"},
    ),
    "counts.csv": ({"y": np.arange(ROWS) * 7}, as_csv(), {"search.refit": "r2"}),
    "decimal_comma.csv": (
        {"price": MONEY, "y": labels(0, 1)},
        as_csv(sep=";", decimal=","),
        {"data.separator": ";", "data.decimal": ",", "data.thousands": None},
    ),
    "american.csv": (
        {"price": [f"{place * 1000:,}" for place in range(ROWS)], "y": labels(0, 1)},
        as_csv(),
        {"data.thousands": ",", "data.decimal": "."},
    ),
    "tabs.csv": ({"y": labels("m", "w")}, as_csv(sep="\t"), {"data.separator": "\t"}),
    "tabs.tsv": ({"y": labels("m", "w")}, as_csv(sep="\t"), {"data.separator": None}),
    "missing.csv": (
        {"size": labels(1.5, None, "?"), "empty": [None] * ROWS, "town": labels("Bern", None), "y": labels(0, 1)},
        as_csv(),
        {"data.missing_values": ["?"], "data.drop": ["empty"]},
    ),
    "identifiers.csv": (
        {
            "customer_id": np.random.default_rng(1).permutation(9 * ROWS)[:ROWS],
            "row": range(ROWS),
            "account": many(30, "AC-10"),
            "note": LETTERS,
            "y": labels(0, 1),
        },
        as_csv(),
        {"data.drop": ["customer_id", "row", "note"], "data.split.by": "account", "data.split.rule": "group"},
    ),
    "dates.csv": (
        {
            "iso": DAYS.strftime("%Y-%m-%d"),
            "at": DAYS.strftime("%Y-%m-%d %H:%M:%S"),
            "german": DAYS.strftime("%d.%m.%Y"),
            "compact": DAYS.strftime("%Y%m%d"),
            "y": labels(0, 1),
        },
        as_csv(),
        {"data.drop": ["compact"], "data.split.by": "iso", "data.split.rule": "time"},
    ),
    "constants.csv": ({"one": ["x"] * ROWS, "y": labels(0, 1)}, as_csv(), {"data.drop": ["one"]}),
    "codes.csv": (
        {"zip": [f"0{1000 + place % 30}" for place in range(ROWS)], "y": labels(0, 1)},
        as_csv(),
        {"data.text_columns": ["zip"]},
    ),
    "wide.csv": (
        {**{f"town{place}": many(40 + place % 20, "town ") for place in range(30)}, "y": labels(0, 1)},
        as_csv(),
        {"preprocess.branches.categorical.steps.encode.max_categories": 20},
    ),
    "table.parquet": (
        {"day": DAYS, "parts": [[1, 2]] * ROWS, "flag": labels(True, False, None), "y": labels("a", "b")},
        lambda frame, path: frame.to_parquet(path),
        {"data.format": "parquet", "data.drop": ["parts"], "data.split.by": "day"},
    ),
    "booleans.csv": ({"flag": labels(True, False), "y": labels(True, False, False)}, as_csv(), {"data.positive": True}),
    "latin.csv": (
        {"straße": labels("Königsallee", "Große Bleichen"), "y": labels("männlich", "weiblich")},
        as_csv(encoding="latin-1"),
        {"data.encoding": "latin-1", "data.positive": "weiblich"},
    ),
    "windows.csv": (
        {"price": labels("5 €", "7 €"), "y": labels(0, 1)},
        as_csv(encoding="cp1252"),
        {"data.encoding": "cp1252"},
    ),
    "utf16.csv": (
        {"y": labels("ja", "nein")},
        as_csv(encoding="utf-16"),
        {"data.encoding": "utf-16", "data.positive": "ja"},
    ),
    "packed.csv.gz": ({"y": labels(0, 1)}, as_csv(), {"name": "packed"}),
    "odd_names.csv": (
        {
            "a: ${b} #c": range(ROWS),
            "say \"x\", 'y'": labels("p", "q"),
            "on": labels("é", "u"),
            "y": labels(0, 1),
        },
        as_csv(),
        {"data.drop": ["a: ${b} #c"]},
    ),
    "index.csv": ({"y": labels(0, 1)}, as_csv(index=True), {"data.index": "auto"}),
    "2024 Überblick.csv": ({"y": labels(0, 1)}, as_csv(), {"name": "model-2024-berblick"}),
    "few.csv": ({"y": [*labels("a", "b")[: ROWS - 5], *["c"] * 5]}, as_csv(), {"search.cv": 4}),
}


def write_table(folder: Path, file: str) -> Path:
    columns, write, _ = TABLES[file]
    write(pd.DataFrame({**features(), **columns}), folder / file)
    return folder / file
