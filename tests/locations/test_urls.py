"""What is a URL, what in it is a credential, and where none may stand."""

from __future__ import annotations

import pytest

from orchestrator.locations.urls import LocationError, Url, is_url, refuse_credentials, without_signature

SIGNED = "https://lake.blob.example/c/rows.csv?sv=2024&sp=r&sig=Ab%2Fc0ffee%3D"


@pytest.mark.parametrize("text", ["s3://b/k.csv", "HTTPS://h/x", "env:TABLE_URL", "zip://a.csv::s3://b/k.zip"])
def test_urls_are_no_paths(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize("text", ["rows.csv", "/data/rows.csv", r"C:\rows.csv", "c:/rows.csv", "a:b.csv"])
def test_paths_are_no_urls(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize(
    "text",
    [
        SIGNED,
        "https://user:hunter2@host/rows.csv",
        "s3://AKIA123:hunter2@bucket/rows.csv",
        "https://b.s3.example/rows.csv?X-Amz-Credential=AKIA123&X-Amz-Signature=hunter2",
        "https://host/rows.csv?api_key=hunter2",
        "https://host/rows.csv?access_token=hunter2",
    ],
)
def test_a_typed_url_with_credentials_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="write env:TABLE_URL") as caught:
        refuse_credentials(text)
    assert not any(secret in str(caught.value) for secret in ("hunter2", "c0ffee", "AKIA123"))


@pytest.mark.parametrize(
    "text", ["s3://b/k.csv", "abfs://container@account.dfs.example/k.csv", "https://host/rows.csv?year=2024"]
)
def test_other_urls_are_accepted(text: str) -> None:
    refuse_credentials(text)


def test_a_url_in_the_environment_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_URL", SIGNED)
    url = Url("env:TABLE_URL")
    assert (str(url), url.address, url.name, url.protocol) == ("env:TABLE_URL", SIGNED, "rows.csv", "https")
    assert url.hide(f"404 for {SIGNED} and Ab/c0ffee=") == (
        "404 for https://lake.blob.example/c/rows.csv?sv=2024&sp=r&sig=*** and ***"
    )


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABLE_URL", raising=False)
    assert Url("env:TABLE_URL").name == "env:TABLE_URL"
    with pytest.raises(LocationError, match="TABLE_URL is not set; it should hold a URL"):
        _ = Url("env:TABLE_URL").address
    monkeypatch.setenv("TABLE_URL", "rows.csv")
    with pytest.raises(LocationError, match="TABLE_URL holds no URL"):
        _ = Url("env:TABLE_URL").address


@pytest.mark.parametrize(
    ("address", "left"),
    [
        (SIGNED, "https://lake.blob.example/c/rows.csv"),
        (
            f"{SIGNED}&versionid=2024-05-06&se=2030-01-01T00%3A00Z",
            "https://lake.blob.example/c/rows.csv?versionid=2024-05-06",
        ),
        ("https://h/r.csv?X-Amz-Date=1&id=7&X-Amz-Expires=9&X-Amz-Signature=c0ffee", "https://h/r.csv?id=7"),
        ("https://h/r.csv?sp=7&id=7", "https://h/r.csv?sp=7&id=7"),
        ("https://me:hunter2@h/r.csv?id=7", "https://me:***@h/r.csv?id=7"),
        ("s3://b/k?sig.csv", "s3://b/k?sig.csv"),
    ],
)
def test_a_renewed_signature_makes_no_other_source(address: str, left: str) -> None:
    assert without_signature(address) == left
