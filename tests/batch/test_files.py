"""Tables in several files and elsewhere: the rows of all, in the order of the names, and an output that is whole."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from joblib import parallel_config
from pyarrow import parquet

from orchestrator.artifacts import BatchResult, ModelVersion
from orchestrator.batch.files import find_input, open_source
from orchestrator.errors import DataError
from orchestrator.events import Event, Progress, StepNote, StepProgress
from orchestrator.locations.copies import TableFile
from orchestrator.locations.storage import exists, find_files, open_read, open_write
from orchestrator.locations.urls import LocationError
from orchestrator.reading.files import UnreadableTableError
from orchestrator.spec.batch import BatchSpec
from orchestrator.stages.batch import batch
from score.contract.cells import TableFormat
from tests.s3 import SECRET
from tests.stages.conftest import TABULAR, Kit

Score = Callable[..., BatchResult]
NAMES = ("a.csv", "b.csv", "sub/c.csv")


class Killed(BaseException):
    """Ends a run where it is."""


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Rows of which four are refused."""
    rng, n = np.random.default_rng(0), 90
    table = pd.DataFrame({"key": range(n), "a": rng.normal(size=n), "city": rng.choice(["Oslo", "Rome"], n)})
    return table.assign(a=table["a"].where(table["key"] % 25 != 24, np.inf))


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, rows: pd.DataFrame) -> ModelVersion:
    kit = Kit(tmp_path_factory.mktemp("files"))
    table = rows.drop(columns="key").assign(y=rows["key"] % 2, a=rows["key"] / 10)
    package = kit.package(*kit.train(table, kit.search(preprocess=TABULAR)), compile="never")
    return ModelVersion("toy_model", "1", None, package)


@pytest.fixture
def folder(tmp_path: Path, rows: pd.DataFrame) -> Path:
    """Three files of the table, and what engines leave beside them."""
    path = tmp_path / "new"
    (path / "sub").mkdir(parents=True)
    for at, name in enumerate(NAMES):
        rows[at * 30 : at * 30 + 30].to_csv(path / name, index=False)
    (path / "_SUCCESS").write_text("")
    rows.to_csv(tmp_path / "whole.csv", index=False)
    return path


@pytest.fixture
def score(tmp_path: Path, version: ModelVersion) -> Score:
    def run(place: object, observer: Callable[[Event], None] = lambda _: None, **keys: Any) -> BatchResult:
        values = {"input": str(place), "output": str(tmp_path / "scored.csv"), "chunk_rows": 7, **keys}
        spec = BatchSpec.model_validate(values)
        spec.keep_state(tmp_path / "state")
        return batch(version, spec, Progress(observer))

    return run


def read(place: object) -> bytes:
    with open_read(str(place)) as file:
        return file.read()


def kill_after(steps: int) -> Callable[[Event], None]:
    seen: list[Event] = []

    def kill(event: Event) -> None:
        if isinstance(event, StepProgress):
            seen.append(event)
            if len(seen) == steps:
                raise Killed

    return kill


def notes_of(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, StepNote)]


def test_files_whose_names_say_so_are_separated_by_tabs(tmp_path: Path) -> None:
    files = [TableFile(tmp_path / f"{name}.tsv", f"{name}.tsv") for name in "ab"]
    for file in files:
        file.path.write_text("a\tcity\n1,5\tOslo\n")
    spec = BatchSpec.model_validate({"input": str(tmp_path), "output": "scored.csv"})
    source = open_source(spec, files, TableFormat())
    assert [list(chunk.columns["city"]) for chunk in source.chunks(0, 9)] == [["Oslo"], ["Oslo"]]
    typed = open_source(spec.model_copy(update={"separator": ","}), files, TableFormat())
    assert typed.header.names == ("a\tcity",)


def test_whole_numbers_that_other_files_types_cannot_hold_are_named(tmp_path: Path) -> None:
    for name, numbers in (("a", [2**53 + 1]), ("b", [0.5])):
        pd.DataFrame({"a": numbers}).to_parquet(tmp_path / f"{name}.parquet")
    spec = BatchSpec.model_validate({"input": str(tmp_path), "output": "scored.csv"})
    source = open_source(spec, find_input(spec).files, TableFormat())
    with pytest.raises(UnreadableTableError, match=r"column 'a' of a\.parquet is int64, and double in other files"):
        list(source.chunks(0, 9))


@pytest.mark.filterwarnings("ignore:.*tasks")  # joblib's, of threads that change the filters for all
@pytest.mark.parametrize(  # inside the first file, at the end of it, inside the second
    ("backend", "steps"), [("local", 2), ("local", 5), ("local", 7), ("loky", 7)]
)
def test_a_folder_is_one_table(
    score: Score, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, steps: int
) -> None:
    monkeypatch.setattr("orchestrator.search.backend.use_backend", lambda *_: parallel_config("threading", n_jobs=2))
    whole = score(tmp_path / "whole.csv", output=str(tmp_path / "scored_whole.csv"))
    with pytest.raises(Killed):
        score(folder, kill_after(steps), backend=backend)
    events: list[Event] = []
    scored = score(folder, events.append, backend=backend)
    done = [7, 14, 21, 28, 30, 37, 44, 51, 58, 60][steps - 1]
    assert notes_of(events) == [f"the first {done} rows are scored; continuing after them"]
    shares = [event.done for event in events if isinstance(event, StepProgress)]
    assert (shares == sorted(shares), shares[-1]) == (True, 100)
    assert (scored.rows, scored.refused) == (whole.rows, whole.refused) == (87, 3)
    assert read(scored.path) == read(whole.path)
    reasons = pd.read_csv(str(scored.reasons))
    assert list(reasons) == ["file", "row", "column", "problem", "expected"]
    assert [*zip(reasons["file"], reasons["row"], strict=True)] == [("a.csv", 24), ("b.csv", 19), ("sub/c.csv", 14)]


def test_parquet_files_are_read_in_one_type_with_the_columns_of_their_folders(tmp_path: Path) -> None:
    days = pd.to_datetime(["2024-01-01", "2024-01-02"])
    for year, numbers, when in ((2023, [1, 2], days.date), (2024, [0.5, 1.5], days)):
        (tmp_path / f"t/year={year}").mkdir(parents=True)
        table = pd.DataFrame({"when": when, "code": numbers, "x": numbers})
        table[[*table][:: 1 if year == 2023 else -1]].to_parquet(tmp_path / f"t/year={year}/part.parquet")
    spec = BatchSpec(input=tmp_path / "t", output=tmp_path / "scored.csv")
    form = TableFormat(format="parquet", text_columns=("when", "code"))
    source = open_source(spec, find_input(spec).files, form)
    assert source.header.names == ("when", "code", "x", "year")
    assert source.schema.field("year").type == pa.int64()
    chunks = list(source.chunks(1, 2))
    assert [[*chunk.numbers] for chunk in chunks] == [[1], [2, 3]]
    elsewhere = pickle.loads(pickle.dumps(source))
    assert [elsewhere.read(block) for block in source.blocks(1, 2)] == chunks
    cells = {name: [cell for chunk in chunks for cell in chunk.columns[name]] for name in source.header.names}
    written = ["2024-01-02", "2024-01-01", "2024-01-02"]
    assert cells == {"when": written, "code": ["2", "0.5", "1.5"], "x": [2, 0.5, 1.5], "year": [2023, 2024, 2024]}
    assert source.count() == 4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.csv", "key,a\n1,2\n", r"b\.csv has no column 'city', which a\.csv has"),
        ("b.csv", "a,city,key\n1,Oslo,2\n", r"b\.csv has the columns of a\.csv in another order"),
        ("b.csv", "PAR1", r"b\.csv is a Parquet file and a\.csv is none"),
        ("b.parquet", "PAR1", r"new has files of two kinds, a\.csv and b\.parquet; name those of one"),
        ("x=1/d.csv", "key,a,city\n", r"lies in no folder x=..., as x=1/d\.csv does"),
    ],
)
def test_files_that_are_no_table_are_refused(score: Score, folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=rf"^batch\.input: .*{message}"):
        score(folder)


def test_types_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    for name, cell in (("a", 1), ("b", "x")):
        parquet.write_table(pa.table({"key": [cell]}), tmp_path / f"t/{name}.parquet")
    spec = BatchSpec(input=tmp_path / "t", output=tmp_path / "scored.csv")
    with pytest.raises(UnreadableTableError, match=r"'key' of b\.parquet is string, and int64 in a.*with one type$"):
        open_source(spec, find_input(spec).files, TableFormat())
    with pytest.raises(LocationError, match="is no Delta table, and has no versions"):
        find_input(spec.model_copy(update={"version": 1}))


def test_an_output_elsewhere_is_whole_and_a_run_that_could_not_write_it_goes_on(
    score: Score, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    place, system, events = f"memory://{uuid4().hex}/scored.csv", fsspec.filesystem("memory"), list[Event]()

    def fail(*_: object, **__: object) -> None:
        assert not exists(place)  # what is written shows at the end
        raise PermissionError("closed")

    with monkeypatch.context() as broken:
        broken.setattr(type(system), "open", fail)
        with pytest.raises(DataError, match=r"^batch\.output: memory://.* may not be written .*NAME of a variable$"):
            score(folder, events.append, output=place)
        assert not events  # it is found before a row is scored
    with monkeypatch.context() as broken:
        broken.setattr("orchestrator.batch.sinks.CsvSink.join", fail)
        with pytest.raises(
            DataError, match=r"^batch\.output: .*; what is scored is kept, and the same command continues"
        ):
            score(folder, output=place)
    assert not exists(place)
    scored = score(folder, events.append, output=place)
    assert notes_of(events) == ["the first 90 rows are scored; continuing after them"]
    assert read(scored.path) == read(score(folder).path)
    assert [each.name for each in find_files(place.rpartition("/")[0])] == ["scored.csv", "scored.rejected.csv"]
    assert str(scored.reasons) == place.replace(".csv", ".rejected.csv")
    assert [*(tmp_path / "state/batch").iterdir()] == []


def test_nothing_is_removed_where_no_reasons_lie(
    score: Score, tmp_path: Path, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("may not remove")

    rows[:3].to_csv(tmp_path / "three.csv", index=False)
    for name in ("rm_file", "_rm"):
        monkeypatch.setattr(type(fsspec.filesystem("memory")), name, refuse, raising=False)
    assert score(tmp_path / "three.csv", output=f"memory://{uuid4().hex}/scored.csv").rows == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # botocore's
def test_a_bucket_is_read_and_written(score: Score, folder: Path, tmp_path: Path, bucket: str) -> None:
    for name in NAMES:
        with open_write(f"{bucket}/new/{name}") as file:
            file.write((folder / name).read_bytes())
    output = f"{bucket}/out/scored.parquet"
    with pytest.raises(Killed):
        score(f"{bucket}/new", kill_after(6), output=output)
    assert not exists(f"{bucket}/out")
    events: list[Event] = []
    scored = score(f"{bucket}/new/**/*.csv", events.append, output=output)
    assert notes_of(events) == []  # another input
    here = score(folder, output=str(tmp_path / "here.parquet"))
    assert read(scored.path) == read(here.path)
    assert b"sub/c.csv,14,a," in read(scored.reasons)
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert kept
    assert not any(
        SECRET.encode() in path.read_bytes() or path.stat().st_mode & 0o077 for path in kept if path.stat().st_size
    )
    with pytest.raises(DataError, match=r"^batch\.output: there is no bucket of s3://nowhere/.*scored\.csv") as caught:
        score(folder, output="s3://nowhere/scored.csv")
    assert SECRET not in str(caught.value)


def test_a_delta_table_is_read_and_written(score: Score, tmp_path: Path, rows: pd.DataFrame) -> None:
    deltalake = pytest.importorskip("deltalake")
    deltalake.write_deltalake(tmp_path / "lake", rows[:30])
    deltalake.write_deltalake(tmp_path / "lake", rows[30:], mode="append")
    keys: dict[str, Any] = {"output": str(tmp_path / "answers"), "output_format": "delta", "keep": ["key"]}
    scored = score(tmp_path / "lake", version=0, **keys)
    answers = deltalake.DeltaTable(tmp_path / "answers").to_pandas()
    assert (scored.rows, scored.refused, len(answers)) == (29, 1, 29)
    assert list(answers) == ["key", "prediction", "probability_0", "probability_1"]
    assert (tmp_path / "answers.rejected.csv").exists()
    assert score(tmp_path / "lake").rows == 87
    with pytest.raises(DataError, match=r"^batch\.output: .*answers cannot be written as a Delta table"):
        score(tmp_path / "lake", **keys)
    parquet.write_table(pa.table({**rows, "t": pa.array([1] * 90, pa.time32("ms"))}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"no type for the column 't', which is time32\[ms\]; leave it out"):
        score(tmp_path / "t.parquet", **{**keys, "output": str(tmp_path / "more"), "keep": None})
