"""Tables in chunks: the contract alone decides how a CSV's text is read, cell by cell."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pandas._libs import parsers  # type: ignore[attr-defined]
from pyarrow import parquet

from orchestrator.batch.sinks import CsvSink, ParquetSink
from orchestrator.batch.tables import Chunk, Columns, CsvSource, ParquetSource
from score.contract.cells import MISSING, TableFormat
from score.contract.schema import Column

TEXT = 'id,note\n1,"a, ""b""\nc"\n\n2\n3,x,y\n4,\n'


def csv_source(path: Path, text: str | bytes, **keys: Any) -> CsvSource:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CsvSource(path, TableFormat(**keys))


def read(source: CsvSource | ParquetSource, start: int = 0, rows: int = 2) -> list[Chunk]:
    return list(source.chunks(start, rows))


def test_what_is_missing_is_what_pandas_takes_for_it() -> None:
    assert MISSING == parsers.STR_NA_VALUES


def test_a_csv_is_text_and_malformed_rows_are_reported(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "t.csv", TEXT)
    assert source.schema == pa.schema([("id", pa.string()), ("note", pa.string())])
    first, second = read(source)
    assert (list(first.numbers), first.stop, first.malformed) == ([0], 2, {1: "the row has 1 values"})
    assert {name: list(cells) for name, cells in first.columns.items()} == {"id": ["1"], "note": ['a, "b"\nc']}
    assert (list(second.numbers), second.stop, second.malformed) == ([3], 4, {2: "the row has 3 values"})
    assert second.share == 1
    assert [source.read(block) for block in source.blocks(0, 2)] == [first, second]


@pytest.mark.parametrize("start", range(5))
def test_chunks_may_begin_anywhere(tmp_path: Path, start: int) -> None:
    table = pd.DataFrame({"id": [str(i) for i in range(5)]})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    for source in (CsvSource(tmp_path / "t.csv", TableFormat()), ParquetSource(tmp_path / "t.parquet")):
        chunks = read(source, start)
        elsewhere = pickle.loads(pickle.dumps(source))
        assert [elsewhere.read(block) for block in source.blocks(start, 2)] == chunks
        assert [cell for chunk in chunks for cell in chunk.columns["id"]] == list(table["id"][start:])
        assert [number for chunk in chunks for number in chunk.numbers] == list(range(start, 5))
        assert chunks[-1].stop == 5 if chunks else start == 5


def test_compressed_and_foreign_csvs(tmp_path: Path) -> None:
    compressed = csv_source(
        tmp_path / "t.csv.gz", gzip.compress(b"\xef\xbb\xbfid;note\r\n1;\xc3\xa9\r\n"), separator=";"
    )
    latin = csv_source(tmp_path / "t.csv", b"id;note\n1;\xe9\n", separator=";", encoding="latin-1")
    for source in (compressed, latin):
        assert read(source)[0].columns == {"id": ("1",), "note": ("é",)}


def test_an_empty_file_is_no_table_and_a_header_alone_is_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the file is empty"):
        csv_source(tmp_path / "t.csv", "")
    assert read(csv_source(tmp_path / "t.csv", "id\n")) == []


@pytest.mark.parametrize(
    ("column", "cells", "values"),
    [
        (Column("x", "integer", "int64"), ["1", " 2 ", "3.0", "NA", "1_0", "old"], [1, 2, 3.0, None, "1_0", "old"]),
        (Column("x", "integer", "uint64"), ["18446744073709551615"], [2**64 - 1]),
        (Column("x", "number", "float64"), ["1", "1e3", "", "0.1", "٣"], [1.0, 1000.0, None, 0.1, "٣"]),
        (Column("x", "boolean", "bool"), ["True", "false", "1", "nan"], [True, False, "1", None]),
        (Column("x", "string", "object"), ["007", "1.0", "True", "null", "-"], ["007", "1.0", "True", None, None]),
        (Column("x", "category", "object", categories=["1", "2"]), ["1", "3"], ["1", "3"]),
        (Column("x", "category", "category", categories=[1, 2]), ["1", "b"], [1, "b"]),
        (Column("x", "category", "category", categories=[0.5, 2]), ["2", "0.5"], [2.0, 0.5]),
        (Column("x", "category", "category", categories=[False, True]), ["True", "0"], [True, "0"]),
    ],
)
def test_text_is_read_by_the_kind_of_its_column(
    tmp_path: Path, column: Column, cells: list[str], values: list[Any]
) -> None:
    found = csv_source(tmp_path / "t.csv", "x\n", missing=[*MISSING, "-"]).values(column, cells)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_a_csv_of_parts_reads_as_it_was_written(tmp_path: Path) -> None:
    sink = CsvSink(["a,b", "c"])
    tables: list[Columns] = [{"a,b": ['x"\n'], "c": [0.1]}, {"a,b": [], "c": []}, {"a,b": [""], "c": [None]}]
    paths = [tmp_path / str(i) for i in range(3)]
    for path, table in zip(paths, tables, strict=True):
        path.write_bytes(sink.part(table))
    with (tmp_path / "whole").open("wb") as file:
        sink.join(file, paths)
    assert (tmp_path / "whole").read_text() == '"a,b",c\n"x""\n",0.1\n,\n'


def test_a_parquet_of_parts_keeps_types_and_order(tmp_path: Path) -> None:
    table = pa.table(
        {
            "when": pa.array([1, 2, None], pa.timestamp("us")),
            "small": pa.array([1, None, 3], pa.int8()),
            "word": pa.array(["a", "b", "a"]).dictionary_encode(),
            "many": pa.array([[1], [], None], pa.list_(pa.int32())),
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    source = ParquetSource(tmp_path / "t.parquet")
    sink = ParquetSink(source.schema)
    paths = []
    for chunk in read(source):
        paths.append(tmp_path / str(chunk.stop))
        paths[-1].write_bytes(sink.part(chunk.columns))
    for parts, whole in ((paths, table), ([], table.schema.empty_table())):
        with (tmp_path / "whole.parquet").open("wb") as file:
            sink.join(file, parts)
        assert parquet.read_table(tmp_path / "whole.parquet").equals(whole)
