"""Rows of real databases: their types, chunks, and what goes wrong, without the password."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from orchestrator.errors import SpecError
from orchestrator.locations import query as module
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import read_header, read_table
from orchestrator.spec.data import DataSpec
from tests.tracking.servers import postgres

ROWS = """
CREATE TABLE customers (id INTEGER, price NUMERIC(10, 2), born DATE, seen TIMESTAMP, active BOOLEAN, plan VARCHAR(9),
                        empty VARCHAR(9), y INTEGER);
CREATE TABLE "nothing" (x INTEGER, y INTEGER);
INSERT INTO customers VALUES (1, 19.99, '2001-02-03', '2024-05-06 07:08:09.5', true, 'a%b', NULL, 0);
INSERT INTO customers VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL, 1);
INSERT INTO customers VALUES (3, 5, '1999-12-31', '2024-05-06 07:08:10', false, ':x', NULL, 1);
"""


def spec(**keys: Any) -> DataSpec:
    keys = {"format": "sql", "connection_env": "DATABASE_URL", "target": "y", "test_size": 0.5, **keys}
    return DataSpec.model_validate(keys)


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.executescript(ROWS)
        connection.execute("CREATE VIEW broken AS SELECT id, json(plan) AS plan FROM customers")
    connection.close()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/shop.db")
    return str(tmp_path)


def check(frame: pd.DataFrame) -> None:
    """Check the rows as a database with all of these types gives them."""
    assert frame["id"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(frame["price"], [19.99, np.nan, 5.0])
    assert frame["born"].dropna().tolist() == [pd.Timestamp("2001-02-03"), pd.Timestamp("1999-12-31")]
    assert frame["seen"].tolist()[::2] == [pd.Timestamp("2024-05-06 07:08:09.5"), pd.Timestamp("2024-05-06 07:08:10")]
    assert frame["active"].tolist()[::2] == [True, False]
    assert frame["plan"].tolist()[::2] == ["a%b", ":x"]
    assert frame.isna().sum().to_dict() == {
        "id": 0, "price": 1, "born": 1, "seen": 1, "active": 1, "plan": 1, "empty": 3, "y": 0
    }  # fmt: skip


@pytest.mark.usefixtures("sqlite")
def test_a_table_has_the_types_that_it_was_declared_with() -> None:
    check(read_table(spec(table="customers")).frame)


@pytest.mark.usefixtures("sqlite")
def test_chunks_are_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 1)
    data = spec(table="customers")
    check(read_table(data).frame)
    assert len(data.files().files) == 3


@pytest.mark.usefixtures("sqlite")
def test_a_table_may_be_named_by_a_word_of_sql() -> None:
    assert read_table(spec(table="nothing")).frame.columns.tolist() == ["x", "y"]


@pytest.mark.usefixtures("sqlite")
def test_signs_of_a_query_are_no_parameters() -> None:
    data = spec(query="SELECT id, plan, y FROM customers WHERE plan LIKE 'a%' OR plan = ':x' ORDER BY id")
    assert read_header(data).names == ("id", "plan", "y")
    assert read_table(data).frame["id"].tolist() == [1, 3]
    assert (data.path.name, str(data.path)) == ("query", "env:DATABASE_URL#query")


@pytest.mark.parametrize("rows", [1, 50])
def test_values_of_several_types_are_text(sqlite: str, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(module, "ROWS", rows)  # of a chunk, which may be all of one type
    with sqlite3.connect(f"{sqlite}/shop.db") as connection:
        connection.execute("UPDATE customers SET id = 'x7' WHERE id = 3")
    connection.close()
    assert read_table(spec(query="SELECT id, y FROM customers")).frame["id"].tolist() == ["1", "2", "x7"]


def test_the_cache_key_is_that_of_the_rows(sqlite: str, tmp_path: Path) -> None:
    def key() -> str:
        data = spec(query="SELECT * FROM customers ORDER BY id")
        data.keep_copies(tmp_path / "copies")
        return data.cache_parts()["data file"]

    before = key()
    assert key() == before
    with sqlite3.connect(f"{sqlite}/shop.db") as connection:
        connection.execute("UPDATE customers SET price = 1 WHERE id = 3")
    connection.close()
    assert key() != before


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"table": "none"}, "the database of DATABASE_URL has no table none; look at its schema"),
        ({"query": "SELECT nowhere FROM customers"}, "refuses the query: no such column: nowhere"),
        ({"table": "broken"}, "refuses the query: malformed JSON"),
        ({"query": "DELETE FROM customers"}, "returns no rows; write a SELECT"),
        ({"query": "SELECT * FROM customers a, customers b"}, "returns two columns '\\w+'; name each of them"),
        ({"table": "customers", "connection_env": "OTHER_URL"}, "the environment variable OTHER_URL is not set"),
    ],
)
@pytest.mark.usefixtures("sqlite")
def test_what_the_database_refuses_is_one_line(keys: dict[str, str], said: str) -> None:
    with pytest.raises(UnreadableTableError, match=said) as caught:
        read_table(spec(**keys))
    assert "\n" not in str(caught.value)
    assert caught.value.key in keys


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg2://me:hunter2@127.0.0.1:1/shop", "cannot be connected to: .*refused"),
        ("postgresql//me:hunter2@host/shop", "holds no URL of a database that SQLAlchemy can read"),
        ("oracle9://me:hunter2@host/shop", "needs a library that is not installed; install SQLAlchemy's driver for it"),
    ],
)
def test_the_password_is_in_no_error(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr(module, "_WAITS", (0.0,))
    with pytest.raises(UnreadableTableError, match=said) as caught:
        read_table(spec(table="customers"))
    assert "hunter2" not in repr(caught.value)
    assert "hunter2" not in repr(spec(table="customers").flat())


@pytest.mark.parametrize(
    "query", ["DELETE FROM customers", "DROP TABLE customers", "UPDATE customers SET y = 1 RETURNING y"]
)
def test_nothing_is_written_by_a_query(query: str, sqlite: str) -> None:
    with contextlib.suppress(UnreadableTableError):
        read_table(spec(query=query))
    with sqlite3.connect(f"{sqlite}/shop.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM customers").fetchone() == (3,)
    connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with TemporaryDirectory() as folder, postgres(Path(folder, "db")) as url:  # where its own user may look
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(ROWS.replace("%", "%%"))
        engine.dispose()
        yield url


@pytest.mark.parametrize("keys", [{"table": "public.customers"}, {"query": "SELECT * FROM customers ORDER BY id"}])
def test_postgresql(server: str, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", server)
    monkeypatch.setattr(module, "ROWS", 2)
    check(read_table(spec(**keys)).frame)


def test_postgresql_gives_rows_in_chunks(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", server)
    data = spec(
        query="SELECT i::numeric(38, 0) AS n, gen_random_uuid() AS u, i % 2 AS y FROM generate_series(1, 60000) i"
    )
    frame = read_table(data).frame
    assert (len(data.files().files), frame["n"].sum(), frame["u"].str.len().unique().tolist()) == (
        2,
        1800030000.0,
        [36],
    )


def test_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("duckdb_engine")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(ROWS)
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{tmp_path}/shop.duckdb")
    check(read_table(spec(query="SELECT * FROM customers ORDER BY id")).frame)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "query: write data.query, a SELECT, or data.table"),
        ({"query": "SELECT 1", "table": "t"}, "and not both"),
        ({"table": "t", "path": "postgresql://me:hunter2@host/db"}, "path: a database's URL may hold a password"),
        (
            {"table": "t", "connection_env": "postgresql://me:hunter2@host/db"},
            "connection_env: should name the environ",
        ),
        ({"table": "t", "format": "csv", "connection_env": None, "path": "x.csv"}, "table: data=csv has no such key"),
        ({"table": "t", "split": {"rule": "file", "file": "x.csv"}}, "for data=sql write data.split=column"),
    ],
)
def test_a_wrong_description_is_refused_without_the_password(keys: dict[str, Any], said: str) -> None:
    with pytest.raises((SpecError, ValueError), match=said) as caught:
        spec(**keys)
    assert "hunter2" not in str(getattr(caught.value, "errors", lambda **_: "")(include_input=False, include_url=False))
