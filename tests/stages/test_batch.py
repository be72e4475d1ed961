"""Scoring a table: the endpoint's answers for every row, reasons for every refused one, and no row twice or lost."""

from __future__ import annotations

import bz2
import gzip
import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from sklearn.ensemble import RandomForestClassifier

from orchestrator.artifacts import BatchResult, ModelVersion, Package
from orchestrator.errors import DataError, PackageError
from orchestrator.events import Event, Progress, StepNote, StepProgress
from orchestrator.spec.batch import BatchSpec
from orchestrator.stages.batch import batch
from score.explain.explainer import ExplanationRecord
from score.models.onnx import Compilation
from score.predict.predictor import Predictor
from score.predict.response import OUT_OF_RANGE, UNSEEN
from tests.nightly import at_night

from .conftest import TABULAR, Kit

Score = Callable[..., BatchResult]
ANSWERS = ["prediction", "probability_no", "probability_yes"]


class Killed(BaseException):
    """Ends a run where it is."""


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory, mixed: pd.DataFrame) -> ModelVersion:
    """A package whose columns are of every kind."""
    kit = Kit(tmp_path_factory.mktemp("batch"))
    search = kit.search(preprocess=TABULAR)
    package = kit.package(*kit.train(mixed.assign(y=mixed["y"].map({0: "no", 1: "yes"})), search))
    return ModelVersion("toy_model", "1", None, package)


@pytest.fixture
def rows(mixed: pd.DataFrame) -> pd.DataFrame:
    """Rows to score: a key that looks like a number, and columns in another order."""
    return mixed.drop(columns="y").iloc[:, ::-1].assign(key=[f"{i:04}" for i in range(len(mixed))])


@pytest.fixture
def score(tmp_path: Path, version: ModelVersion) -> Score:
    """Scores a table from a file, in chunks of seven rows; None is the file as it lies there."""

    def run(
        table: pd.DataFrame | str | None, observer: Callable[[Event], None] = lambda _: None, **keys: Any
    ) -> BatchResult:
        path = tmp_path / keys.pop("input", "new.csv")
        if table is None:
            assert path.exists()
        elif isinstance(table, str):
            path.write_text(table)
        elif path.suffix == ".parquet":
            table.to_parquet(path, index=False)
        else:
            table.to_csv(path, index=False)
        output = tmp_path / keys.pop("output", "scored.csv")
        return batch(version, BatchSpec(input=path, output=output, **{"chunk_rows": 7} | keys), Progress(observer))

    return run


def asked(version: ModelVersion, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the endpoint's answers to the same rows, each in its own request."""
    scorer, answers = Predictor.load(version.package.path), []
    for row in json.loads(rows.drop(columns="key").to_json(orient="records", double_precision=15)):
        status, reply, _ = scorer.answer(json.dumps({"data": [row]}))
        assert status == 200, reply
        (prediction,), (probabilities,) = (json.loads(reply)[name] for name in ("predictions", "probabilities"))
        answers.append([prediction, *probabilities])
    return pd.DataFrame(answers, columns=ANSWERS)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_each_row_gets_the_answer_of_the_endpoint(
    score: Score, version: ModelVersion, rows: pd.DataFrame, ending: str, to: str
) -> None:
    scored = score(rows, input=f"new.{ending}", output=f"scored.{to}")
    output = pd.read_parquet(scored.path) if to == "parquet" else pd.read_csv(scored.path, dtype={"key": str})
    assert (scored.rows, scored.refused, scored.reasons) == (len(rows), 0, None)
    assert list(output) == [*rows, *ANSWERS]
    assert list(output["key"]) == list(rows["key"])
    pd.testing.assert_frame_equal(output[ANSWERS], asked(version, rows), check_dtype=False, rtol=1e-12, atol=1e-12)
    assert [path.name for path in Path(scored.path).parent.glob("scored*")] == [f"scored.{to}"]


def test_kept_columns_are_unchanged(score: Score, rows: pd.DataFrame) -> None:
    text = rows.assign(key="NA", note='"1.10", he said').astype(object).fillna("n/a")
    scored = score(text, keep=["note", "key", "a"])
    output = pd.read_csv(scored.path, dtype=str, keep_default_na=False)
    assert list(output) == ["note", "key", "a", *ANSWERS]
    assert list(output["note"]) == list(text["note"])
    assert list(output["key"]) == list(text["key"])
    assert list(output["a"]) == list(map(str, text["a"]))


def test_refused_rows_are_listed_with_every_reason(score: Score, version: ModelVersion, rows: pd.DataFrame) -> None:
    wrong = rows.astype(object)
    wrong.loc[3, ["b", "city"]] = ["tall", "Bonn"]  # the encoder ignores what it does not know
    wrong.loc[20:33, "whole"] = 1.5
    wrong.loc[40, "flag"] = None
    lines = wrong.to_csv(index=False).splitlines()
    lines[1 + 50] = "1,2"
    scored = score("\n".join(lines))
    assert scored.reasons is not None
    reasons = pd.read_csv(scored.reasons).astype(object).fillna("").to_numpy().tolist()
    places = [(3, "b"), *((row, "whole") for row in range(20, 34)), (40, "flag"), (50, "")]
    assert sorted((row, column) for row, column, _, _ in reasons) == places
    assert [row for row, *_ in reasons] == sorted(row for row, *_ in reasons)
    assert reasons[-1] == [50, "", "the row has 2 values", "one value for each column"]
    assert [3, "b", '"tall" is text'] in [reason[:3] for reason in reasons]
    assert (scored.rows, scored.refused) == (len(rows) - 17, 17)
    left = rows.drop([3, *range(20, 34), 40, 50]).reset_index(drop=True)
    output = pd.read_csv(scored.path)
    pd.testing.assert_frame_equal(output[ANSWERS], asked(version, left), check_dtype=False, rtol=1e-12, atol=1e-12)


def test_hundreds_of_refused_rows_in_one_chunk_are_all_listed(score: Score, rows: pd.DataFrame) -> None:
    many = pd.concat([rows] * 5).assign(b="x", whole="y")
    scored = score(many, chunk_rows=1000)
    assert (scored.rows, scored.refused) == (0, len(many))
    assert scored.reasons is not None
    assert len(pd.read_csv(scored.reasons)) == 2 * len(many)
    assert list(pd.read_csv(scored.path)) == [*many, *ANSWERS]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("at", [1, 5, 11])
def test_a_killed_run_resumes_from_its_checkpoints(
    score: Score, tmp_path: Path, rows: pd.DataFrame, ending: str, at: int
) -> None:
    wrong = rows.assign(flag=["" if row % 9 == 0 else str(flag) for row, flag in enumerate(rows["flag"])])
    steps: list[StepProgress] = []

    def kill(event: Event) -> None:
        if isinstance(event, StepProgress):
            steps.append(event)
            if len(steps) == at:
                raise Killed

    whole = score(wrong, output=f"whole.{ending}")
    with pytest.raises(Killed):
        score(None, kill, output=f"scored.{ending}")
    assert not (tmp_path / f"scored.{ending}").exists()
    (tmp_path / f"scored.{ending}.part" / "new").write_text("torn")
    (tmp_path / f"scored.{ending}.part" / f"{7 * at:015}-{7 * at + 7:015}-1.reasons").write_text("torn")
    resumed: list[Event] = []
    again = score(None, resumed.append, output=f"scored.{ending}")
    assert (again.rows, again.refused) == (whole.rows, whole.refused)
    assert Path(again.path).read_bytes() == Path(whole.path).read_bytes()
    assert Path(str(again.reasons)).read_bytes() == Path(str(whole.reasons)).read_bytes()
    assert [event.text for event in resumed if isinstance(event, StepNote)] == [
        f"the first {7 * at} rows are scored; continuing after them"
    ]
    assert sum(isinstance(event, StepProgress) for event in resumed) == 12 - at
    assert not (tmp_path / f"scored.{ending}.part").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_values_beyond_training_are_counted_where_the_endpoint_flags_them(
    score: Score, version: ModelVersion, rows: pd.DataFrame, ending: str
) -> None:
    far = rows.assign(a=rows["a"].where(rows.index % 3 > 0, 1e9), whole=rows["whole"].where(rows.index % 10 > 0, -1))
    far.loc[20, "b"] = np.inf  # which is refused, and so not counted
    far.loc[[20, 33, 50], "city"] = "Bonn"  # which the encoder ignores
    scorer, flagged, unseen = Predictor.load(version.package.path), Counter[str](), Counter[str]()
    for cells in far.drop(columns="key").astype(object).to_dict("records"):
        row = {name: None if pd.isna(value) else value for name, value in cells.items()}
        status, _, headers = scorer.answer(json.dumps({"data": [row]}))
        if status == 200 and OUT_OF_RANGE in headers:
            flagged.update(headers[OUT_OF_RANGE].split(", "))
        if status == 200 and UNSEEN in headers:
            unseen.update(headers[UNSEEN].split(", "))
    assert flagged["a"] > 20
    assert unseen == {"city": 2}

    def kill(event: Event) -> None:
        if isinstance(event, StepProgress):
            raise Killed

    with pytest.raises(Killed):
        score(far, kill, input=f"new.{ending}")
    scored = score(None, input=f"new.{ending}")
    assert (scored.out_of_range, scored.unseen) == (flagged, unseen)


def test_checkpoints_of_another_input_are_not_used(score: Score, rows: pd.DataFrame) -> None:
    def kill(event: Event) -> None:
        if isinstance(event, StepProgress):
            raise Killed

    with pytest.raises(Killed):
        score(rows, kill)
    events: list[Event] = []
    scored = score(rows.tail(9).assign(key="x"), events.append)
    assert not any(isinstance(event, StepNote) for event in events)
    assert scored.rows == len(pd.read_csv(scored.path)) == 9


def test_reasons_of_an_earlier_table_are_removed(score: Score, rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "scored.rejected.csv").write_text("old")
    assert score(rows).reasons is None
    assert not (tmp_path / "scored.rejected.csv").exists()


def test_an_empty_table_gives_an_empty_output(score: Score, rows: pd.DataFrame) -> None:
    for ending in ("csv", "parquet"):
        scored = score(rows.head(0), input=f"new.{ending}", output=f"scored.{ending}")
        output = pd.read_csv(scored.path) if ending == "csv" else pd.read_parquet(scored.path)
        assert (scored.rows, list(output), len(output)) == (0, [*rows, *ANSWERS], 0)


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({"a": "A"}, {}, "batch.input: new.csv has no column 'a'; did you mean 'A'"),
        (
            {"key": "prediction"},
            {},
            "batch.input: new.csv has a column 'prediction' already; leave it out with batch.keep",
        ),
        ({"key": "b"}, {}, "batch.input: new.csv has 2 columns 'b'; rename one"),
        ({}, {"keep": ["id"]}, "batch.keep: new.csv has no column 'id'"),
        ({}, {"separator": ";"}, "batch.separator: new.csv seems to be separated by ',', not by ';'"),
        ({"key": "ключ"}, {"encoding": "ascii"}, "batch.encoding: new.csv is not written in ascii"),
    ],
)
def test_a_table_without_the_columns_is_refused(
    score: Score, rows: pd.DataFrame, tmp_path: Path, change: dict[str, str], keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        score(rows.rename(columns=change), **keys)
    assert str(caught.value).startswith(message)
    assert [path.name for path in tmp_path.glob("scored*")] == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_explanations_are_columns_of_the_output(
    score: Score, rows: pd.DataFrame, version: ModelVersion, ending: str
) -> None:
    some = rows.head(20).drop(columns="key")
    output = score(some, input=f"new.{ending}", output=f"scored.{ending}", explain=True).path
    answers = pd.read_csv(output) if ending == "csv" else pd.read_parquet(output)
    plain = score(some, input=f"plain.{ending}", output=f"usual.{ending}").path
    usual = pd.read_csv(plain) if ending == "csv" else pd.read_parquet(plain)
    columns = [column.name for column in Predictor.load(version.package.path).contract.columns]
    names = [f"explain_{name}" for name in columns]
    assert [*answers] == [*usual, "explain_base", *names]
    pd.testing.assert_frame_equal(answers[[*usual]], usual)
    sums = answers["explain_base"] + answers[names].sum(axis=1)
    np.testing.assert_allclose(sums, answers["probability_yes"], rtol=0, atol=1e-9)
    empty = score(some.head(0), input=f"empty.{ending}", output=f"empty_scored.{ending}", explain=True)
    assert empty.rows == 0


def test_explanations_need_a_package_with_some_and_names_of_their_own(
    score: Score, rows: pd.DataFrame, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = Predictor.load(version.package.path).contract.columns[0].name
    with pytest.raises(DataError, match=f"a column 'explain_{name}' already"):
        score(rows.rename(columns={"key": f"explain_{name}"}), explain=True)
    monkeypatch.setattr(Predictor, "explanation", ExplanationRecord())
    with pytest.raises(DataError, match=r"batch\.explain: the package explains no answers \(the package was made"):
        score(rows, explain=True)


def test_a_damaged_file_is_refused(score: Score) -> None:
    with pytest.raises(DataError, match=r"batch\.input: .*new\.parquet cannot be read: "):
        score("no parquet", input="new.parquet")


def test_two_runs_do_not_write_one_output(score: Score, rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "scored.csv.part").mkdir()
    with FileLock(tmp_path / "scored.csv.part" / "lock"), pytest.raises(DataError, match="another run is writing"):
        score(rows)


def test_a_package_that_does_not_load_is_an_error(
    copy_of: Callable[[Package], Package], version: ModelVersion, tmp_path: Path
) -> None:
    package = copy_of(version.package)
    Compilation("switched off").write(package.path)
    (package.path / "model.pkl").write_bytes(b"no pickle")
    broken = ModelVersion("toy_model", "1", None, package)
    (tmp_path / "new.csv").write_text("a\n")
    with pytest.raises(PackageError, match=r"^batch: .*model\.pkl does not load"):
        batch(broken, BatchSpec(input=tmp_path / "new.csv", output=tmp_path / "scored.csv"), Progress())


def test_a_model_that_fails_is_an_error(
    copy_of: Callable[[Package], Package], version: ModelVersion, tmp_path: Path, rows: pd.DataFrame
) -> None:
    package = copy_of(version.package)
    Compilation("switched off").write(package.path)
    joblib.dump(RandomForestClassifier(2).fit([[0], [1]], [0, 1]), package.path / "model.pkl")  # of another table
    rows.to_csv(tmp_path / "new.csv", index=False)
    spec = BatchSpec(input=tmp_path / "new.csv", output=tmp_path / "scored.csv")
    with pytest.raises(PackageError, match=r"^batch: the model failed: X has feature names"):
        batch(ModelVersion("toy_model", "1", None, package), spec, Progress())
    assert not (tmp_path / "scored.csv").exists()


def test_a_regression_has_predictions_alone(tmp_path: Path, numbers: pd.DataFrame) -> None:
    kit = Kit(tmp_path)
    search = kit.search("sklearn.linear_model.LinearRegression", scoring=["r2"], refit="r2")
    package = kit.package(*kit.train(numbers.assign(y=numbers["a"] * 2), search))
    numbers.to_csv(tmp_path / "new.csv", index=False)
    spec = BatchSpec(input=tmp_path / "new.csv", output=tmp_path / "scored.csv", keep=())
    output = pd.read_csv(batch(ModelVersion("toy_model", "", None, package), spec, Progress()).path)
    assert list(output) == ["prediction"]
    assert output["prediction"].tolist() == pytest.approx((numbers["a"] * 2).tolist())


# --- the table that a model was trained on, scored as it is


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """Codes with leading zeros, words that are values, and numbers that need many digits."""
    rng, n = np.random.default_rng(0), 60
    y = rng.integers(0, 2, n)
    price = np.round(y * 1000 + rng.normal(500, 400, n), 2)
    country = np.where(rng.random(n) < 0.3, "NA", "DE")
    table = pd.DataFrame({"price": price, "country": country, "zip": [f"{i % 3:03}" for i in range(n)], "y": y})
    table.loc[::8, "country"] = None
    table.loc[1::8, "price"] = np.nan
    return table


def german(number: float) -> str:
    return "" if pd.isna(number) else f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


AS_TEXT = {"text_columns": ("zip",), "keep_default_na": False}
WRITTEN: dict[str, tuple[Callable[[pd.DataFrame], bytes], dict[str, Any]]] = {
    "t.csv": (lambda t: t.to_csv().encode(), AS_TEXT),
    "t.TSV": (lambda t: t.to_csv(sep="\t", index=False).encode("utf-8-sig"), AS_TEXT),
    "t.txt": (lambda t: t.to_csv(sep="\x1f", index=False).encode("utf-16"), {**AS_TEXT, "separator": r"\x1f", "encoding": "utf-16"}),
    "t.dat": (lambda t: gzip.compress(t.to_csv(index=False).encode()), AS_TEXT),
    "t.csv.gz": (lambda t: bz2.compress(t.to_csv(index=False).encode()), AS_TEXT),
    "Köln.CSV": (
        lambda t: t.assign(price=t["price"].map(german)).to_csv(sep=";", index=False).encode("latin-1"),
        {**AS_TEXT, "separator": ";", "decimal": ",", "thousands": ".", "encoding": "latin-1"},
    ),
    "trailing": (lambda t: t.assign(**{"": None}).to_csv(index=False).encode(), AS_TEXT),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [at_night("t.csv"), at_night("t.TSV"), "t.txt", at_night("t.dat"), "t.csv.gz", "Köln.CSV", "trailing"]
)
def test_the_training_table_is_scored_unchanged(tmp_path: Path, people: pd.DataFrame, name: str) -> None:
    kit, path = Kit(tmp_path), tmp_path / name
    write, keys = WRITTEN[name]
    path.write_bytes(write(people))
    parts, trained = kit.train(people, kit.search(preprocess=TABULAR), path=path, **keys)
    package = kit.package(parts, trained, compile="never")
    version = ModelVersion("toy_model", "1", None, package)
    scored = batch(version, BatchSpec(input=path, output=tmp_path / "scored.parquet", chunk_rows=7), Progress())
    output = pd.read_parquet(scored.path)
    assert (scored.rows, scored.refused) == (len(people), 0)
    assert list(output) == ["price", "country", "zip", "y", "prediction", "probability_0", "probability_1"]
    rows = pd.concat([parts.X_train, parts.X_test]).sort_index()
    assert set(rows["country"].dropna()) == {"NA", "DE"}
    expected = trained.pipeline.predict_proba(rows)
    assert output[["probability_0", "probability_1"]].to_numpy() == pytest.approx(expected, abs=1e-12)
    scorer = Predictor.load(package.path)
    records = rows.astype(object).where(rows.notna(), "").to_dict("records")
    records = [{**record, "price": record["price"] or None} for record in records]
    status, reply, _ = scorer.answer(json.dumps({"data": records}))  # the empty text means missing here, too
    assert status == 200, reply
    assert json.loads(reply)["probabilities"] == pytest.approx(expected, abs=1e-12)


def test_texts_that_meant_missing_in_training_do_so_everywhere(tmp_path: Path, people: pd.DataFrame) -> None:
    kit = Kit(tmp_path)
    parts, trained = kit.train(people, kit.search(preprocess=TABULAR), missing_values=("-", "-999"))
    package = kit.package(parts, trained, compile="never")
    assert set(parts.X_train["country"].dropna()) == {"DE"}
    texts = [f"{price},{country},1" for price in ("-999", "-999.0", "-", "nan") for country in ("NA", "-", "None", "")]
    (tmp_path / "new.csv").write_text("\n".join(["price,country,zip", *texts]))
    spec = BatchSpec(input=tmp_path / "new.csv", output=tmp_path / "scored.csv")
    scored = batch(ModelVersion("toy_model", "1", None, package), spec, Progress())
    assert (scored.rows, scored.refused) == (16, 0)
    probabilities = pd.read_csv(scored.path)["probability_1"]
    assert set(probabilities) == {probabilities[0]}
    scorer = Predictor.load(package.path)
    for word in ("NA", "-", "None", "", None):
        for rows in (1, 300):
            status, reply, _ = scorer.answer(json.dumps({"data": [{"price": None, "country": word, "zip": 1}] * rows}))
            assert status == 200, reply
            assert json.loads(reply)["probabilities"][0][1] == pytest.approx(probabilities[0])
    answer = scorer.answer(json.dumps({"data": [{"price": None, "country": "XX", "zip": 1}]}))
    assert answer.headers["X-Unseen-Values"] == "country"  # a value, and none that means missing


def test_options_of_batch_override_those_of_training(tmp_path: Path, people: pd.DataFrame) -> None:
    kit, (write, keys) = Kit(tmp_path), WRITTEN["Köln.CSV"]
    (tmp_path / "old.csv").write_bytes(write(people))
    package = kit.package(
        *kit.train(people, kit.search(preprocess=TABULAR), path=tmp_path / "old.csv", **keys), compile="never"
    )
    version = ModelVersion("toy_model", "1", None, package)
    people.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match=r"batch\.separator: new\.csv seems to be separated by ',', not by ';'"):
        batch(version, BatchSpec(input=tmp_path / "new.csv", output=tmp_path / "o.csv"), Progress())
    wrong = BatchSpec(input=tmp_path / "new.csv", output=tmp_path / "o.csv", separator=",")
    assert batch(version, wrong, Progress()).refused == people["price"].notna().sum()  # 12.5 is no German number
    (tmp_path / "o.csv").unlink()
    right = BatchSpec(input=tmp_path / "new.csv", output=tmp_path / "o.csv", separator=",", decimal=".")
    assert batch(version, right, Progress()).refused == 0


def test_a_parquet_table_is_scored_unchanged(tmp_path: Path, people: pd.DataFrame) -> None:
    table = people.assign(
        price=pd.Series([None if pd.isna(price) else Decimal(str(price)) for price in people["price"]], dtype=object),
        zip=people["zip"].astype("int64"),
        flag=pd.Series([True, None, False] * 20, dtype="boolean"),
    ).set_index(pd.Index(range(100, 160)))
    kit, path = Kit(tmp_path), tmp_path / "table.parquet"
    keys: dict[str, Any] = {"format": "parquet", "text_columns": ("zip",)}
    parts, trained = kit.train(table, kit.search(preprocess=TABULAR), **keys)
    package = kit.package(parts, trained)
    assert Compilation.read(package.path).used
    assert set(parts.X_train["zip"]) == {"0", "1", "2"}
    spec = BatchSpec(input=path, output=tmp_path / "scored.parquet")
    scored = batch(ModelVersion("toy_model", "1", None, package), spec, Progress())
    output, rows = pd.read_parquet(scored.path), pd.concat([parts.X_train, parts.X_test]).sort_index()
    assert (scored.refused, list(output)[:5]) == (0, list(table))
    expected = trained.pipeline.predict_proba(rows)
    assert output[["probability_0", "probability_1"]].to_numpy() == pytest.approx(expected, abs=1e-6)


def test_a_long_cell_is_scored(score: Score, rows: pd.DataFrame) -> None:
    assert score(rows.assign(note="x" * 140_000).head(3), keep=["key"]).rows == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04...", "batch.input: new.csv is a zip archive; unpack it"),
        ("a,b\n".encode("utf-16"), "batch.encoding: new.csv begins with the byte order mark of UTF-16; write utf-16"),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:20], "batch.input: .*new.csv cannot be read: "),
    ],
)
def test_a_file_of_another_kind_is_refused(score: Score, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "new.csv").write_bytes(content)
    with pytest.raises(DataError, match=f"^{message}"):
        score(None)
