"""Packages of real fitted pipelines, and ways to load and ask them."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from orchestrator.packaging import swagger_ui
from score.api import v2
from score.contract.schema import Contract
from score.payload.errors import BadRequest
from score.predict.predictor import Predictor, ScoringError
from score.predict.response import HttpReply
from score.transforms import ToFloat, ZerosToMissing

ROOT = Path(__file__).resolve().parents[2]
ZEROS = ["Glucose", "BloodPressure", "SkinThickness", "Insulin", "BMI"]
VERSIONS = {name: version(name) for name in ("scikit-learn", "numpy", "pandas")}
MakePackage = Callable[..., Path]
Request = Callable[..., tuple[int, dict[str, str], bytes]]
Serve = Callable[..., AbstractContextManager[tuple[Request, subprocess.Popen[bytes]]]]
LOG = "server.log"  # in the package that is served
STUB = """
import os
from pathlib import Path

from types import SimpleNamespace

from score.contract.schema import Contract
from score.predict.response import HttpReply

def init():
    assert Path(os.environ["AZUREML_MODEL_DIR"], "contract.json").exists()

def loaded():
    return Stub()

class Stub:
    contract = Contract("stub", "regression", ())
    probable = compiled = False
    explanation = SimpleNamespace(method="none")
    model = SimpleNamespace(batchable=False)

    def parse(self, body):
        return SimpleNamespace(columns={"body": [body]}, labels=True)

    def predict(self, columns, *, labels):
        return columns["body"][0]

    def respond_http(self, request, body):
        if body == b"bad":
            return HttpReply(400, b'{"error": "bad"}', {"Content-Type": "application/problem+json"})
        if body == b"bug":
            raise RuntimeError("a bug")
        if body == b"wait":
            Path("begun").touch()
            os.open("gate", os.O_RDONLY)
        return HttpReply(200, b'{"bytes": %d}' % len(body), {"Content-Type": "application/json"})
"""


@pytest.fixture(scope="session")
def mixed() -> pd.DataFrame:
    rng, n = np.random.default_rng(0), 300
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.normal(3e4, 1e4, n)),
            "member": rng.random(n) < 0.5,
            "city": rng.choice(["Oslo", "Rome", "Kyiv"], n),
            "grade": pd.Categorical(rng.choice(["low", "high"], n), ["low", "high"], ordered=True),
            "level": pd.Categorical(rng.choice([1, 2, 3], n)),
            "note": [f"note {i}" for i in range(n)],
        }
    )
    frame.loc[::7, "city"] = None
    return frame


@pytest.fixture(scope="session")
def make_package(tmp_path_factory: pytest.TempPathFactory) -> MakePackage:
    def make(pipeline: Any, X: pd.DataFrame, **known: Any) -> Path:
        folder: Path = tmp_path_factory.mktemp("package")
        shutil.copytree(ROOT / "score", folder / "score", ignore=shutil.ignore_patterns("__pycache__"))
        swagger_ui.copy_assets(folder / "score")
        joblib.dump(pipeline, folder / "model.pkl")
        known = {"model_name": "m", "task": "classification", "classes": [0, 1], "versions": VERSIONS} | known
        Contract.describe(X, **known).write(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def pima(make_package: MakePackage, diabetes: pd.DataFrame, X: pd.DataFrame) -> Path:
    forest = RandomForestClassifier(20, max_depth=7, random_state=0)
    pipeline = make_pipeline(ToFloat(), ZerosToMissing(ZEROS), SimpleImputer(), forest)
    return make_package(pipeline.fit(X, diabetes["Outcome"]), X)


@pytest.fixture(scope="session")
def survey(make_package: MakePackage, mixed: pd.DataFrame) -> Path:
    columns = make_column_transformer(
        (OneHotEncoder(), ["city", "grade", "level"]),
        (SimpleImputer(), ["age", "income", "member"]),
        sparse_threshold=0,
    )
    codes = (mixed["age"] + 10 * mixed["member"]) // 40
    pipeline = make_pipeline(columns, RandomForestClassifier(10, random_state=0)).fit(mixed, codes)
    return make_package(pipeline, mixed, classes=["young", "middle", "old"])


@pytest.fixture(scope="session")
def line(make_package: MakePackage, X: pd.DataFrame) -> Path:
    return make_package(LinearRegression().fit(X, X["Age"] * 2.5), X, task="regression", classes=None)


@pytest.fixture(scope="session")
def pima_scorer(pima: Path) -> Predictor:
    return Predictor.load(pima)


@pytest.fixture(scope="session")
def survey_scorer(survey: Path) -> Predictor:
    return Predictor.load(survey)


@pytest.fixture
def entry_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], ModuleType]]:
    """Loads a package's score.py as azmlinfsrv does; what it does to the import system is undone afterwards."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def load(package: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location("entry_module", package / "score" / "score.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in [name for name in sys.modules if name.split(".")[0] == "score"]:
        del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if name.split(".")[0] == "score"})


@pytest.fixture(scope="session")
def ask() -> Callable[[Predictor, Any], tuple[int, Any]]:
    """Status and decoded answer to a body; anything but bytes and text is encoded as JSON first."""

    def ask(scorer: Predictor, body: Any) -> tuple[int, Any]:
        status, reply, _ = scorer.answer(body if isinstance(body, bytes | str) else json.dumps(body))
        return status, json.loads(reply, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return ask


def infer_v2(predictor: Predictor, body: bytes, length: str | None = None) -> HttpReply:
    """Answer a request in V2, outside of a server."""
    try:
        request = v2.parse(predictor, body, length)
        return v2.respond(predictor, request, predictor.predict(request.columns, labels=request.labels))
    except (BadRequest, ScoringError) as error:
        return v2.error_reply(error.status, str(error))


def stubbed(path: Path, code: str) -> Path:
    """Make a package with a test's own score.py."""
    shutil.copytree(ROOT / "score", path / "score", ignore=shutil.ignore_patterns("__pycache__"))
    swagger_ui.copy_assets(path / "score")
    (path / "score" / "score.py").write_text(code)
    (path / "contract.json").write_text('{"fingerprint": "abc"}')
    (path / "keys.json").write_text('{"primary": "one", "secondary": "two"}')
    return path


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stubbed(tmp_path_factory.mktemp("stub"), STUB)


@pytest.fixture
def make_stub(tmp_path: Path) -> Callable[[str], Path]:
    """The same with another score.py, for one test."""
    return lambda code: stubbed(tmp_path / "package", code)


@pytest.fixture(scope="session")
def serve() -> Serve:
    """A package's own server as a process, and a way to ask it."""
    return contextlib.contextmanager(_served)


def _served(package: Path, *options: str) -> Iterator[tuple[Request, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-B", "-m", "score.server", "--port", str(port), *options]

    def ask(
        method: str, path: str, body: bytes | Iterator[bytes] = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, body, headers, encode_chunked=not isinstance(body, bytes))
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    log = package / LOG  # a file and no pipe: a server that writes into a full one stands still
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=package, stdout=out, stderr=subprocess.STDOUT)
    with process:
        try:
            while b"Serving package" not in log.read_bytes():
                if process.poll() is not None:
                    pytest.fail(f"the server ended before it served: {log.read_text()}")
                time.sleep(0.02)
            yield ask, process
        finally:
            process.terminate()


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Return the port that a server of ``serve`` listens on."""
    assert isinstance(process.args, list)
    return int(process.args[process.args.index("--port") + 1])
