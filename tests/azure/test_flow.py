"""The whole Azure path as commands, with the real SDK and an emulated Azure."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import azure_emulator
from azure_emulator.common.tokens import Tokens
from score.contract.schema import fingerprint_of
from tests.azure.conftest import EmulatedDesk
from tests.command import desk

pytestmark = pytest.mark.slow


def files_of(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes().hex() for path in files}


def test_one_command_tracks_registers_deploys_and_tests(emulated: EmulatedDesk) -> None:
    done = emulated.run("tracking=azureml").well()
    result = done.result
    assert result["endpoint"]["target"] == "aci"
    assert result["endpoint"]["auth"]
    assert result["probe"]["refused_without_key"]
    azure = emulated.read()
    parent = next(run for run in azure["runs"] if run["parent"] is None)
    children = [run for run in azure["runs"] if run["parent"] == parent["id"]]
    assert parent["id"] == result["run_id"]
    assert {run["status"] for run in azure["runs"]} == {"FINISHED"}
    assert len(children) == 9
    assert all("mean_test_roc_auc" in run["metrics"] and run["params"] for run in children)
    bounds = {f"holdout_{name}_{end}": one[end] for name, one in result["intervals"].items() for end in ("low", "high")}
    assert parent["metrics"] == pytest.approx({**result["metrics"], **bounds})
    assert {"config.yaml", "figures", "package"} <= set(parent["files"])
    model = azure["models"][0]
    assert (model["name"], model["version"]) == (result["model"]["name"], result["model"]["version"])
    assert (model["run"], model["experiment"]) == (parent["id"], "diabetes-sklearn")
    assert model["tags"]["champion"] == "true"
    assert model["tags"]["report"] == f"runs:/{parent['id']}/report.html"
    package = files_of(Path(result["package"]["path"]))
    assert {name: azure["files"].get(name) for name in package} == package
    assert not (emulated.desk.cwd / "mlflow.db").exists()


def test_an_unchanged_second_run_changes_nothing_in_azure(emulated: EmulatedDesk) -> None:
    before = emulated.run("stages=status").well().out
    done = emulated.run("tracking=azureml").well()
    assert "train" not in done.ran
    azure = emulated.read()
    assert len([run for run in azure["runs"] if run["parent"] is None]) == 1
    assert len(azure["models"]) == 1
    assert "since" in before
    assert re.findall("since.*", emulated.run("stages=status").well().out) == re.findall("since.*", before)


def test_another_machine_deploys_the_champion_with_the_package_from_the_workspace(emulated: EmulatedDesk) -> None:
    for folder in ("packages", "registered"):  # another machine has neither
        shutil.rmtree(emulated.desk.state / folder)
    done = emulated.run("stages=deploy", "tracking=azureml", "package.version=champion").well()
    assert re.search(r"diabetes_model version \d+: the champion$", done.out, re.MULTILINE)
    package = done.result["package"]
    assert fingerprint_of(Path(package["path"])) == package["fingerprint"]


def test_no_secret_is_written_or_printed(emulated: EmulatedDesk) -> None:
    keys = emulated.run("stages=keys").well().out
    secrets = re.findall(r"(?:primary|secondary): (\S+)", keys)
    secrets.append(azure_emulator.environment(emulated.folder)["AZUREML_SERVICE_PRINCIPAL_PASSWORD"])
    assert len(secrets) == 3
    done = emulated.run("stages=deploy", "tracking=azureml").well()
    assert not any(secret in done.out + done.err for secret in secrets)
    home = emulated.desk.home
    written = (path for path in home.rglob("*") if path.is_file() and emulated.folder not in path.parents)
    leaks = [path for path in written if any(secret.encode() in path.read_bytes() for secret in secrets)]
    assert leaks == []
    runs = json.dumps(emulated.read()["runs"])
    assert not any(secret in runs for secret in secrets)


@pytest.mark.nightly
def test_rotated_keys_work_and_so_does_the_previous_primary(emulated: EmulatedDesk) -> None:
    read = r"primary: (\S+)\n +secondary: (\S+)"
    before = re.findall(read, emulated.run("stages=keys").well().out)[0]
    after = re.findall(read, emulated.run("stages=rotate_keys").well().out)[0]
    assert after[1] == before[0]
    assert after[0] not in before
    emulated.run("stages=probe").well()
    url = emulated.run("stages=deploy", "tracking=azureml").well().result["endpoint"]["url"]
    body = b'{"data": [{"Pregnancies": 2}]}'
    for key, status in ((after[0], 400), (after[1], 400), (before[1], 401)):
        request = urllib.request.Request(url, body, {"Authorization": f"Bearer {key}"})
        with pytest.raises(urllib.error.HTTPError) as raised, urllib.request.urlopen(request):
            pass
        raised.value.close()
        assert raised.value.code == status


def test_remove_stops_the_service_and_the_emulator(emulated: EmulatedDesk) -> None:
    emulated.run("stages=remove").well()
    assert azure_emulator.running(emulated.folder) is None
    assert not list((emulated.folder / "services").glob("*/process.json"))


@pytest.mark.nightly
def test_after_deploy_local_nothing_is_trained_and_the_package_is_the_same(emulated: EmulatedDesk) -> None:
    local = emulated.desk.run().well()
    done = emulated.run().well()
    assert set(done.ran) <= {"warn", "register", "gate", "deploy", "probe", "promote"}
    package = Path(local.result["package"]["path"])
    assert done.result["package"] == local.result["package"]
    container = emulated.folder / "services" / "diabetes-prediction-service" / "app"
    served = [path.parent for path in container.rglob("model.pkl")]
    assert served
    for folder in served:
        if (folder / "MLmodel").exists():  # registered from the tracked run, as an MLflow model
            assert files_of(package).items() <= files_of(folder).items()
        else:
            assert files_of(folder) == files_of(package)
            assert fingerprint_of(folder) == done.result["package"]["fingerprint"]


@pytest.mark.nightly
def test_another_machine_probes_the_live_service_with_the_package_from_azure(emulated: EmulatedDesk) -> None:
    package = emulated.run("stages=deploy").well().result["package"]
    shutil.rmtree(emulated.desk.state / "packages")  # another machine has none
    assert emulated.run("stages=probe").well().result["probe"]["refused_without_key"]
    assert fingerprint_of(Path(package["path"])) == package["fingerprint"]


@pytest.mark.nightly
def test_a_managed_identity_authenticates(emulated: EmulatedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    emulated.run("stages=status").well()  # starts the emulator, whose secrets sign the token
    audiences: list[str] = []

    class Identity(http.server.BaseHTTPRequestHandler):
        """The identity endpoint of a machine with a managed identity, which returns tokens to local callers."""

        def do_POST(self) -> None:
            audience = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["resource"][0]
            audiences.append(audience)
            token = Tokens(emulated.folder).token(audience)
            reply = {"access_token": token, "token_type": "Bearer", "expires_on": str(int(time.time()) + 3600)}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({**reply, "resource": audience}).encode())

        def log_message(self, *_: object) -> None:
            """Silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Identity) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MSI_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
        assert (
            "diabetes-prediction-service is " in emulated.run("stages=status", "azure.auth=managed_identity").well().out
        )
        server.shutdown()
    assert audiences


def test_without_credentials_it_fails_at_once_and_names_the_options(
    emulated: EmulatedDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert emulated  # skips without the extra
    for name in ("MSI_ENDPOINT", "IDENTITY_ENDPOINT", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with desk(tmp_path) as own:
        done = own.run("deploy=aci", "stages=status")
    assert done.code == 1
    assert done.err.startswith("deploy failed: azure.auth: nothing on this machine authenticates")
    assert "az login" in done.err


@pytest.mark.nightly
def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "azureml.py").write_text("__path__ = []\n")  # hides the installed package
    with desk(tmp_path, tmp_path / "modules") as own:
        for overrides in (("deploy=aci", "stages=status"), ("deploy=none", "tracking=azureml", "stages=train")):
            done = own.run(*overrides, warm=False)
            assert done.code == 1
            assert done.err.count("\n") == 1
            assert "install it with: pip install -e '.[azure]'" in done.err
