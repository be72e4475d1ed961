"""Loading a package, and its answers: equal to the pipeline's own to the bit, in all three forms."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier

from score.contract.schema import FILE, Contract
from score.models.base import PickledModel
from score.payload.reader import parse_body
from score.predict.predictor import InitError, Predictor

Ask = Callable[[Predictor, Any], tuple[int, Any]]
MakePackage = Callable[..., Path]
Rewrite = Callable[..., Path]


class Broken(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Predicts the given value, or raises it."""

    def __init__(self, given: Any = None) -> None:
        self.given = given

    def predict(self, X: pd.DataFrame) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return np.resize(self.given, len(X))


@pytest.fixture
def rewritten(pima: Path, tmp_path: Path) -> Rewrite:
    def rewrite(**changed: Any) -> Path:
        folder = shutil.copytree(pima, tmp_path / "package")
        contract = Contract.from_json((folder / FILE).read_text())
        dataclasses.replace(contract, **changed).write(folder)
        return folder

    return rewrite


def pipeline_of(scorer: Predictor) -> Any:
    assert isinstance(scorer.model, PickledModel)
    return scorer.model.pipeline


def split(frame: pd.DataFrame) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(frame.to_json(orient="split", double_precision=15))
    return held


def test_the_articles_request_gives_the_articles_answer(pima_scorer: Predictor, X: pd.DataFrame) -> None:
    body = json.dumps({"input": X.head(1).to_json(orient="records")})
    status, reply, _ = pima_scorer.answer(body)
    expected = pipeline_of(pima_scorer).predict_proba(X.head(1))[0, 1]
    assert (status, reply) == (200, json.dumps(json.dumps({"proba": [expected]})).encode())


def test_all_rows_equal_the_pipeline_to_the_bit_in_every_form(
    pima_scorer: Predictor, X: pd.DataFrame, ask: Ask
) -> None:
    proba, labels = pipeline_of(pima_scorer).predict_proba(X), pipeline_of(pima_scorer).predict(X).tolist()
    records = X.to_dict(orient="records")
    for rows in (X.to_json(orient="records"), records):
        assert json.loads(ask(pima_scorer, {"input": rows})[1]) == {"proba": proba[:, 1].tolist()}
    for body in ({"data": records}, split(X), {key: value for key, value in split(X).items() if key != "index"}):
        assert ask(pima_scorer, body) == (
            200,
            {"predictions": labels, "probabilities": proba.tolist(), "classes": [0, 1]},
        )


def test_columns_in_another_order_give_the_same_answer(pima_scorer: Predictor, X: pd.DataFrame, ask: Ask) -> None:
    turned = X[X.columns[::-1]]
    assert ask(pima_scorer, {"data": turned.to_dict(orient="records")}) == ask(pima_scorer, split(X))
    assert ask(pima_scorer, split(turned)) == ask(pima_scorer, split(X))


def test_mixed_columns_get_their_training_dtypes_back(survey_scorer: Predictor, mixed: pd.DataFrame, ask: Ask) -> None:
    records = json.loads(mixed.to_json(orient="records", double_precision=15))
    for row, exact in zip(records, mixed["income"], strict=True):
        row["income"] = None if np.isnan(exact) else exact  # pandas writes 15 digits, Python all
    proba = pipeline_of(survey_scorer).predict_proba(mixed)
    labels = [["young", "middle", "old"][code] for code in pipeline_of(survey_scorer).predict(mixed)]
    status, reply = ask(survey_scorer, {"data": records})
    assert status == 200
    assert reply == {"predictions": labels, "probabilities": proba.tolist(), "classes": ["young", "middle", "old"]}


def test_a_regression_answers_numbers(line: Path, X: pd.DataFrame, ask: Ask) -> None:
    scorer = Predictor.load(line)
    expected = pipeline_of(scorer).predict(X).tolist()
    assert ask(scorer, split(X)) == (200, {"predictions": expected})
    assert json.loads(ask(scorer, {"input": X.to_json(orient="records")})[1]) == {"prediction": expected}


def test_a_classifier_without_probabilities(make_package: MakePackage, X: pd.DataFrame, ask: Ask) -> None:
    scorer = Predictor.load(make_package(RidgeClassifier().fit(X, X["Age"] > 40), X, classes=["no", "yes"]))
    labels = np.array(["no", "yes"])[pipeline_of(scorer).predict(X).astype(int)].tolist()
    assert ask(scorer, split(X)) == (200, {"predictions": labels, "classes": ["no", "yes"]})
    assert json.loads(ask(scorer, {"input": X.to_json(orient="records")})[1]) == {"prediction": labels}


def test_a_class_that_training_rows_lacked_has_probability_zero(
    make_package: MakePackage, X: pd.DataFrame, ask: Ask
) -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(X, 2 * (X["Age"] > 40))
    scorer = Predictor.load(make_package(forest, X, classes=["a", "b", "c"]))
    reply = ask(scorer, split(X))[1]
    assert np.array(reply["probabilities"])[:, [0, 2]].tolist() == forest.predict_proba(X).tolist()
    assert {row[1] for row in reply["probabilities"]} == {0}
    assert set(reply["predictions"]) == {"a", "c"}


def test_no_rows_give_empty_lists(pima_scorer: Predictor, X: pd.DataFrame, ask: Ask) -> None:
    nothing = {"predictions": [], "probabilities": [], "classes": [0, 1]}
    assert ask(pima_scorer, {"data": []}) == (200, nothing)
    assert ask(pima_scorer, {"columns": list(X), "data": []}) == (200, nothing)
    assert ask(pima_scorer, {"input": "[]"}) == (200, '{"proba": []}')


def test_values_outside_of_the_training_range_are_scored_and_flagged(
    survey_scorer: Predictor, mixed: pd.DataFrame
) -> None:
    row = json.loads(mixed.to_json(orient="records"))[0]
    low, high = int(mixed["age"].min()), int(mixed["age"].max())

    def flagged(**values: Any) -> str | None:
        status, _, headers = survey_scorer.answer(json.dumps({"data": [row, row | values]}))
        assert status == 200
        return headers.get("X-Out-Of-Range")

    assert flagged() is None
    assert flagged(age=low) is None
    assert flagged(age=high, income=None) is None
    assert flagged(age=low - 1) == "age"
    assert flagged(age=high + 1, income=-1e9) == "age, income"
    columns = survey_scorer.reader.columns(
        parse_body(json.dumps({"data": [row | {"age": value} for value in (0, 200, low)]}))
    )
    assert survey_scorer.reader.flags(columns).outside == {"age": 2}


@pytest.mark.parametrize(
    "given", [ValueError("a secret"), StopIteration("a secret"), -1, 7, float("nan"), float("inf"), "text", None]
)
@pytest.mark.parametrize("known", [{}, {"task": "regression", "classes": None}], ids=["classes", "numbers"])
@pytest.mark.parametrize("rows", [2, 50])
def test_a_failing_pipeline_is_a_500(
    given: Any,
    rows: int,
    known: dict[str, Any],
    *,
    make_package: MakePackage,
    X: pd.DataFrame,
    caplog: pytest.LogCaptureFixture,
    ask: Ask,
) -> None:
    if known and isinstance(given, int):
        given = [given, float("nan")]  # a number alone is a good answer there
    loaded = Predictor.load(make_package(None, X, **known))
    scorer = dataclasses.replace(loaded, model=PickledModel(Broken(given), loaded.reader))
    status, reply = ask(scorer, split(X.head(rows)))
    assert (status, reply["status"], reply["title"]) == (500, 500, "Internal Server Error")
    assert "secret" not in reply["detail"]
    assert "Traceback" in caplog.text


def test_another_scikit_learn_is_refused_before_unpickling(rewritten: Rewrite) -> None:
    folder = rewritten(versions={"scikit-learn": "1.2.3", "python": "3.99"})
    (folder / "model.pkl").write_bytes(b"never read")
    with pytest.raises(InitError, match=r"trained with scikit-learn 1\.2\.3 \(here: [0-9.]+\): install .*requirements"):
        Predictor.load(folder)


@pytest.mark.parametrize(
    ("name", "wanted", "reported"),
    [
        ("pandas", "1.5.3", r"pandas 1\.5\.3 \(here: [0-9.]+\)"),
        ("no-such-library", "1.0", r"no-such-library 1\.0 \(here: none\)"),
        ("python", "2.7.18", r"python 2\.7\.18 \(here: 3"),
    ],
)
def test_another_major_version_is_refused(name: str, wanted: str, reported: str, rewritten: Rewrite) -> None:
    with pytest.raises(InitError, match=reported):
        Predictor.load(rewritten(versions={name: wanted}))


def test_another_minor_version_of_the_others_is_fine(rewritten: Rewrite) -> None:
    major = pd.__version__.split(".")[0]
    Predictor.load(rewritten(versions={"pandas": f"{major}.99.0", "python": "3.5.0"}))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 2}', '{"format": 1, "columns": 1}'])
def test_a_damaged_contract_is_refused(text: str, rewritten: Rewrite) -> None:
    folder = rewritten()
    (folder / FILE).write_text(text)
    with pytest.raises(InitError, match=r"contract.json is damaged or of another version .*build the package again"):
        Predictor.load(folder)


def test_a_missing_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InitError, match="no readable contract"):
        Predictor.load(tmp_path)


def test_a_damaged_pickle_is_refused(rewritten: Rewrite) -> None:
    folder = rewritten()
    (folder / "model.pkl").write_bytes(b"\x80\x04rubbish")
    with pytest.raises(InitError, match=r"model.pkl does not load"):
        Predictor.load(folder)


def test_a_missing_module_or_global_is_named(rewritten: Rewrite, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, module = rewritten(), types.ModuleType("my_module")
    module.Thing = type("Thing", (), {"__module__": "my_module"})  # type: ignore[attr-defined]  # made for this test
    monkeypatch.setitem(sys.modules, "my_module", module)
    joblib.dump(module.Thing(), folder / "model.pkl")
    del module.Thing
    with pytest.raises(InitError, match=r"model.pkl does not load: .*'Thing'.*my_module"):
        Predictor.load(folder)
    monkeypatch.delitem(sys.modules, "my_module")
    with pytest.raises(InitError, match=r"model.pkl needs module 'my_module'"):
        Predictor.load(folder)


def test_a_pickle_of_another_scikit_learn_than_the_contracts_is_refused(
    rewritten: Rewrite, X: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rewritten()
    original = RidgeClassifier.__getstate__
    with monkeypatch.context() as patched:
        patched.setattr(RidgeClassifier, "__getstate__", lambda self: original(self) | {"_sklearn_version": "1.0"})
        joblib.dump(RidgeClassifier().fit(X, X["Age"] > 40), folder / "model.pkl")
    with pytest.raises(InitError, match=r"model.pkl does not load: .*1\.0"):
        Predictor.load(folder)


def odd_bodies(X: pd.DataFrame) -> list[bytes]:
    """Some hundred bodies, from rubbish to almost right, the same in every run."""
    rng = random.Random(0)
    good = X.head(2).to_dict(orient="records")
    odd: list[Any] = [
        None,
        True,
        False,
        0,
        -1,
        3.5,
        10**30,
        10**400,
        1e308,
        "",
        "x",
        "1",
        "\ud800",
        [],
        {},
        [1],
        {"a": 1},
    ]
    odd += [float("nan"), float("inf"), -float("inf"), "é" * 50, [[[]]], {"": None}, "2020-01-01"]
    bodies: list[Any] = [*odd, *([value] for value in odd)]
    for key in ("input", "data", "columns", "index", "x", ""):
        bodies += [{key: value} for value in odd] + [{key: [value]} for value in odd]
    for value in odd:
        name = rng.choice(list(X))
        row = good[0] | {name: value}
        bodies += [{"data": [good[1], row]}, {"input": [row]}, {"input": json.dumps([row])}, {"data": [good[0], value]}]
        bodies += [{"columns": value, "data": [[1]]}, {"columns": list(X), "data": value}]
        bodies += [{"columns": [*list(X)[1:], value], "data": [[1] * 8]}, {"columns": list(X), "data": [[value] * 8]}]
        bodies += [{"columns": list(X), "data": [], "index": value}, {"data": good, "input": value}]
    texts = [json.dumps(body).encode() for body in bodies]
    texts += [text[: rng.randrange(len(text))] for text in texts]
    for text in rng.sample(texts, 300):
        spot = rng.randrange(len(text) + 1)
        texts.append(
            text[:spot] + rng.choice([b'"', b"[", b"}", b"\xff", b",", b"9", b"\x00", b"1e999"]) + text[spot + 1 :]
        )
    digits, deep = b"9" * 5000, b"[" * 100_000
    texts += [
        b'{"data": [' + digits + b"]}",
        digits,
        deep,
        b'{"data": ' + deep,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
    ]
    texts += [b'{"input": "' + deep + b'"}', b'{"data": [], "data": []}', b'{"data": [{"Age": 1, "Age": 2}]}']
    texts += [b'{"data": ' + b"[" * n + b"]" * n + b"}" for n in (500, 900, 950, 980, 990, 995, 1000)]
    return texts


def test_no_body_makes_it_fail(pima_scorer: Predictor, survey_scorer: Predictor, X: pd.DataFrame, ask: Ask) -> None:
    bodies = odd_bodies(X)
    assert len(bodies) > 1000
    for body in bodies:
        for scorer in (pima_scorer, survey_scorer):
            status, reply = ask(scorer, body)
            assert status in (200, 400), (body[:200], reply)
            if status == 400:
                assert reply["detail"]
                assert reply["problems"][0].keys() == {"row", "column", "problem", "expected"}
