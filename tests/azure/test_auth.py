"""Which way in is chosen, for every machine there may be; nobody is asked where nobody can answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.azure import auth
from orchestrator.azure.auth import COMMON, SDK_VARIABLES, NoWayInError, choose, principal
from tests.found import found

MINE: Mapping[str, str] = dict(zip(SDK_VARIABLES, ("tenant", "me", "secret"), strict=True))
EVERYBODYS: Mapping[str, str] = dict(zip(COMMON, ("tenant", "them", "secret"), strict=True))
MSI = {"MSI_ENDPOINT": "http://localhost"}


@pytest.mark.parametrize(
    ("environ", "cli", "person", "way"),
    [
        (MINE, True, True, "service_principal"),
        (EVERYBODYS, True, True, "service_principal"),
        ({**MINE, **MSI}, False, False, "service_principal"),
        (MSI, True, True, "managed_identity"),
        ({"IDENTITY_ENDPOINT": "http://localhost"}, False, False, "managed_identity"),
        ({}, True, True, "cli"),
        ({"AZURE_CLIENT_ID": "a user-assigned identity's"}, True, False, "cli"),
        ({"AZURE_TENANT_ID": "the directory"}, False, True, "interactive"),
        ({"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", **MSI}, True, False, "managed_identity"),
        ({"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "f"}, True, False, "cli"),
        ({}, False, True, "interactive"),
    ],
)
def test_the_first_way_there_is(environ: Mapping[str, str], *, cli: bool, person: bool, way: str) -> None:
    assert choose("auto", environ, cli=cli, person=person) == way


@pytest.mark.parametrize("way", ["service_principal", "managed_identity", "cli", "interactive"])
def test_a_way_that_is_asked_for_is_taken_or_refused(way: str) -> None:
    assert choose(way, {**MINE, **MSI}, cli=True, person=True) == way
    if way != "managed_identity":  # a virtual machine's shows in nothing
        with pytest.raises(NoWayInError, match=f"there is no {way} here"):
            choose(way, {}, cli=False, person=False)


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    with pytest.raises(NoWayInError, match=r"^azure\.auth: nothing .*AZUREML_SERVICE_PRINCIPAL_ID.*az login") as raised:
        choose("auto", {}, cli=False, person=False)
    assert "\n" not in str(raised.value)


def test_a_browser_is_for_a_terminal_outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.delenv("CI", raising=False)
    assert auth._person()
    monkeypatch.setenv("CI", "true")
    assert not auth._person()


def test_ours_come_before_everybodys() -> None:
    assert principal({**EVERYBODYS, **MINE}) == ("tenant", "me", "secret")
    assert principal({}) is None


@pytest.mark.parametrize("names", [SDK_VARIABLES, COMMON])
def test_half_a_service_principal_names_what_is_missing(names: tuple[str, ...]) -> None:
    with pytest.raises(NoWayInError, match=f"{names[2]} is set and {names[0]}, {names[1]} is not") as raised:
        principal({names[2]: "hidden"})
    assert "hidden" not in str(raised.value)
    with pytest.raises(NoWayInError, match=f"{names[0]}, {names[1]} is set and {names[2]} is not; set all three"):
        choose("auto", {names[0]: "t", names[1]: "c"}, cli=True, person=True)
    assert choose("cli", {names[0]: "t", names[1]: "c"}, cli=True, person=True) == "cli"


def test_any_one_variable_of_ours_is_half_a_service_principal() -> None:
    for name in SDK_VARIABLES:
        assert f"{name} is set" in auth.half_principal({name: "x"})
    assert auth.half_principal({**MINE, COMMON[2]: "x"}) == "", "a whole one is enough"


HALF = (
    "azure.auth: AZURE_TENANT_ID, AZURE_CLIENT_ID is set and AZURE_CLIENT_SECRET is not; "
    "set all three, or none and log in another way"
)


@pytest.mark.parametrize(
    ("typed", "problems"),
    [
        (["tracking=azureml", "deploy=none"], [HALF]),
        (["deploy=aci"], [HALF]),
        (["deploy=managed", "stages=status"], [HALF]),
        (["deploy=aci", "azure.auth=cli"], []),
        (["deploy=aci", "stages=train"], []),
        (["deploy=aci", "azure=emulator"], []),
        (["deploy=local"], []),
    ],
)
def test_half_a_service_principal_is_a_mistake_where_azure_is_asked(
    typed: list[str], problems: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*SDK_VARIABLES, COMMON[2], *auth.OTHER_WAYS):
        monkeypatch.delenv(name, raising=False)
    for name in COMMON[:2]:
        monkeypatch.setenv(name, "x")
    assert [str(problem) for problem in found(f"state_dir={tmp_path}", "dry_run=true", *typed)] == problems


@pytest.mark.parametrize(
    ("environ", "cli", "made"),
    [
        (EVERYBODYS, True, "ClientSecretCredential"),
        (MSI, True, "ManagedIdentityCredential"),
        ({}, True, "AzureCliCredential"),
        ({}, False, "InteractiveBrowserCredential"),
    ],
)
def test_the_second_sdk_comes_in_by_the_same_way(
    environ: Mapping[str, str], *, cli: bool, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("azure.identity", exc_type=ImportError)
    monkeypatch.setattr("os.environ", dict(environ))
    monkeypatch.setattr(auth, "_logged_in", lambda: cli)
    monkeypatch.setattr(auth, "_person", lambda: True)
    assert type(auth.credential("auto")).__name__ == made
