"""The bundled data, for every test that asks for it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def diabetes() -> pd.DataFrame:
    return pd.read_csv(ROOT / "data/diabetes.csv")


@pytest.fixture(scope="session", name="X")
def features(diabetes: pd.DataFrame) -> pd.DataFrame:
    return diabetes.drop(columns="Outcome")
