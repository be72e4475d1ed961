"""A bucket on a real S3 server (moto's server): read, written, refused, and found again by its etag."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.locations.copies import fetch
from orchestrator.locations.storage import (
    exists,
    find_files,
    open_write,
    stat_file,
)
from orchestrator.locations.urls import LocationError, Url
from orchestrator.reading.frame import read_table
from orchestrator.spec.data import DataSpec
from tests.locations.bucket_checks import check_that_large_files_are_whole, record_copies
from tests.s3 import SECRET

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # botocore's


def spec(location: str, folder: Path, kind: str = "parquet", **more: object) -> DataSpec:
    data = DataSpec.model_validate({"path": location, "format": kind, "target": "y", "test_size": 0.5, **more})
    data.keep_copies(folder)
    return data


def test_a_table_of_several_files_is_read(bucket: str, tmp_path: Path) -> None:
    for place, rows in (("year=2023/a", [1.5, 2.5]), ("year=2024/b", [3.5])):
        with open_write(f"{bucket}/t/{place}.parquet") as file:
            pd.DataFrame({"x": rows, "y": 1}).to_parquet(file)
    with open_write(f"{bucket}/t/_SUCCESS") as file:
        file.write(b"")
    frame = read_table(spec(f"{bucket}/t", tmp_path)).frame
    assert frame.to_dict("list") == {"x": [1.5, 2.5, 3.5], "y": [1, 1, 1], "year": [2023, 2023, 2024]}
    assert len(read_table(spec(f"{bucket}/t/*/a.parquet", tmp_path)).frame) == 2
    assert stat_file(f"{bucket}/t/year=2023/a.parquet").version


def test_a_file_is_copied_again_when_its_etag_changed(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = record_copies(monkeypatch)
    for rows in ("1,0\n2,1\n", "1,0\n2,1\n", "1,0\n3,1\n"):
        with open_write(f"{bucket}/rows.csv") as file:
            file.write(f"x,y\n{rows}".encode())
        for _ in range(2):
            assert len(read_table(spec(f"{bucket}/rows.csv", tmp_path, "csv")).frame) == 2
    assert len(copied) in {2, 3}  # the second upload has the first one's etag, and may have its second
    assert copied[0] != copied[-1]
    assert not list(tmp_path.rglob("*.partial"))


def test_large_files_are_written_as_a_whole_or_not_at_all(bucket: str) -> None:
    check_that_large_files_are_whole(bucket)


def test_files_of_a_delta_table_are_not_read_by_a_pattern_or_from_above(bucket: str, tmp_path: Path) -> None:
    for name in ("_delta_log/0.json", "year=2024/removed.parquet"):
        with open_write(f"{bucket}/lakes/one/{name}") as file:
            file.write(b"{}")
    for place in ("lakes/one/year=2024/*.parquet", "lakes/**/*.parquet", "lakes/one/year=2024", "lakes"):
        with pytest.raises(LocationError, match=r"tables/lakes/one is a Delta table, .* name that folder itself"):
            fetch(Url(f"{bucket}/{place}"), {}, None, tmp_path)
    assert find_files(f"{bucket}/lakes/one/year=2024/removed.parquet")  # one that is typed is meant


def test_errors_name_the_remedy_and_no_secret(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    with pytest.raises(LocationError, match=r"there is no bucket of s3://nowhere/rows\.csv; look"):
        find_files("s3://nowhere/rows.csv")
    with pytest.raises(LocationError, match=r"there is no file s3://tables/none\.csv"):
        stat_file(f"{bucket}/none.csv")
    with (
        pytest.raises(LocationError, match=r"nowhere/rows\.csv") as caught,
        open_write("s3://nowhere/rows.csv") as file,
    ):
        file.write(b"1")
    assert SECRET not in str(caught.value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    s3fs.S3FileSystem.clear_instance_cache()
    said = r"credentials come from the environment: AWS_ACCESS_KEY_ID .* storage.anon=true"
    with pytest.raises(LocationError, match=said) as refused:
        find_files(f"{bucket}/rows.csv")
    assert refused.value.of("batch.output_storage").endswith("for a public one write batch.output_storage.anon=true")


def test_secrets_among_the_options_are_refused(tmp_path: Path) -> None:
    for options in ({"secret": SECRET}, {"client_kwargs": {"aws_secret_access_key": SECRET}}, {"key": SECRET}):
        with pytest.raises(ValueError, match="credentials come from the environment") as caught:
            spec("s3://tables/rows.csv", tmp_path, storage=options)
        assert SECRET not in json.dumps([each["msg"] for each in caught.value.errors()])  # type: ignore[attr-defined]


def test_where_credentials_were_found_is_not_logged(bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert not exists(f"{bucket}/none.csv")
    assert [each.name for each in caplog.records if "boto" in each.name] == []
