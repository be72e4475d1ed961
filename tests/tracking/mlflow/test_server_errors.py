"""Each failure of a tracking server, caused by a real server and MLflow's own client, and its error message."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import TrackingError
from orchestrator.tracking.mlflow.tracker import Mlflow
from tests.nightly import at_night
from tests.tracking.kit import notes_of
from tests.tracking.servers import Quiet, answering, certificate, free_port, mlflow_server, serving, silent

MakeTracker = Callable[..., Mlflow]
HTML = "<html><head><title>Grafana</title></head></html>"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def error_of(make: MakeTracker, uri: str, seconds: float = 6) -> str:
    with pytest.raises(TrackingError) as failure:
        make(tracking_uri=uri, timeout_seconds=seconds).check_before_run({})
    text = str(failure.value)
    assert text.startswith(f"tracking store {uri}: ")
    assert "\n" not in text
    assert len(text) < 500
    return text


def api(status: int, body: str = "") -> Callable[[str, str], tuple[int, str]]:
    """Return the answers of an MLflow 3 whose API answers with this."""
    return lambda _, path: (200, "3.17.2") if path == "/version" else (status, body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda *_: (200, HTML), "there is no MLflow server here: a page 'Grafana' is answered"),
        (
            lambda *_: (404, '{"detail": "Not Found"}'),
            'there is no MLflow server here: something \'{"detail": "Not Found"}\'',
        ),
        at_night(lambda *_: (200, "Healthy"), "there is no MLflow server here: something 'Healthy'"),
        (lambda *_: (404, ""), "there is no MLflow server here: nothing is answered"),
        (lambda *_: (502, "<html>Bad Gateway</html>"), "a gateway answers 502 in place of the MLflow server behind it"),
        at_night(lambda *_: (503, ""), "a gateway answers 503"),
        at_night(lambda *_: (504, ""), "a gateway answers 504"),
        (lambda *_: (500, "Oops"), "the server answers 500; look at the log"),
        (lambda *_: (401, "You are not authenticated"), "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        at_night(lambda *_: (403, "Forbidden"), "the server refuses this user (403)"),
        at_night(api(401), "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (
            api(403, json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"})),
            "the server refuses this user (403)",
        ),
        (api(404, HTML), "the server has no such path (404)"),
        (api(429), "the server is asked too often (429)"),
        (
            api(400, json.dumps({"error_code": "BAD_REQUEST", "message": "the quota is used up"})),
            "the quota is used up",
        ),
        (lambda *_: (200, "2.22.1"), "the server is MLflow 2.22.1, which has no logged models; start it with MLflow 3"),
        at_night(
            lambda _, path: (200, '{"experiments": []}') if "experiments/search" in path else (404, ""),
            "the server is MLflow 2, which has no logged models",
        ),
    ],
)
def test_another_application_answers(
    tracker: MakeTracker, answer: Callable[[str, str], tuple[int, str]], expected: str
) -> None:
    with answering(answer) as uri:
        assert expected in error_of(tracker, uri)


def test_a_redirecting_server_is_refused(tracker: MakeTracker) -> None:
    with answering(api(200)) as there, answering(lambda _, path: (308, f"{there}{path}")) as uri:
        assert f"requests are sent on to {there}; correct" in error_of(tracker, uri)


def test_a_certificate_that_is_not_trusted(tracker: MakeTracker, tmp_path: Path) -> None:
    with answering(api(200), certificate(tmp_path)) as uri:
        text = error_of(tracker, uri)
    assert (
        "the TLS certificate of 127.0.0.1 is not trusted: self-signed certificate; set MLFLOW_TRACKING_SERVER" in text
    )


def test_a_certificate_of_another_name(tracker: MakeTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = certificate(tmp_path, "mlflow.example.com")
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "certificate.pem"))
    with answering(api(200), context) as uri:
        assert "is not trusted: IP address mismatch, certificate is not valid for '127.0.0.1'" in error_of(tracker, uri)


def test_https_for_a_server_without_tls(tracker: MakeTracker) -> None:
    with answering(api(200)) as uri:
        assert "127.0.0.1 speaks no TLS at this port; write http://" in error_of(
            tracker, uri.replace("http:", "https:")
        )


def test_http_for_a_server_with_tls(tracker: MakeTracker, tmp_path: Path) -> None:
    with answering(api(200), certificate(tmp_path)) as uri:
        assert "the server closed the connection without an answer (does it speak https?)" in error_of(
            tracker, uri.replace("https:", "http:")
        )


def test_no_server_at_the_address(tracker: MakeTracker) -> None:
    assert "the server does not answer; start it, or correct tracking.tracking_uri" in error_of(
        tracker, f"http://127.0.0.1:{free_port()}"
    )
    assert "there is no host 'nowhere.invalid'" in error_of(tracker, "http://nowhere.invalid")


def test_a_server_that_closes_the_connection(tracker: MakeTracker) -> None:
    class Handler(Quiet):
        def every(self) -> None:
            self.close_connection = True

    with serving(Handler) as uri:
        assert "the server closed the connection without an answer" in error_of(tracker, uri)


@pytest.mark.parametrize("uri", ["http://mlflow.example.com:5000", "https://mlflow.example.com"])
def test_a_proxy_that_is_down_is_named(tracker: MakeTracker, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    name, proxy = f"{uri.partition(':')[0]}_proxy", f"127.0.0.1:{free_port()}"
    monkeypatch.setenv(name, f"http://me:s3cr3t@{proxy}")
    text = error_of(tracker, uri)
    assert f"the proxy http://{proxy} ({name} in the environment) cannot be used" in text
    assert "add mlflow.example.com to NO_PROXY" in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize(("status", "expected"), [(502, "cannot be used"), (407, "asks for a user and a password")])
def test_a_proxy_that_refuses_is_named(
    tracker: MakeTracker, monkeypatch: pytest.MonkeyPatch, status: int, expected: str
) -> None:
    class Handler(Quiet):
        def every(self) -> None:
            self.reply(status, b"")

    with serving(Handler) as proxy:
        monkeypatch.setenv("https_proxy", proxy)
        assert f"the proxy {proxy} (https_proxy in the environment) {expected}" in error_of(
            tracker, "https://mlflow.example.com"
        )


def test_a_gateway_is_named_with_its_proxy(tracker: MakeTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda *_: (504, "")) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        text = error_of(tracker, "http://mlflow.example.com")
    assert "a gateway answers 504" in text
    assert f"(asked through http_proxy={proxy})" in text


def test_a_server_that_never_answers_has_one_budget(tracker: MakeTracker) -> None:
    with silent() as uri:
        mlflow = tracker(tracking_uri=uri, timeout_seconds=3)
        notes = notes_of(mlflow)
        with pytest.raises(
            TrackingError, match=r"within 3 s \(tracking\.timeout_seconds\): the server does not answer, th"
        ):
            mlflow.check_before_run({})
    assert len(notes) == 1, "the first failure is reported at once, those within the next seconds are not"
    assert "the server does not answer, though it takes connections" in notes[0]


@pytest.mark.nightly
def test_a_real_server_of_mlflow_2_is_too_old(tracker: MakeTracker, tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "mlflow<3",
        "sqlalchemy<2.1",
    ]  # it breaks with newer ones
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("MLflow 2 cannot be installed here")
    with mlflow_server(tmp_path / "server", python=str(python)) as uri:
        assert "the server is MLflow 2." in (text := error_of(tracker, uri, seconds=60))
        assert "start it with MLflow 3 or newer" in text
