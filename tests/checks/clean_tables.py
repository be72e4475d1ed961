"""Ten tables without a fault, which no check may find something in; the target is the column y."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

PIMA = Path(__file__).resolve().parents[2] / "data" / "diabetes.csv"


def bundled(name: str) -> pd.DataFrame:
    loaded = getattr(datasets, f"load_{name}")(as_frame=True)
    features: pd.DataFrame = loaded.data
    return features.assign(y=loaded.target.astype(float if name == "diabetes" else int))


def made(name: str, **options: Any) -> pd.DataFrame:
    X, y = getattr(datasets, f"make_{name}")(random_state=0, **options)
    return pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])]).assign(y=y)


def digits() -> pd.DataFrame:
    """500 digits, without the pixels that are blank in all of them."""
    table = bundled("digits").head(500)
    return table.loc[:, table.std() > 0]


def housing(rows: int = 2000) -> pd.DataFrame:
    """A look-alike of California housing: skewed numbers, coordinates, a price with a limit."""
    rng = np.random.default_rng(0)
    income, age = rng.lognormal(1.2, 0.5, rows), rng.integers(1, 53, rows)
    place = {"Latitude": rng.uniform(32, 42, rows).round(2), "Longitude": rng.uniform(-124, -114, rows).round(2)}
    price = np.minimum(5.0, 0.4 * income + 0.01 * age + rng.gamma(2, 0.3, rows)).round(3)
    rooms = rng.normal(5, 1.5, rows)
    return pd.DataFrame({"MedInc": income, "HouseAge": age, "AveRooms": rooms, **place, "y": price})


def passengers(rows: int = 891) -> pd.DataFrame:
    """A look-alike of Titanic: few categories, so that rows repeat by chance, and missing ages."""
    rng = np.random.default_rng(0)
    sex = rng.choice(["male", "female"], rows)
    age = np.where(rng.random(rows) < 0.2, np.nan, rng.integers(1, 75, rows))
    columns = {"pclass": rng.choice([1, 2, 3], rows), "sex": sex, "age": age, "sibsp": rng.poisson(0.4, rows)}
    return pd.DataFrame({**columns, "y": (rng.random(rows) < np.where(sex == "female", 0.75, 0.2)).astype(int)})


CLEAN: dict[str, Callable[[], pd.DataFrame]] = {
    **{name: (lambda name=name: bundled(name)) for name in ("iris", "wine", "breast_cancer", "diabetes")},  # type: ignore[misc]
    "digits": digits,
    "pima": lambda: pd.read_csv(PIMA).rename(columns={"Outcome": "y"}),
    "housing": housing,
    "passengers": passengers,
    "classification": lambda: made("classification", n_samples=500, n_features=12, n_informative=5),
    "friedman": lambda: made("friedman1", n_samples=400, noise=1.0),
}
