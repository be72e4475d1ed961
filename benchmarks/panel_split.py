"""A random split of panel data beside a grouped one, and the truth: ``python benchmarks/panel_split.py [--persons 400]``.

It simulates persons who are asked once a year. Most of what decides the answer is a trait of the person that no column
has; the other columns hardly change over the years, so that a flexible model knows a person again. Each rule of
``data.split`` trains the same model on the same rows, and each model is then scored on persons whom no training saw, and
on the next year of the same persons.

Prints a table in Markdown, which docs/explanation/honest_splits.md shows. The same seed gives the same numbers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

YEARS = 6
RULES = {  # what is typed
    "random": ("data.split=random", "data.drop=[person,year]"),
    "group": ("data.split=group", "data.split.by=person", "data.drop=[year]"),
    "time": ("data.split=time", "data.split.by=year", "data.drop=[person]", "search.cv=4"),  # five years are left
}
HEADER = ("`data.split=`", "cross-validated", "held out", "new persons", "the same persons, next year")


def panel(rng: np.random.Generator, persons: int, years: int) -> pd.DataFrame:
    """Return a row for each person and year: traits that all rows of a person share nearly, and the answer."""
    import numpy as np
    import pandas as pd

    traits = rng.normal(size=(persons, 4))  # such as height, schooling, distance to work, birth date
    hidden = rng.normal(size=persons)  # what no column has
    who = np.repeat(np.arange(persons), years)
    shown = traits[who] + rng.normal(0, 0.02, (len(who), 4))
    drift = rng.normal(0, 0.5, len(who))
    answer = 0.6 * traits[who, 0] + 1.2 * hidden[who] + drift > 0
    columns = {f"trait{number}": shown[:, number] for number in range(4)}
    return pd.DataFrame(
        {"person": who, "year": np.tile(np.arange(2019, 2019 + years), persons), **columns, "yes": answer}
    )


def scores(rule: str, table: pd.DataFrame, others: Sequence[pd.DataFrame], folder: Path) -> list[float]:
    """Return the ROC AUC by cross-validation, on the hold-out rows, and on each of the other tables."""
    from sklearn.metrics import roc_auc_score

    from orchestrator import compose, execute
    from orchestrator.artifacts import Evaluation, Trained

    table.to_csv(folder / "panel.csv", index=False)
    made = execute(
        compose(
            *("data=csv", f"data.path={folder}/panel.csv", "data.target=yes", "name=panel", "preprocess=none"),
            *(
                "model=random_forest",
                "model/param_grid=none",
                "model.params.n_estimators=100",
                "search.scoring=[roc_auc]",
            ),
            *("stages=train", "tracking=none", f"state_dir={folder}/state"),
            *RULES[rule],
        )
    )
    pipeline = made[Trained].pipeline
    new = [roc_auc_score(each["yes"], pipeline.predict_proba(each.filter(like="trait"))[:, 1]) for each in others]
    return [made[Trained].best.mean["roc_auc"], made[Evaluation].metrics["roc_auc"], *map(float, new)]


def main() -> None:
    """Print the table."""
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=400, help="persons in the table; each has six rows")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=[*RULES])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    whole = panel(rng, options.persons, YEARS + 1)
    last = whole["year"].max()
    table, next_year, strangers = whole[whole["year"] < last], whole[whole["year"] == last], panel(rng, 5000, 1)
    print("|".join(["", *HEADER, ""]).replace("|", " | ").strip())
    print("|---|---|---|---|---|")
    for rule in options.rules:
        with tempfile.TemporaryDirectory() as folder:
            found = scores(rule, table, [strangers, next_year], Path(folder))
        print(f"| `{rule}` | {' | '.join(f'{value:.2f}' for value in found)} |")


if __name__ == "__main__":
    main()
