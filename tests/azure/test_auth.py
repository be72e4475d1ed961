"""Choice of the authentication method on each kind of machine; no prompt where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.azure import auth
from orchestrator.azure.auth import COMMON, SDK_VARIABLES, NoCredentialError, choose, principal
from tests.found import found

AZUREML_VALUES: Mapping[str, str] = dict(zip(SDK_VARIABLES, ("tenant", "me", "secret"), strict=True))
COMMON_VALUES: Mapping[str, str] = dict(zip(COMMON, ("tenant", "them", "secret"), strict=True))
MSI = {"MSI_ENDPOINT": "http://localhost"}


@pytest.mark.parametrize(
    ("environ", "cli", "person", "method"),
    [
        (AZUREML_VALUES, True, True, "service_principal"),
        (COMMON_VALUES, True, True, "service_principal"),
        ({**AZUREML_VALUES, **MSI}, False, False, "service_principal"),
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
def test_auto_takes_the_first_available_method(
    environ: Mapping[str, str], *, cli: bool, person: bool, method: str
) -> None:
    assert choose("auto", environ, cli=cli, person=person) == method


@pytest.mark.parametrize("method", ["service_principal", "managed_identity", "cli", "interactive"])
def test_a_named_method_is_used_or_refused(method: str) -> None:
    assert choose(method, {**AZUREML_VALUES, **MSI}, cli=True, person=True) == method
    if method != "managed_identity":  # a virtual machine's cannot be detected
        with pytest.raises(NoCredentialError, match=f"there is no {method} here"):
            choose(method, {}, cli=False, person=False)


def test_without_a_terminal_there_is_no_prompt() -> None:
    with pytest.raises(
        NoCredentialError, match=r"^azure\.auth: nothing .*AZUREML_SERVICE_PRINCIPAL_ID.*az login"
    ) as raised:
        choose("auto", {}, cli=False, person=False)
    assert "\n" not in str(raised.value)


def test_the_browser_needs_a_terminal_outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.delenv("CI", raising=False)
    assert auth._person()
    monkeypatch.setenv("CI", "true")
    assert not auth._person()


def test_the_azureml_variables_take_precedence() -> None:
    assert principal({**COMMON_VALUES, **AZUREML_VALUES}) == ("tenant", "me", "secret")
    assert principal({}) is None


@pytest.mark.parametrize("names", [SDK_VARIABLES, COMMON])
def test_an_incomplete_service_principal_names_what_is_missing(names: tuple[str, ...]) -> None:
    with pytest.raises(NoCredentialError, match=f"{names[2]} is set and {names[0]}, {names[1]} is not") as raised:
        principal({names[2]: "hidden"})
    assert "hidden" not in str(raised.value)
    with pytest.raises(NoCredentialError, match=f"{names[0]}, {names[1]} is set and {names[2]} is not; set all three"):
        choose("auto", {names[0]: "t", names[1]: "c"}, cli=True, person=True)
    assert choose("cli", {names[0]: "t", names[1]: "c"}, cli=True, person=True) == "cli"


def test_a_single_azureml_variable_is_an_incomplete_service_principal() -> None:
    for name in SDK_VARIABLES:
        assert f"{name} is set" in auth.half_principal({name: "x"})
    assert auth.half_principal({**AZUREML_VALUES, COMMON[2]: "x"}) == "", "a complete one is enough"


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
def test_an_incomplete_service_principal_is_a_mistake_where_azure_is_used(
    typed: list[str], problems: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*SDK_VARIABLES, COMMON[2], *auth.OTHER_WAYS):
        monkeypatch.delenv(name, raising=False)
    for name in COMMON[:2]:
        monkeypatch.setenv(name, "x")
    assert [str(problem) for problem in found(f"state_dir={tmp_path}", "dry_run=true", *typed)] == problems


@pytest.mark.parametrize(
    ("environ", "cli", "credential_class"),
    [
        (COMMON_VALUES, True, "ClientSecretCredential"),
        (MSI, True, "ManagedIdentityCredential"),
        ({}, True, "AzureCliCredential"),
        ({}, False, "InteractiveBrowserCredential"),
    ],
)
def test_sdk_v2_authenticates_with_the_same_method(
    environ: Mapping[str, str], *, cli: bool, credential_class: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("azure.identity", exc_type=ImportError)
    monkeypatch.setattr("os.environ", dict(environ))
    monkeypatch.setattr(auth, "_logged_in", lambda: cli)
    monkeypatch.setattr(auth, "_person", lambda: True)
    assert type(auth.credential("auto")).__name__ == credential_class
