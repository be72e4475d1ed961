"""The text of an error, and the raw texts: complete, redacted, for their owner only."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from orchestrator.diagnostics import Diagnosis, Evidence, diagnose, format_diagnosis, save_evidence
from orchestrator.redaction import redact


def test_the_first_line_has_event_cause_and_remedy() -> None:
    found = Diagnosis(
        "out of memory: MemoryError", "container log, line 3: MemoryError", "deploy.memory_gb=2", "out_of_memory"
    )
    assert format_diagnosis(found, Path("state/failures/1")) == (
        "deploy: out of memory: MemoryError; deploy.memory_gb=2\n"
        "  proof: container log, line 3: MemoryError\n"
        "  raw texts: state/failures/1"
    )


def test_what_happened_is_not_repeated() -> None:
    found = Diagnosis("the service is not ready in time", "error, line 1: x", "raise it", "timeout_unhealthy")
    assert format_diagnosis(found, Path("x"), "the service is not ready in time").startswith(
        "deploy: the service is not ready in time; raise it\n"
    )


def test_an_unknown_cause_shows_the_first_error_lines() -> None:
    error = "Something went wrong\nerror 1\nerror 2\nerror 2\nfailed: 3\nfatal: 4\nerror 5\nerror 6\n"
    assert format_diagnosis(diagnose(Evidence("aci", "Failed", error)), Path("raw")).splitlines() == [
        "deploy: Unknown, here are the first error lines",
        "    error, line 2: error 1",
        "    error, line 3: error 2",
        "    error, line 5: failed: 3",
        "    error, line 6: fatal: 4",
        "    error, line 7: error 5",
        "  read the raw texts, and fix what they name: raw",
    ]


def test_a_long_line_is_truncated() -> None:
    found = diagnose(Evidence("aci", "Failed", '{"code": "ServiceExists", "message": "' + "x" * 9000 + '"}'))
    assert max(map(len, format_diagnosis(found, Path("raw")).splitlines())) < 700


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer Zm9vYmFyYmF6cXV4", "Zm9vYmFyYmF6cXV4"),
        ("GET https://a.blob.example/x?sv=2018&sr=b&sig=hU6HX%2BEex%3D&se=2019", "hU6HX%2BEex%3D"),
        ("client_id=1&client_secret=x~Y.z8&grant_type=client_credentials", "x~Y.z8"),
        ('{"primaryKey": "abcd1234EFGH", "secondaryKey": "ijkl5678MNOP"}', "abcd1234EFGH"),
        ('{"primaryKey": "abcd1234EFGH", "secondaryKey": "ijkl5678MNOP"}', "ijkl5678MNOP"),
        (r'"message": "{\"clientSecret\": \"x~Y.z8\"}"', "x~Y.z8"),
        ("AZUREML_SERVICE_PRINCIPAL_PASSWORD=x~Y.z8 is set", "x~Y.z8"),
        ("DefaultEndpointsProtocol=https;AccountKey=q1w2e3r4==;EndpointSuffix=x", "q1w2e3r4"),
        ("docker login --password s3cret! registry.example", "s3cret!"),
        ("https://user:s3cret@index.example/simple", "s3cret"),
        ("token eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl ended", "eyJzdWIiOiIx"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
        ("InstrumentationKey=0000-1111;IngestionEndpoint=x", "0000-1111"),
    ],
)
def test_secrets_are_redacted(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Content-Type: application/json; x-ms-client-request-id: 12",
        "ModuleNotFoundError: No module named 'secrets_of_life'",
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the value",
        'File "/app/score.py", line 3, in init',
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_all_texts_are_saved_for_their_owner_only(tmp_path: Path) -> None:
    evidence = Evidence(
        "aci",
        "Failed",
        "client_secret=x~Y.z8",
        "Step 1/2\nsig=\n",
        "Bearer Zm9vYmFyYmF6cXV4\n",
        409,
        {"memory_gb": 2, "ssl_key": "MIIEow", "tags": {"team": "a", "api_key": "k1"}, "state_dir": Path("state")},
    )
    folder = tmp_path / "failures" / "one"
    save_evidence(evidence, folder)
    save_evidence(evidence, folder)  # a second failure in the same place
    assert {path.name for path in folder.iterdir()} == {"build.log", "container.log", "error.txt", "state.json"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert (folder / "build.log").read_text() == "Step 1/2\nsig=\n"
    assert (folder / "container.log").read_text() == "Bearer ***\n"
    assert (folder / "error.txt").read_text() == "client_secret=***"
    assert json.loads((folder / "state.json").read_text()) == {
        "target": "aci",
        "service_state": "Failed",
        "http_status": 409,
        "settings": {
            "memory_gb": 2,
            "ssl_key": "***",
            "tags": {"team": "a", "api_key": "***"},
            "state_dir": "state",
        },
    }
