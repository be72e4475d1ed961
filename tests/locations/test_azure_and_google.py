"""Containers on Azurite and buckets on an emulator of Google's: read, written, refused, and found again by their versions.

They run where the servers are: ``npm install -g azurite``, and ``pip install adlfs gcsfs gcp-storage-emulator``.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.locations.storage import (
    find_files,
    open_write,
    stat_file,
)
from orchestrator.locations.urls import LocationError
from orchestrator.reading.frame import read_table
from orchestrator.spec.data import DataSpec
from tests.deploy.conftest import unused_port
from tests.locations.bucket_checks import check_that_large_files_are_whole, record_copies

pytestmark = [pytest.mark.nightly, pytest.mark.filterwarnings("ignore")]  # of the libraries' sockets and event loops
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's, public
SECRETS = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY")


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            assert process.poll() is None, command
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def azurite() -> Iterator[str]:
    server = shutil.which("azurite-blob")
    if server is None or find_spec("adlfs") is None:
        pytest.skip("needs azurite-blob on PATH, and adlfs")
    command = [server, "--blobHost", "127.0.0.1", "--blobPort", str(port := unused_port()), "--inMemoryPersistence"]
    with running([*command, "--skipApiVersionCheck", "--disableTelemetry", "--silent"], port):
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"


@pytest.fixture(scope="module")
def google() -> Iterator[str]:
    if find_spec("gcp_storage_emulator") is None or find_spec("gcsfs") is None:
        pytest.skip("needs gcp-storage-emulator and gcsfs")
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port"]
    with running([*command, str(port := unused_port()), "--in-memory", "--default-bucket", "tables"], port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=["azurite", "google"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a container or a bucket, whose credentials are in the environment."""
    endpoint = request.getfixturevalue(request.param)
    if request.param == "google":
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
        return "gs://tables"
    import adlfs

    monkeypatch.setenv(
        SECRETS[0],
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};",
    )
    adlfs.AzureBlobFileSystem.clear_instance_cache()
    system = adlfs.AzureBlobFileSystem(skip_instance_cache=True)
    if not system.exists("tables"):
        system.mkdir("tables")
    return "abfs://tables"


def read(location: str, folder: Path, kind: str = "parquet") -> pd.DataFrame:
    data = DataSpec.model_validate({"path": location, "format": kind, "target": "y", "test_size": 0.5})
    data.keep_copies(folder)
    return read_table(data).frame


def test_a_table_of_several_files_is_read(bucket: str, tmp_path: Path) -> None:
    for place, rows in (("year=2023/a", [1.5, 2.5]), ("year=2024/b", [3.5])):
        with open_write(f"{bucket}/t/{place}.parquet") as file:
            pd.DataFrame({"x": rows, "y": 1}).to_parquet(file)
    with open_write(f"{bucket}/t/_SUCCESS") as file:
        file.write(b"")
    assert read(f"{bucket}/t", tmp_path).to_dict("list") == {
        "x": [1.5, 2.5, 3.5],
        "y": [1, 1, 1],
        "year": [2023, 2023, 2024],
    }
    assert len(read(f"{bucket}/t/*/a.parquet", tmp_path)) == 2
    assert stat_file(f"{bucket}/t/year=2023/a.parquet").version


def test_a_file_is_copied_again_when_it_changed(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = record_copies(monkeypatch)
    for rows in ("1,0\n2,1\n", "1,0\n3,1\n"):
        with open_write(f"{bucket}/rows.csv") as file:
            file.write(f"x,y\n{rows}".encode())
        for _ in range(2):
            assert len(read(f"{bucket}/rows.csv", tmp_path, "csv")) == 2
    assert len(copied) == len({*copied}) == 2
    assert not list(tmp_path.rglob("*.partial"))


def test_large_files_are_written_as_a_whole_or_not_at_all(bucket: str) -> None:
    check_that_large_files_are_whole(bucket)


def test_errors_name_the_place_and_no_secret(bucket: str) -> None:
    nowhere = f"{bucket.partition(':')[0]}://nowhere/rows.csv"
    with pytest.raises(LocationError, match=rf"there is no (bucket of|file) {nowhere}; look"):
        find_files(nowhere)
    with pytest.raises(LocationError, match=rf"there is no file {bucket}/none\.csv; look"):
        stat_file(f"{bucket}/none.csv")
    with pytest.raises(LocationError, match=r"nowhere/rows\.csv") as caught, open_write(nowhere) as file:
        file.write(b"1")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("account", [None, ACCOUNT])
def test_credentials_of_azure_are_asked_for(account: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs").AzureBlobFileSystem.clear_instance_cache()
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    if account:
        monkeypatch.setenv(SECRETS[1], account)
    with pytest.raises(LocationError, match=r"credentials come from the environment: AZURE_STORAGE_ACCOUNT_NAME with"):
        find_files("abfs://tables/rows.csv")
