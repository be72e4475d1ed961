"""The emulator without an SDK: hosts, tokens, signatures, start and stop, store, filters, recipes."""

from __future__ import annotations

import http.client
import json
import ssl
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import azure_emulator
from azure_emulator import Emulator, EmulatorError
from azure_emulator.common import addresses
from azure_emulator.common.filters import comparisons, matches
from azure_emulator.common.store import Store
from azure_emulator.common.tokens import Tokens
from azure_emulator.containers.image import read_recipe

_WORKSPACE = f"{addresses.WORKSPACE_PATH}?api-version=1"


def _request(emulator: Emulator, method: str, host: str, path: str, token: str = "") -> tuple[int, str]:
    trusted = ssl.create_default_context(cafile=emulator.folder / "certificates" / "ca.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", emulator.port, context=trusted, timeout=10)
    connection.set_tunnel(host, 443)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_an_unknown_host_is_404_and_logged(emulator: Emulator) -> None:
    assert _request(emulator, "GET", "pypi.org", "/simple/")[0] == 404
    assert "GET pypi.org/simple/ 404" in emulator.log.read_text()


def test_an_unknown_path_is_404(emulator: Emulator) -> None:
    token = Tokens(emulator.folder).token("any")
    status, body = _request(emulator, "GET", addresses.SERVICES_HOST, "/pipelines/v1.0/nothing", token)
    assert (status, "is not imitated" in body) == (404, True)


def test_plain_http_is_404(emulator: Emulator) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{emulator.port}"}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open("http://169.254.169.254/metadata/identity/oauth2/token")
    with refused.value as error:
        assert error.code == 404


def test_a_missing_forged_or_expired_token_is_401(emulator: Emulator, tmp_path: Path) -> None:
    mine = Tokens(emulator.folder)
    codes = []
    for token in ("", Tokens(tmp_path).token("any"), mine.token("any", -5), mine.token("any")):
        status, body = _request(emulator, "GET", addresses.MANAGEMENT_HOST, _WORKSPACE, token)
        codes.append((status, json.loads(body).get("error", {}).get("code", "")))
    assert codes == [
        (401, "AuthenticationFailed"),
        (401, "InvalidAuthenticationToken"),
        (401, "ExpiredAuthenticationToken"),
        (200, ""),
    ]


def test_a_blob_needs_its_own_signature_and_stays_in_its_folder(emulator: Emulator) -> None:
    assert _request(emulator, "GET", addresses.BLOB_HOST, "/azureml/a/b/c?sig=wrong")[0] == 403
    signature = Tokens(emulator.folder).blob_signature("../store.sqlite")
    assert _request(emulator, "GET", addresses.BLOB_HOST, f"/azureml/../store.sqlite?sig={signature}")[0] == 400


def test_start_and_stop_are_idempotent(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="no emulator was ever started"):
        azure_emulator.environment(tmp_path)
    assert azure_emulator.running(tmp_path) is None
    first = azure_emulator.start(tmp_path, faults=["quota:always"])
    try:
        assert azure_emulator.start(tmp_path) == first == azure_emulator.running(tmp_path)
        assert first.pending() == []
    finally:
        azure_emulator.stop(tmp_path)
        azure_emulator.stop(tmp_path)
    assert azure_emulator.running(tmp_path) is None
    with pytest.raises(EmulatorError, match="does not answer"):
        first.pending()


def test_a_wrong_fault_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no fault"):
        azure_emulator.start(tmp_path / "new", faults=["nonsense"])
    assert not (tmp_path / "new").exists()


def test_secrets_are_readable_by_their_owner_only(emulator: Emulator) -> None:
    assert stat.S_IMODE(emulator.folder.stat().st_mode) == 0o700
    password = azure_emulator.environment(emulator.folder)["AZUREML_SERVICE_PRINCIPAL_PASSWORD"]
    assert password not in emulator.log.read_text()


def test_the_store_keeps_insertion_order_and_persists(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.put("a", "x/2", {"n": 2})
    store.put("a", "x/1", {"n": 1})
    store.put("a", "y", {"n": 3})
    store.put("a", "x/2", {"n": 4})
    assert [store.next_number("runs"), store.next_number("runs")] == [1, 2]
    store.close()
    store = Store(tmp_path / "store.sqlite")
    assert store.all("a", "x/") == [{"n": 4}, {"n": 1}]
    assert (store.delete("a", "y"), store.delete("a", "y"), store.get("a", "y")) == (True, False, None)
    store.close()


_RUN: dict[str, Any] = {"status": "Failed", "parentRunId": None, "tags": {"kind": "trial of it"}, "runId": "r1"}


@pytest.mark.parametrize(
    ("odata", "expected"),
    [
        ("", True),
        ("(Status eq Failed)", True),
        ('((Tags/kind eq "trial of it") and (ParentRunId eq null))', True),
        ("(Tags/kind ne null or Tags/kind eq null)", True),
        ("(Tags/none ne null or Tags/none eq null)", False),
        ("RunId eq r2 or RunId eq r1", True),
        ("((RunId eq r2 or RunId eq r1) and (Status eq Completed))", False),
        ("RunId eq r1 or RunId eq r1 and Status eq Completed", True),
    ],
)
def test_odata(odata: str, expected: bool) -> None:
    assert matches(_RUN, odata) is expected


def test_mlflow_filters() -> None:
    clauses = comparisons("tags.mlflow.parentRunId = 'a' and metrics.`my auc` >= 0.5 AND status != \"FAILED\"")
    assert clauses == [
        ("tag", "mlflow.parentRunId", "=", "a"),
        ("metric", "my auc", ">=", "0.5"),
        ("attribute", "status", "!=", "FAILED"),
    ]
    with pytest.raises(ValueError, match="Invalid clause"):
        comparisons("tags.a ~ 1")


def test_a_recipe_holds_the_requirements_of_the_conda_file() -> None:
    dependencies = [
        "python=3.11.4",
        "pip=24",
        "numpy>=1",
        {"pip": ["azureml-defaults>=1.60", "azureml-defaults-like", "idna"]},
    ]
    recipe = read_recipe({"python": {"condaDependencies": {"dependencies": dependencies}}})
    assert (recipe.python, recipe.conda, recipe.installer) == ("3.11.4", ("numpy>=1",), "pip==24.*")
    assert recipe.pip == ("azureml-defaults>=1.60", "azureml-defaults-like", "idna")


@pytest.mark.parametrize(
    ("conda", "pip"),
    [("pip", "pip"), ("pip=24.0", "pip==24.0.*"), ("pip==24.0", "pip==24.0"), ("pip>=23,<25", "pip>=23,<25")],
)
def test_the_version_of_pip_comes_from_the_conda_file(conda: str, pip: str) -> None:
    assert read_recipe({"python": {"condaDependencies": {"dependencies": ["python=3.11", conda]}}}).installer == pip
