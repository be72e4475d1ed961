"""The package: its contents, and what is refused."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from orchestrator.artifacts import Package, Split, Trained
from orchestrator.caching.cache import cache_policy
from orchestrator.errors import PackageError
from orchestrator.modeling.row_digests import rows_digest
from orchestrator.stages import package as stage
from orchestrator.stages.package import verify
from score.api import docs
from score.contract import golden, training_info
from score.contract.schema import Contract, fingerprint_of
from score.models.base import PickledModel
from score.models.onnx import Compilation
from score.payload.reader import Reader
from score.predict.predictor import Predictor
from tests.nightly import at_night

from .conftest import EVALUATION, FOREST, TABULAR, Kit

Copy = Callable[[Package], Package]


def golden_requests(package: Package) -> dict[str, golden.Golden]:
    return {request.name: request for request in golden.read(package.path)}


# --- contents


def test_the_folder_holds_what_a_server_needs_and_nothing_else(toy_package: Package) -> None:
    there = {path.relative_to(toy_package.path).as_posix() for path in toy_package.path.rglob("*") if path.is_file()}
    wanted = {"model.pkl", "conda.yaml", "requirements.txt", "Dockerfile"}
    wanted |= {"contract.json", "golden.json", "profile.json", "compiled.json", "model.onnx"}
    wanted |= {"explanation.json", "explanation.npz"}
    assert {name for name in there if "/" not in name} == wanted
    ships = {f"score/{path.relative_to(stage.SHIPS).as_posix()}" for path in stage.SHIPS.rglob("*.py")}
    ships |= {f"score/api/page/{name}" for name in ("page.html", "page.css", "page.js", "explanation.js")}
    ships |= {f"score/{docs.FOLDER}/{name}" for name in (*docs.FILES, "LICENSE")}
    assert {name for name in there if "/" in name} == ships | {"about/training.json", "about/roc_curve.png"}
    assert toy_package.path.name == toy_package.fingerprint[:16]
    assert toy_package.fingerprint == fingerprint_of(toy_package.path)
    assert toy_package.is_intact()
    assert toy_package.path.stat().st_mode & 0o055 == 0o055  # another user's server may read it


def test_the_dockerfile_takes_all_that_the_server_reads(kit: Kit, numbers: pd.DataFrame, tmp_path: Path) -> None:
    package = kit.package(*kit.train(numbers, kit.search()), compile="required")
    assert Compilation.read(package.path).forest
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (package.path / "Dockerfile").read_text(), re.MULTILINE)
    for path in {path for line in lines for pattern in line.split() for path in package.path.glob(pattern)}:
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    assert verify(replace(package, path=tmp_path)).requests == 5


def test_the_package_describes_its_training(toy_package: Package, toy: tuple[Split, Trained]) -> None:
    parts, trained = toy
    folds = trained.folds
    assert folds is not None
    scores = [float(f"{score:.6g}") for score in folds.scores["accuracy"]]
    assert training_info.read(toy_package.path) == {
        "estimator": "RandomForestClassifier",
        "params": {"max_depth": str(trained.best.params["max_depth"])},
        "metrics": {"accuracy": 0.912346},  # no NaN, and no digit that another machine may not have
        "training_rows": len(parts.y_train),
        "held_out_rows": len(parts.y_test),
        "data": parts.digest,
        "target": "y",
        "split": {
            "strategy": "random",
            "by": None,
            "held_out_rows": 20,
            "weight": None,
            "line": parts.summary and parts.summary.line,
        },
        "fit_on": "training",
        "decision": None,
        "intervals": {},
        "held_out": rows_digest(parts.X_test, parts.y_test),
        "folds": {"digest": folds.digest, "test_share": 1.0, "scores": {"accuracy": scores}},
        "target_profile": {
            "column": "y",
            "shares": [0.0, *(float((parts.y_train == code).mean()) for code in (0, 1)), 0.0],
            "edges": None,
            "values": [0, 1],
        },
    }
    assert {
        name: path.read_bytes() for name, path in training_info.figures(toy_package.path).items()
    } == EVALUATION.figures


def test_another_version_of_a_pinned_library_invalidates_the_package(toy_package: Package) -> None:
    how = cache_policy(stage.package)
    assert how is not None
    pinned = {line.partition("==")[0] for line in (toy_package.path / "requirements.txt").read_text().splitlines()}
    assert {name.replace("_", "-") for name in pinned} <= set(how.versions)


def test_pins_are_exactly_what_the_pickle_and_the_entry_script_need(toy_package: Package) -> None:
    lines = (toy_package.path / "requirements.txt").read_text().splitlines()
    needed = ["anyio", "httptools", "joblib", "msgspec", "numpy", "onnxruntime", "orjson"]
    needed += ["pandas", "prometheus_client", "scikit-learn", "starlette", "uvicorn", "uvloop"]
    assert lines == [f"{name}=={importlib.metadata.version(name)}" for name in needed]
    environment = yaml.safe_load((toy_package.path / "conda.yaml").read_text())
    assert environment["name"] == "toy_model"
    python = ".".join(map(str, sys.version_info[:3]))
    assert environment["dependencies"] == [f"python={python}", "pip", {"pip": lines}]


@pytest.mark.parametrize(
    ("name", "params", "reason"),
    [
        ("lightgbm.LGBMClassifier", {"verbose": -1}, ""),
        at_night("xgboost.XGBClassifier", {"booster": "gblinear"}, "no converter for booster=gblinear of XGBoost"),
    ],
)
def test_an_estimator_of_another_library_is_pinned_verified_and_served(
    kit: Kit, numbers: pd.DataFrame, name: str, params: dict[str, Any], reason: str
) -> None:
    library = name.partition(".")[0]
    pytest.importorskip(library)
    package = kit.package(*kit.train(numbers, kit.search(name, params={"n_estimators": 2, **params})))
    pins = (package.path / "requirements.txt").read_text().splitlines()
    distributions = importlib.metadata.packages_distributions()[library]  # of xgboost it may be xgboost-cpu
    assert {f"{each}=={importlib.metadata.version(each)}" for each in distributions} <= {*pins}
    assert verify(package).requests == 5
    assert Compilation.read(package.path).reason == reason
    assert any(pin.startswith("onnxruntime==") for pin in pins) == (not reason)
    assert (package.path / "model.onnx").exists() == (not reason)


def test_compilation_may_be_disabled_or_required(kit: Kit, numbers: pd.DataFrame) -> None:
    fitted = kit.train(numbers, kit.search())
    package = kit.package(*fitted, compile="never")
    assert Compilation.read(package.path).reason == "package.compile is never"
    assert "onnxruntime" not in (package.path / "requirements.txt").read_text()
    assert "onnxruntime" not in Contract.from_json((package.path / "contract.json").read_bytes()).versions
    assert verify(package).requests == 5
    assert Compilation.read(kit.package(*fitted, compile="required").path).used
    unsupported = kit.train(numbers, kit.search("sklearn.semi_supervised.LabelPropagation"))
    with pytest.raises(
        PackageError, match=r"^package\.compile: is 'required', and the pickle must serve .*: no converter for"
    ):
        kit.package(*unsupported, compile="required")


def test_the_contract_describes_the_training_rows(toy_package: Package) -> None:
    contract = Contract.from_json((toy_package.path / "contract.json").read_bytes())
    assert [column.name for column in contract.columns] == ["a", "b"]
    assert (contract.model_name, contract.task, list(contract.classes or ())) == ("toy_model", "classification", [0, 1])
    assert contract.versions["scikit-learn"] == importlib.metadata.version("scikit-learn")
    assert contract.fingerprint == toy_package.fingerprint


def test_golden_requests_hold_the_training_processs_answers(toy: tuple[Split, Trained], toy_package: Package) -> None:
    parts, trained = toy
    requests = golden_requests(toy_package)
    assert list(requests) == ["the article's form", "records", "split", "a column is missing", "no JSON"]
    reply = requests["records"].reply
    probabilities = trained.pipeline.predict_proba(parts.X_test.head(3))
    np.testing.assert_array_equal(reply["probabilities"], probabilities)
    assert reply["predictions"] == trained.pipeline.predict(parts.X_test.head(3)).tolist()
    assert json.loads(requests["the article's form"].reply) == {"proba": probabilities[:1, -1].tolist()}
    assert requests["split"].reply == reply
    assert [requests[name].status for name in ("a column is missing", "no JSON")] == [400, 400]


def test_a_table_of_every_kind_of_column_with_missing_values_is_packaged_and_verified(
    kit: Kit, mixed: pd.DataFrame
) -> None:
    package = kit.package(*kit.train(mixed, kit.search(preprocess=TABULAR)), golden_rows=15)
    rows = json.loads(golden_requests(package)["records"].body)["data"]
    assert len(rows) == 15
    assert {type(row["flag"]) for row in rows} == {bool}
    assert any(row["a"] is None for row in rows)
    assert any(row["city"] is None for row in rows)
    assert verify(package).requests == 5


def test_golden_rows_are_hold_out_rows_that_an_endpoint_accepts(kit: Kit, mixed: pd.DataFrame) -> None:
    parts, trained = kit.train(mixed, kit.search(preprocess=TABULAR))
    strange = parts.X_test.assign(b=np.inf)
    some = strange.copy()
    some.iloc[[4, 7]] = parts.X_test.iloc[[4, 7]]
    package = kit.package(replace(parts, X_test=some.astype(parts.X_test.dtypes)), trained, max_refused=1.0)
    assert [row["b"] for row in json.loads(golden_requests(package)["records"].body)["data"]] == some["b"].iloc[
        [4, 7]
    ].tolist()
    with pytest.raises(PackageError, match=r"package\.golden_rows: .*refuses 20 of 20 hold-out rows .*\"b\", 20 rows"):
        kit.package(replace(parts, X_test=strange), trained, max_refused=1.0)


# --- which rows its endpoint takes


ENCODERS: dict[str, dict[str, Any]] = {
    "one-hot": {"_target_": "sklearn.preprocessing.OneHotEncoder", "handle_unknown": "ignore", "sparse_output": False},
    "infrequent": {
        "_target_": "sklearn.preprocessing.OneHotEncoder",
        "handle_unknown": "infrequent_if_exist",
        "min_frequency": 3,
        "sparse_output": False,
    },
    "ordinal": {
        "_target_": "sklearn.preprocessing.OrdinalEncoder",
        "handle_unknown": "use_encoded_value",
        "unknown_value": -1,
    },
    "one-hot that fails": {"_target_": "sklearn.preprocessing.OneHotEncoder", "sparse_output": False},
    "ordinal that fails": {"_target_": "sklearn.preprocessing.OrdinalEncoder"},
}


def encoded(encoder: str) -> dict[str, Any]:
    branches: dict[str, Any] = TABULAR["branches"]
    numeric, steps = branches["numeric"], branches["categorical"]["steps"] | {"encode": ENCODERS[encoder]}
    return {"branches": {"numeric": numeric, "categorical": {"columns": "categorical", "steps": steps}}}


def bare_one_hot() -> dict[str, Any]:
    """Return a preprocessing that fails on missing and on unseen levels."""
    preprocess = encoded("one-hot that fails")
    del preprocess["branches"]["categorical"]["steps"]["impute"]
    return preprocess


@pytest.mark.parametrize("encoder", [name if name == "one-hot" else at_night(name) for name in ENCODERS])
@pytest.mark.parametrize("unseen", ["auto", at_night("refuse"), at_night("accept")])
def test_an_unseen_level_is_scored_where_the_pipeline_predicts_it(
    kit: Kit, mixed: pd.DataFrame, encoder: str, unseen: str
) -> None:
    parts, trained = kit.train(mixed, kit.search(preprocess=encoded(encoder)))
    fails = "fails" in encoder
    if fails and unseen == "accept":
        with pytest.raises(PackageError, match=r"package\.unseen: is 'accept', and the pipeline fails .* of 'city' \("):
            kit.package(parts, trained, unseen=unseen)
        return
    made = kit.package(parts, trained, unseen=unseen)
    scorer = Predictor.load(made.path)
    (city,) = (column for column in scorer.contract.columns if column.name == "city")
    row = json.loads(golden_requests(made)["records"].body)["data"][0] | {"city": "Bonn"}
    answer = scorer.answer(json.dumps({"data": [row]}))
    taken = not fails and unseen != "refuse"
    assert answer.status == (200 if taken else 400)
    assert city.unseen == ("accept" if taken else "refuse")
    assert "unseen levels are " + ("scored" if taken else "refused") in city.decided
    if taken:
        assert answer.headers["X-Unseen-Values"] == "city"
        frame = parts.X_test.iloc[[0]].assign(city="Bonn", **{k: [v] for k, v in row.items() if k != "city"})
        frame = frame.astype({name: dtype for name, dtype in parts.X_test.dtypes.items() if name != "city"})
        right = trained.pipeline.predict_proba(frame)
        np.testing.assert_allclose(json.loads(answer.body)["probabilities"], right, rtol=0, atol=1e-9)
    assert verify(made).requests == 5


@pytest.mark.parametrize("model", ["required", at_night("never")])
def test_an_unseen_level_is_scored_as_a_missing_cell_where_that_is_the_rule(
    kit: Kit, mixed: pd.DataFrame, model: str
) -> None:
    table = mixed.assign(town=[f"town {i % 30}" for i in range(len(mixed))])
    parts, trained = kit.train(table, kit.search(preprocess=TABULAR))
    made = kit.package(
        parts,
        trained,
        compile=model,
        golden_rows=20,
        unseen="refuse",
        unseen_columns={"town": "missing"},
        max_refused=1.0,
    )
    scorer = Predictor.load(made.path)
    assert scorer.compiled == (model == "required")
    columns = {column.name: column for column in scorer.contract.columns}
    town = columns["town"]
    assert (town.unseen, columns["city"].unseen) == ("missing", "refuse")
    assert town.held_out  # the answers to these are golden, too
    row = json.loads(golden_requests(made)["records"].body)["data"][0]
    frame = parts.X_test.iloc[[0]].assign(**{name: [value] for name, value in row.items() if name != "town"})
    frame = frame.assign(town=np.nan).astype(parts.X_test.dtypes.to_dict())
    right = trained.pipeline.predict_proba(frame)
    for value in ("nowhere", town.held_out[0]):
        answer = scorer.answer(json.dumps({"data": [row | {"town": value}]}))
        assert answer.headers["X-Unseen-Values"] == "town"
        np.testing.assert_allclose(json.loads(answer.body)["probabilities"], right, rtol=0, atol=1e-9)
    assert "X-Unseen-Values" not in scorer.answer(json.dumps({"data": [row | {"town": town.learned[0]}]})).headers
    assert scorer.answer(json.dumps({"data": [row | {"city": "nowhere"}]})).status == 400
    assert verify(made).requests == 5


def test_a_rule_for_unseen_levels_that_cannot_be_kept_is_an_error(kit: Kit, mixed: pd.DataFrame) -> None:
    parts, trained = kit.train(mixed.assign(city=mixed["city"].fillna("Rome")), kit.search(preprocess=bare_one_hot()))
    for rules, message in (
        ({"unseen": "missing"}, r"package\.unseen: is 'missing', .* a missing value of 'city' \(.*imputer"),
        ({"unseen_columns": {"city": "missing"}}, r"package\.unseen_columns\.city: is 'missing'"),
        ({"unseen_columns": {"a": "missing"}}, r"package\.unseen_columns\.a: .* of kind number"),
        ({"unseen_columns": {"town": "accept"}}, r"package\.unseen_columns\.town: there is no such column"),
    ):
        with pytest.raises(PackageError, match=message):
            kit.package(parts, trained, **rules)


def test_free_text_with_a_rule_of_its_own_is_a_category(kit: Kit, numbers: pd.DataFrame) -> None:
    parts, trained = kit.train(numbers.assign(shop=[f"s{i}" for i in range(80)]), kit.search(preprocess=TABULAR))
    for rules, kind in (({"unseen": "missing"}, "string"), ({"unseen_columns": {"shop": "missing"}}, "category")):
        made = kit.package(parts, trained, compile="never", **rules)
        assert Predictor.load(made.path).contract.columns[-1].kind == kind


@pytest.mark.parametrize("ids", [at_night(80), at_night(99), 100, 101])
def test_a_table_of_identifiers_takes_new_ones(kit: Kit, ids: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, ids)
    table = pd.DataFrame({"shop": [f"s{i}" for i in range(ids)], "sales": y + rng.normal(0, 0.4, ids), "y": y})
    made = kit.package(*kit.train(table, kit.search(preprocess=TABULAR)))
    assert (made.refusals and made.refusals.refused) == 0
    scorer = Predictor.load(made.path)
    assert [column.kind for column in scorer.contract.columns] == ["string", "number"]
    assert scorer.answer('{"data": [{"shop": "a new one", "sales": 0.5}]}').status == 200


def test_above_max_refused_there_is_no_package_and_the_error_lists_columns_and_reasons(
    kit: Kit, mixed: pd.DataFrame
) -> None:
    table = mixed.assign(town=[f"town {i % 30}" for i in range(len(mixed))])
    parts, trained = kit.train(table, kit.search(preprocess=TABULAR))
    new = set(parts.X_test["town"]) - set(parts.X_train["town"])
    rows = int(parts.X_test["town"].isin(new).sum())
    assert 0 < rows < 20
    message = (
        rf'package\.max_refused: .* {rows} of 20 hold-out rows .*column "town", {rows} rows: "town \d+" is no category'
    )
    with pytest.raises(
        PackageError, match=rf"{message}.*nothing is registered; .*package\.unseen=auto.*data\.drop=\[town\]"
    ) as caught:
        kit.package(parts, trained, unseen="refuse")
    assert "\n" not in str(caught.value)
    assert caught.value.refusals.refused == rows
    assert not (kit.folder / "state").exists()
    made = kit.package(parts, trained, unseen="refuse", max_refused=rows / 20)
    assert made.refusals is not None
    assert made.refusals.reasons == {"town": {"is no category that training saw": rows}}
    (town,) = (column for column in Predictor.load(made.path).contract.columns if column.name == "town")
    assert new == set(town.held_out) <= set(town.categories or ())  # the contract is made of all rows
    made = kit.package(parts, trained)
    assert (made.refusals and made.refusals.share) == 0


def test_text_that_the_pipeline_fails_on_is_a_category_however_many_levels_it_has(
    kit: Kit, mixed: pd.DataFrame
) -> None:
    table = mixed.assign(town=[f"town {i // 2}" for i in range(len(mixed))])
    preprocess = encoded("one-hot that fails")
    preprocess["branches"]["categorical"]["steps"]["encode"] |= {
        "categories": [["Oslo", "Rome"], [False, True], sorted(set(table["town"]))]
    }
    parts, trained = kit.train(table, kit.search(preprocess=preprocess))
    made = kit.package(parts, trained, max_refused=1.0, category_share=0.1)
    town = Predictor.load(made.path).contract.columns[-1]
    assert (town.kind, town.unseen) == ("category", "refuse")
    assert made.refusals is not None
    assert made.refusals.refused > 0


@pytest.mark.parametrize("others", [[], at_night(["a"]), ["a", "b", "whole"]])
@pytest.mark.parametrize("columns", ["categorical", at_night(["flag", "member"])])
def test_a_branch_of_booleans_alone_is_imputed_and_encoded(
    kit: Kit, mixed: pd.DataFrame, others: list[str], columns: Any
) -> None:
    table = mixed[[*others, "flag"]].assign(member=mixed["b"] > 0, y=mixed["y"])
    branches: dict[str, Any] = {"numeric": TABULAR["branches"]["numeric"]} if others else {}
    branches["categorical"] = {**TABULAR["branches"]["categorical"], "columns": columns}
    parts, trained = kit.train(table, kit.search(preprocess={"branches": branches}))
    made = kit.package(parts, trained, compile="required")
    assert [column.kind for column in Predictor.load(made.path).contract.columns[-2:]] == ["boolean", "boolean"]
    assert verify(made).requests == 5


class InAColumn(LogisticRegression):  # type: ignore[misc]  # untyped base
    """Predicts a column (n_rows, 1) of labels, as catboost does of three classes."""

    def predict(self, X: Any) -> Any:
        return super().predict(X).reshape(-1, 1)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_an_estimator_whose_predictions_are_a_column_is_served_as_others(numbers: pd.DataFrame, classes: int) -> None:
    X, y = numbers[["a", "b"]], pd.qcut(numbers["a"], classes, labels=False)
    contract = Contract.describe(X, model_name="m", task="classification", classes=[f"c{i}" for i in range(classes)])
    reader = Reader(contract)
    expected, actual = (
        Predictor(contract, PickledModel(kind().fit(X, y), reader), reader) for kind in (LogisticRegression, InAColumn)
    )
    body = json.dumps({"data": X.to_dict("records")})
    assert actual.answer(body) == expected.answer(body)
    assert actual.answer(body).status == 200


def test_labels_and_regressions_are_answered_as_in_the_data(kit: Kit, numbers: pd.DataFrame) -> None:
    named = numbers.assign(y=numbers["y"].map({0: "healthy", 1: "ill"}))
    package = kit.package(*kit.train(named, kit.search("sklearn.svm.SVC")))
    reply = golden_requests(package)["records"].reply
    assert set(reply["predictions"]) <= {"healthy", "ill"}
    assert "probabilities" not in reply
    assert json.loads(golden_requests(package)["the article's form"].reply)["prediction"] == reply["predictions"][:1]
    assert verify(package).requests == 5
    search = kit.search("sklearn.linear_model.Ridge", scoring=["r2"], refit="r2")
    package = kit.package(*kit.train(numbers.assign(y=numbers["a"] * 2.5), search))
    assert set(golden_requests(package)["records"].reply) == {"predictions"}
    assert verify(package).requests == 5


@pytest.mark.parametrize(
    ("labels", "positive"), [(["low", "high"], "low"), (["né", "yes", "1"], None), at_night(["007", "7", "07"], None)]
)
@pytest.mark.parametrize("estimator", [FOREST, at_night("sklearn.linear_model.LogisticRegression")])
def test_a_compiled_model_answers_text_labels(
    kit: Kit, mixed: pd.DataFrame, estimator: str, labels: list[str], positive: str | None
) -> None:
    ranks = mixed["b"].rank(method="first", pct=True)
    table = mixed.assign(y=[labels[min(int(rank * len(labels)), len(labels) - 1)] for rank in ranks])
    table["y"] = table["y"].astype(object)
    parts, trained = kit.train(table, kit.search(estimator, preprocess=TABULAR), format="parquet", positive=positive)
    made = kit.package(parts, trained, compile="required")
    assert verify(made).requests == 5
    scorer = Predictor.load(made.path)
    assert scorer.compiled
    assert set(scorer.contract.classes or ()) == set(labels)
    if positive:
        assert (scorer.contract.classes or ())[-1] == positive
    for frame in (parts.X_train, parts.X_test):
        answer = json.loads(scorer.answer(f'{{"data": {frame.to_json(orient="records", double_precision=15)}}}')[1])
        codes = trained.pipeline.predict(frame)
        assert answer["predictions"] == [(scorer.contract.classes or ())[code] for code in codes]
        np.testing.assert_allclose(answer["probabilities"], trained.pipeline.predict_proba(frame), rtol=0, atol=1e-6)


def test_equal_contents_share_a_folder_that_stays_if_it_is_whole(kit: Kit, toy: tuple[Split, Trained]) -> None:
    first = kit.package(*toy)
    inode = first.path.stat().st_ino
    assert kit.package(*toy) == first
    assert first.path.stat().st_ino == inode  # a service may be running from it
    (first.path / "model.pkl").write_bytes(b"")
    assert not first.is_intact()
    assert kit.package(*toy) == first
    assert first.is_intact()
    assert first.path.stat().st_ino != inode
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_another_name_or_another_fit_is_another_package(kit: Kit, toy: tuple[Split, Trained]) -> None:
    prints = {kit.package(*toy).fingerprint, kit.package(*toy, model_name="other").fingerprint}
    assert len(prints | {kit.package(*toy, extra_columns="ignore").fingerprint}) == 3


# --- what is refused


def with_function(toy: tuple[Split, Trained], function: Callable[..., Any]) -> tuple[Split, Trained]:
    parts, trained = toy
    model = clone(trained.pipeline.named_steps["model"])
    pipeline = make_pipeline(FunctionTransformer(function), model).fit(parts.X_train, parts.y_train)
    return parts, replace(trained, pipeline=pipeline)


def test_a_function_of_main_is_refused_by_name(
    kit: Kit, toy: tuple[Split, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubled(frame: pd.DataFrame) -> pd.DataFrame:
        return frame * 2

    doubled.__module__, doubled.__qualname__ = "__main__", "doubled"
    monkeypatch.setattr(sys.modules["__main__"], "doubled", doubled, raising=False)
    with pytest.raises(PackageError, match=r"model\.pkl needs __main__\.doubled, which does not ship with the package"):
        kit.package(*with_function(toy, doubled))
    assert list((kit.folder / "state" / "packages").iterdir()) == []


def test_a_function_of_a_local_module_is_refused_by_name(
    kit: Kit, toy: tuple[Split, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    (kit.folder / "acme_local.py").write_text("def halved(frame):\n    return frame / 2\n")
    monkeypatch.syspath_prepend(kit.folder)
    import acme_local  # type: ignore[import-not-found]

    monkeypatch.delitem(sys.modules, "acme_local")
    monkeypatch.setitem(sys.modules, "acme_local", acme_local)
    with pytest.raises(
        PackageError, match=r"needs acme_local\.halved, .*acme_local.py lies outside of the project .* or install"
    ):
        kit.package(*with_function(toy, acme_local.halved))


def test_a_lambda_is_refused(kit: Kit, toy: tuple[Split, Trained]) -> None:
    with pytest.raises(
        PackageError, match=r"the fitted pipeline cannot be pickled: .*lambda.*; use functions and classes at"
    ):
        kit.package(*with_function(toy, lambda frame: frame))


def test_a_column_without_json_is_refused(kit: Kit, toy: tuple[Split, Trained]) -> None:
    parts, trained = toy
    spans, later = (X.assign(when=pd.Timedelta("1D")) for X in (parts.X_train, parts.X_test))
    with pytest.raises(PackageError, match=r"data: column 'when' is timedelta64.*make it numbers, booleans or text"):
        kit.package(replace(parts, X_train=spans, X_test=later), trained)
