"""What is wrong with a table to be scored, or with its output, is found before anything is copied or scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from orchestrator.config.batch_checks import problems
from orchestrator.locations.storage import open_write
from orchestrator.spec.batch import BatchSpec


@pytest.fixture
def root() -> str:
    place = f"memory://{uuid4().hex}"
    for name in ("in/a.csv", "in/b.csv", "old.csv"):
        with open_write(f"{place}/{name}") as file:
            file.write(b"a\n1\n")
    return place


def found(**keys: Any) -> list[str]:
    return [str(problem) for problem in problems(BatchSpec(**keys))]


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        ("in", "out.csv", ""),
        ("in/*.csv", "in/scored/out.csv", ""),
        ("in/*.csv", "in/out.parquet", "in/out.rejected.csv, which is a file that the pattern of the input fits"),
        ("in/*.csv", "in/out.csv", "in/out.csv is a file that the pattern of the input fits; name another"),
        ("in/**/*.csv", "in/scored/out.csv", "is a file that the pattern of the input fits"),
        ("in", "in/scored/out.csv", "in/scored/out.csv is in the folder that is read, and the next run would read it"),
        ("old.csv", "old.csv", "old.csv is the input itself; name another"),
        ("old.rejected.csv", "old.parquet", "would have its refused rows in"),
        ("in", "old.csv", "old.csv is there already; remove it, or name another"),
    ],
)
def test_outputs_that_would_be_read_or_overwrite_are_refused(
    root: str, tmp_path: Path, local: bool, source: str, output: str, said: str
) -> None:
    place = str(tmp_path) if local else root
    (tmp_path / "in").mkdir()
    for name in ("in/a.csv", "old.csv", "old.rejected.csv"):
        with open_write(f"{place}/{name}") as file:
            file.write(b"a\n1\n")
    wrong = found(input=f"{place}/{source}", output=f"{place}/{output}")
    assert len(wrong) == bool(said)
    assert all(text.startswith("batch.output: ") and said in text for text in wrong)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"input": "{}/none"}, "batch.input: there is no file memory://"),
        ({"input": "{}/in/*.parquet"}, "batch.input: memory://.*names no file; look at the folder and the pattern"),
        ({"input": "s3a2://b/k"}, "batch.input: s3a2://b/k cannot be .*: there is no file system 's3a2://'"),
        ({"output": "s3a2://b/k.csv"}, "batch.output: s3a2://b/k.csv cannot be .*: there is no file system"),
        ({"output": "gs://b/k.csv"}, "batch.output: .* the library for gs:// is not installed; pip install .*gcs"),
        ({"version": 1}, "batch.version: memory://.* is no Delta table, and has no versions"),
    ],
)
def test_what_cannot_be_found_or_written_is_one_line(
    root: str, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], said: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    values = {"input": "{}/in", "output": "{}/out.csv"} | keys
    (wrong,) = found(**{name: each.format(root) if isinstance(each, str) else each for name, each in values.items()})
    assert __import__("re").match(said, wrong), wrong
    assert "\n" not in wrong


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("https://host/out.csv", "https:// cannot be written to; name a file, or one in a bucket"),
        ("env:OUT", "a variable cannot be written to"),
        ("s3://bucket/out", "should end in .csv or .parquet, or batch.output_format should say what it is, got 'out'"),
        ("ftp://me:c0ffee@host/out.csv", "holds credentials, which the run's files would keep"),
    ],
)
def test_what_is_no_output_is_refused(output: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        BatchSpec.model_validate({"input": "new.csv", "output": output})
    assert said in caught.value.errors()[0]["msg"]
    assert "c0ffee" not in caught.value.errors()[0]["msg"]


def test_a_database_behind_a_variable_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROWS", "postgresql+psycopg://me:c0ffee@host/db")
    (wrong,) = found(input="env:ROWS", output=tmp_path / "out.csv")
    assert wrong.startswith(
        "batch.input: env:ROWS cannot be looked at: it names a database (postgresql+psycopg); write"
    )
    assert "c0ffee" not in wrong


def test_a_delta_table_in_a_datastore_is_refused_before_a_row_is_scored(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    output = "azureml://datastores/lake/paths/scored"
    (wrong,) = found(input=tmp_path / "rows.csv", output=output, output_format="delta")
    assert wrong.startswith(f"batch.output: {output}: Delta tables are not read or written through a workspace; name")


def test_a_version_of_a_data_asset_is_no_output() -> None:
    with pytest.raises(
        ValidationError, match=r"cannot be written to; name a file in a datastore: azureml://datastores"
    ):
        BatchSpec.model_validate({"input": "azureml:churn:3", "output": "azureml:scored:1"})
    spec = BatchSpec.model_validate({"input": "azureml:a:3", "output": "azureml://datastores/lake/paths/scored.csv"})
    assert str(spec.rejected) == "azureml://datastores/lake/paths/scored.rejected.csv"


def test_a_delta_table_needs_its_library_and_is_there_once_it_has_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.config.batch_checks.find_spec", lambda _: None)
    (tmp_path / "lake/_delta_log").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    wrong = found(input=tmp_path / "lake", output=tmp_path / "out", output_format="delta")
    assert [text.partition(":")[0] for text in wrong] == ["batch.input", "batch.output"]
    assert all(text.endswith("not installed; pip install 'sklearn-orchestrator[delta]'") for text in wrong)
    (tmp_path / "out/_delta_log").mkdir()
    assert any(
        "is there already" in text
        for text in found(input=tmp_path / "lake", output=tmp_path / "out", output_format="delta")
    )
