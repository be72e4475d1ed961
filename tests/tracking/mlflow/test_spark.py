"""A version scored by Spark: what ``spark_udf`` gives is what the endpoint answers, for each type of Spark's columns."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.config.compose import compose
from orchestrator.tracking.mlflow.mlmodel import write_mlmodel
from score.predict.predictor import Predictor
from tests.stages.conftest import Kit

pyspark = pytest.importorskip("pyspark")
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not shutil.which("java"), reason="needs java on PATH"),
    pytest.mark.filterwarnings("ignore"),  # Spark's and Py4J's sockets, and pandas' of its conversions
]
TARGETS: dict[str, list[Any]] = {
    "two": ["no", "yes"],
    "codes": [0, 1],
    "flags": [False, True],
    "many": ["a", "b", "c"],
    "number": [],
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session in another time zone than UTC, whose batches are so small that some have no missing value."""
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        options = {
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "Asia/Tokyo",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "4",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.local.dir": str(folder / "local"),
        }
        builder = pyspark.sql.SparkSession.builder.master("local[1]").config(map=options)
        session = builder.getOrCreate()
        yield session
        session.stop()


def table(target: str) -> pa.Table:
    """Return rows of each type that Spark reads from Parquet, most columns with missing values."""
    rng, n = np.random.default_rng(0), 120
    gone = rng.random(n) < 0.2
    day = [date(2020, 1, 1 + i % 28) for i in range(n)]
    at = pd.Series(np.datetime64("2024-01-01", "us") + rng.integers(0, 10**6, n).astype("timedelta64[m]"))
    levels = TARGETS[target]
    number = rng.normal(0, 1, n)
    group = np.digitize(number, np.quantile(number, np.linspace(0, 1, len(levels) + 1)[1:-1]))
    columns = {
        "number": pa.array(number),
        "partial": pa.array(number, mask=gone),
        "single": pa.array(rng.normal(0, 1, n).astype("float32")),
        "whole": pa.array(rng.integers(0, 9, n)),
        "short": pa.array(rng.integers(0, 9, n).astype("int32")),
        "count": pa.array(rng.integers(0, 9, n), mask=gone),
        "price": pa.array(rng.integers(0, 900, n)).cast(pa.float64()).cast(pa.decimal128(10, 2)),
        "member": pa.array(rng.random(n) < 0.5),
        "maybe": pa.array(rng.random(n) < 0.5, mask=gone),
        "city": pa.array(rng.choice(["Oslo", "Roma", "Łódź"], n), mask=gone),
        "level": pa.array(rng.integers(1, 4, n), mask=gone).dictionary_encode(),
        "day": pa.array(day, mask=gone),
        "ends": pa.array([date(9999, 12, 31) if i % 3 else date(2025, 1, 1) for i in range(n)]),
        "at": pa.array(at),
        "zoned": pa.array(at.dt.tz_localize("UTC")),
        "y": pa.array(number * 3 if not levels else np.array(levels)[group]),
    }
    return pa.table(columns)


@pytest.mark.parametrize("target", TARGETS)
def test_spark_gives_what_the_endpoint_answers(target: str, spark: Any, tmp_path: Path) -> None:
    import mlflow
    from pyspark.sql.functions import date_format, struct

    rows = table(target)
    kit = Kit(tmp_path)
    pq.write_table(rows, tmp_path / "table.parquet")
    estimator = "sklearn.linear_model.Ridge" if target == "number" else "sklearn.linear_model.LogisticRegression"
    scoring: dict[str, Any] = {"scoring": ["r2"], "refit": "r2"} if target == "number" else {}
    preset = dict(compose("preprocess=tabular").values)["preprocess"]
    search = kit.search(estimator, preprocess=preset, **scoring)
    table_bytes: Any = (tmp_path / "table.parquet").read_bytes()  # as a frame it would lose some of the types
    package = kit.package(*kit.train(table_bytes, search, format="parquet"))
    folder = Path(shutil.copytree(package.path, tmp_path / "model"))
    write_mlmodel(folder, "toy_model", "0" * 32, None)

    frame = spark.read.parquet(str(tmp_path / "table.parquet")).repartition(2)
    frame = frame.withColumn("zoned", date_format("zoned", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"))
    predict = mlflow.pyfunc.spark_udf(spark, str(folder))
    scored = frame.withColumn("label", predict(struct("*"))).withColumn("by_name", predict())
    if target != "number":
        shares = mlflow.pyfunc.spark_udf(
            spark, str(folder), result_type="array<double>", params={"probabilities": True}
        )
        scored = scored.withColumn("shares", shares(struct("*")))
    else:
        adds = mlflow.pyfunc.spark_udf(spark, str(folder), result_type="array<double>", params={"explain": True})
        scored = scored.withColumn("adds", adds(struct("*")))
    answers = [row.asDict() for row in scored.collect()]

    names = rows.column_names[:-1]
    plain: dict[str, Callable[[Any], Any]] = {
        "price": float,
        "day": str,
        "ends": str,
        "at": lambda time: time.isoformat(),
    }
    records = [
        {name: plain[name](row[name]) if name in plain and row[name] is not None else row[name] for name in names}
        for row in answers
    ]
    reply = Predictor.load(package.path).score({"data": records}).payload
    assert [row["label"] for row in answers] == [row["by_name"] for row in answers] == reply["predictions"]
    if target != "number":
        np.testing.assert_allclose([row["shares"] for row in answers], reply["probabilities"], rtol=1e-12)
    else:
        np.testing.assert_allclose([sum(row["adds"][: 1 + len(names)]) for row in answers], reply["predictions"])
    assert len(answers) == 120


def test_a_row_that_the_endpoint_refuses_ends_the_job_with_its_reason(spark: Any, tmp_path: Path) -> None:
    import mlflow
    from pyspark.sql.functions import struct

    kit = Kit(tmp_path)
    rows = pd.DataFrame({"a": [0.0, 1.0] * 20, "y": [0, 1] * 20})
    package = kit.package(*kit.train(rows, kit.search()))
    folder = Path(shutil.copytree(package.path, tmp_path / "model"))
    write_mlmodel(folder, "toy_model", "0" * 32, None)
    predict = mlflow.pyfunc.spark_udf(spark, str(folder))
    frame = spark.createDataFrame(pd.DataFrame({"a": [0.5, np.inf]}))
    with pytest.raises(pyspark.errors.PySparkException, match="Infinity is not finite"):
        frame.select(predict(struct("*"))).collect()
