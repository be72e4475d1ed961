"""The entry script as servers drive it: init, run, where the model is found, the name ``score``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import pandas as pd
import pytest

from score import memory_tuning
from score import score as entry
from score.score import BadRequest, InitError
from tests.nightly import at_night

Load = Callable[[Path], ModuleType]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZUREML_MODEL_DIR", raising=False)
    monkeypatch.setattr(entry, "_predictor", None)


def test_loaded_by_path_it_answers_the_articles_client(pima: Path, entry_module: Load, X: pd.DataFrame) -> None:
    module = entry_module(pima)
    module.init()
    reply = module.run(json.dumps({"input": X.head(1).to_json(orient="records")}))
    expected = joblib.load(pima / "model.pkl").predict_proba(X.head(1))[0, 1]
    assert isinstance(reply, str)  # the server encodes it once more
    assert json.loads(reply) == {"proba": [expected]}


SERVER = """
import importlib.util, json, sys
before = list(sys.path)
spec = importlib.util.spec_from_file_location(*sys.argv[1:3])
module = importlib.util.module_from_spec(spec)
if sys.argv[1] == "score":
    sys.modules["score"] = module
spec.loader.exec_module(module)
module.init()
print(json.dumps([module.run('{"input": "[]"}'), sys.modules["score.contract.schema"].__file__, sys.path == before]))
"""


@pytest.mark.parametrize("name", ["entry_module", at_night("score")])
@pytest.mark.parametrize(
    "first_on_path", ["foreign package", *map(at_night, ("nothing", "package", "score folder", "foreign module"))]
)
def test_its_own_folder_is_found_whatever_comes_first_on_the_path(
    pima: Path, tmp_path: Path, name: str, first_on_path: str
) -> None:
    (tmp_path / "module").mkdir()
    (tmp_path / "module/score.py").write_text("raise SystemExit('foreign code ran')")
    (tmp_path / "other/score").mkdir(parents=True)
    (tmp_path / "other/score/__init__.py").write_text("raise SystemExit('foreign code ran')")
    path = {
        "nothing": "",
        "package": str(pima),
        "score folder": str(pima / "score"),
        "foreign module": str(tmp_path / "module"),
        "foreign package": str(tmp_path / "other"),
    }[first_on_path]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SERVER, name, str(pima / "score/score.py")],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reply, contract, path_untouched = json.loads(done.stdout)
    assert reply == '{"proba": []}'
    assert Path(contract) == pima / "score/contract/schema.py"
    assert path_untouched == (name == "score" or first_on_path == "package")


def test_importing_it_loads_no_library_of_the_model() -> None:
    code = "import sys, score.score; print([m for m in ('pandas', 'sklearn', 'mlflow', 'orchestrator') if m in sys.modules])"
    root = Path(entry.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_imported_foreign_score_gives_way(pima: Path, entry_module: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "score"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "score", types.ModuleType("score"))
    module = entry_module(pima)
    module.init()
    assert sys.path[0] == str(pima)


def test_run_takes_text_bytes_and_a_parsed_object(pima: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(pima))
    entry.init()
    body: dict[str, Any] = {"data": []}
    assert entry.run(json.dumps(body)) == entry.run(json.dumps(body).encode()) == entry.run(body)


def test_collections_look_at_what_is_loaded_no_more_and_come_seldom() -> None:
    code = "import gc, json; from score import memory_tuning; memory_tuning.freeze_gc(); print(gc.get_threshold()[0], gc.get_freeze_count())"
    reported = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(entry.__file__).parents[1], capture_output=True, text=True, check=True
    ).stdout
    objects, frozen = map(int, reported.split())
    assert objects == 50_000
    assert frozen > 5_000


def test_run_raises_what_is_wrong_with_a_request(pima: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(pima))
    entry.init()
    with pytest.raises(BadRequest, match=r"^row 0: the row is 1; expected an object") as caught:
        entry.run('{"data": [1]}')
    assert caught.value.status == 400
    assert caught.value.problems[0].row == 0


def test_under_azure_mls_server_what_is_no_plain_200_is_its_response(
    pima: Path, X: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AMLResponse:
        def __init__(self, message: str, status_code: int, response_headers: dict[str, str]) -> None:
            self.reported = (json.loads(message), status_code, response_headers)

    frozen: list[bool] = []
    monkeypatch.setattr(memory_tuning, "freeze_gc", lambda: frozen.append(True))  # the whole process
    server = "azureml_inference_server_http"
    for name in (server, f"{server}.api", f"{server}.api.aml_response"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[f"{server}.api.aml_response"].AMLResponse = AMLResponse  # type: ignore[attr-defined]  # the fake
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(pima))
    entry.init()
    assert frozen
    document, status, headers = entry.run("{").reported
    assert (document["status"], status, headers) == (400, 400, {"Content-Type": "application/problem+json"})
    row = X.head(1).to_dict(orient="records")[0]
    usual = entry.run({"data": [row]})
    assert usual["predictions"] == [1]
    payload, status, headers = entry.run({"data": [row | {"Age": 200}]}).reported
    assert payload.keys() == usual.keys()
    assert (status, headers) == (200, {"Content-Type": "application/json", "X-Out-Of-Range": "Age"})


def test_the_model_may_lie_one_folder_below(pima: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(pima, tmp_path / "package")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    entry.init()
    assert entry.run({"input": []}) == '{"proba": []}'


@pytest.mark.parametrize("below", ["ours", "azureml-models/ours/3", "azureml-models/ours/3/a/b/c"])
def test_the_one_package_among_other_models_is_found_at_any_depth(
    pima: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    shutil.copytree(pima, tmp_path / below)
    for other in ("others/1", "azureml-models/another/2"):
        (tmp_path / other).mkdir(parents=True)
        (tmp_path / other / "model.pkl").write_bytes(b"another project's")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    entry.init()
    assert entry.run({"input": []}) == '{"proba": []}'


def test_of_several_packages_the_entry_script_serves_its_own(
    pima: Path, line: Path, tmp_path: Path, entry_module: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, package in (("one", line), ("two", pima)):
        shutil.copytree(package, tmp_path / "models" / name / "1")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "models"))
    module = entry_module(pima)
    module.init()
    assert module.loaded().contract.task == "classification"


def test_two_models_are_refused(pima: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(pima, tmp_path / "one")
    shutil.copytree(pima, tmp_path / "two")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    with pytest.raises(InitError, match=r"should hold one package: model.pkl in one, two; there: one, two$"):
        entry.init()


@pytest.mark.parametrize(("made", "there"), [([], "nothing"), (["a.txt", "b.txt"], "a.txt, b.txt"), (None, "no such")])
def test_no_model_is_refused(
    made: list[str] | None, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in made or []:
        (tmp_path / name).touch()
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "gone" if made is None else tmp_path))
    with pytest.raises(InitError, match=f"AZUREML_MODEL_DIR .* no model.pkl; there: {there}"):
        entry.init()


def test_without_the_variable_the_package_is_the_folder_above(tmp_path: Path, entry_module: Load, pima: Path) -> None:
    shutil.copytree(pima / "score", tmp_path / "score")
    with pytest.raises(RuntimeError, match=r"the folder above score.py .* no model.pkl; there: score$"):
        entry_module(tmp_path).init()


def test_run_before_init_says_so() -> None:
    with pytest.raises(InitError, match=r"call init\(\) first"):
        entry.run("{}")
