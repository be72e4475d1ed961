"""Dates from the table to the answers: recognised, trained on, packaged, compiled, asked, scored in batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from orchestrator.artifacts import ModelVersion, Package, Split
from orchestrator.bundled import CONF
from orchestrator.checks.table import check_table
from orchestrator.errors import DataError
from orchestrator.events import Progress
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.model import PreprocessSpec
from orchestrator.stages.batch import batch
from score import score
from score.contract import distribution, golden
from score.contract.schema import FILE, Contract
from score.predict.predictor import Predictor
from score.pyfunc import _load_pyfunc

from .conftest import Kit

TABULAR: dict[str, Any] = yaml.safe_load((CONF / "preprocess" / "tabular.yaml").read_text())


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    """Days as German text, times with a zone as ISO 8601, and a target that depends on both."""
    rng, n = np.random.default_rng(0), 120
    born = pd.Series(np.datetime64("1990-01-01", "us") + rng.integers(0, 9000, n).astype("timedelta64[D]"))
    at = pd.Series(np.datetime64("2024-01-01", "us") + rng.integers(0, 10**6, n).astype("timedelta64[m]"))
    y = ((born.dt.year > 2002) ^ (at.dt.hour > 12)).map({False: "no", True: "yes"})
    zoned = at.dt.tz_localize("UTC").dt.tz_convert("Europe/Oslo").map(lambda time: time.isoformat())
    return pd.DataFrame(
        {"born": born.dt.strftime("%d.%m.%Y").where(rng.random(n) > 0.1), "at": zoned, "n": rng.normal(0, 1, n), "y": y}
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, visits: pd.DataFrame) -> tuple[Split, Package]:
    kit = Kit(tmp_path_factory.mktemp("visits"))
    parts, trained = kit.train(visits, kit.search(preprocess=TABULAR))
    return parts, kit.package(parts, trained, compile="required")


def test_the_package_is_compiled_and_its_contract_names_the_dates(made: tuple[Split, Package]) -> None:
    package = made[1]
    contract = Contract.from_json((package.path / FILE).read_bytes())
    assert [(column.name, column.kind, column.dtype) for column in contract.columns] == [
        ("born", "datetime", "datetime64[us]"),
        ("at", "datetime", "datetime64[us, UTC]"),
        ("n", "number", "float64"),
    ]
    assert contract.table is not None
    assert contract.table.dates == {"born": "%d.%m.%Y", "at": "ISO8601"}
    assert {*distribution.read(package.path)} == {"born", "at", "n"}
    assert Predictor.load(package.path).compiled


def test_golden_requests_hold_iso_8601_and_every_way_answers_them(
    made: tuple[Split, Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, package = made
    requests = {request.name: request for request in golden.read(package.path)}
    rows = json.loads(requests[golden.RECORDS].body)["data"]
    assert all(row["at"].endswith("Z") and (row["born"] is None or len(row["born"]) == 10) for row in rows)
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(package.path))  # as Azure's server calls the entry script
    score.init()
    for request in requests.values():
        if request.status == 200:
            assert not request.difference(200, json.loads(json.dumps(score.run(request.body))))
    frame = parts.X_test.head(3)
    reply = requests[golden.RECORDS].reply
    model = _load_pyfunc(str(package.path))
    assert model.predict(frame).tolist() == reply["predictions"]
    arrow = frame.convert_dtypes(dtype_backend="pyarrow")
    np.testing.assert_allclose(model.predict(arrow, {"probabilities": True}), reply["probabilities"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_batch_scores_dates_as_training_wrote_them(
    ending: str, made: tuple[Split, Package], visits: pd.DataFrame, tmp_path: Path
) -> None:
    parts, package = made
    table = visits.drop(columns="y").head(20)
    table.loc[3, "born"] = "31.02.2024"
    path = tmp_path / f"new.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    version = ModelVersion("toy_model", "1", None, package)
    done = batch(version, BatchSpec(input=path, output=tmp_path / "scored.csv", chunk_rows=7), Progress())
    assert (done.rows, done.refused) == (19, 1)
    assert '"31.02.2024" is no date' in (tmp_path / "scored.rejected.csv").read_text().replace('""', '"')
    everything = pd.concat([parts.X_train, parts.X_test]).sort_index().head(20).drop(index=3)
    expected = _load_pyfunc(str(package.path)).predict(everything)
    assert pd.read_csv(tmp_path / "scored.csv")["prediction"].tolist() == expected.tolist()


def test_the_reading_and_the_checks_name_them(kit: Kit, visits: pd.DataFrame) -> None:
    search, data = kit.search(preprocess=TABULAR), kit.data(visits)
    parts = kit.split(visits, search)
    dataset = kit.load(visits, search)
    assert dataset.reading is not None
    assert "2 dates" in dataset.reading.line
    found = check_table(dataset, parts, search, data, PreprocessSpec(**TABULAR))
    assert {finding.code for finding in found.findings} == {"data-time"}
    assert {name for finding in found.findings for name in finding.columns} == {"born", "at"}
    off = kit.load(visits, search, dates="off").X
    assert [str(off[name].dtype) for name in ("born", "at")] == [str(pd.Series(["a"]).dtype)] * 2


def test_dates_that_no_branch_takes_end_the_run(kit: Kit, visits: pd.DataFrame) -> None:
    numeric = {"branches": {"numeric": TABULAR["branches"]["numeric"]}}
    with pytest.raises(DataError, match="no branch of preprocess takes dates: add one") as refused:
        kit.split(visits, kit.search(preprocess=numeric))
    assert "data.dates: column 'born' (and 1 more) holds dates" in str(refused.value)
