"""Choose how to authenticate with Azure from what the machine has; an interactive login comes last."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Way = Literal["service_principal", "managed_identity", "cli", "interactive"]

SDK_VARIABLES = tuple(f"AZUREML_SERVICE_PRINCIPAL_{part}" for part in ("TENANT_ID", "ID", "PASSWORD"))
COMMON = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
# with these, a tenant and a client without a secret are no incomplete service principal
OTHER_WAYS = ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH", "MSI_ENDPOINT", "IDENTITY_ENDPOINT")
REMEDY = (
    f"set {', '.join(SDK_VARIABLES)} (or {', '.join(COMMON)}), run on a machine with a managed identity "
    "(azure.auth=managed_identity), or log in with `az login`"
)


class NoCredentialError(Exception):
    """There is no credential on this machine; the text says which would do."""


def principal(environ: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return tenant, client and secret of the service principal in the environment; the SDK's variables come first."""
    if problem := half_principal(environ):
        raise NoCredentialError(f"azure.auth: {problem}")
    for names in (SDK_VARIABLES, COMMON):
        if environ.get(names[2]):
            return environ[names[0]], environ[names[1]], environ[names[2]]
    return None


def half_principal(environ: Mapping[str, str]) -> str:
    """Return which variables of a service principal are missing; empty if it is complete, or if there is none.

    A tenant or a client alone is no principal: it selects a directory or a managed identity.
    """
    for names in (SDK_VARIABLES, COMMON):
        found = [name for name in names if environ.get(name)]
        if len(found) == len(names):
            return ""
        pair = len(found) == 2 and not any(environ.get(name) for name in OTHER_WAYS)
        if found and (names is SDK_VARIABLES or names[2] in found or pair):
            missing = ", ".join(name for name in names if name not in found)
            return f"{', '.join(found)} is set and {missing} is not; set all three, or none and log in another way"
    return ""


def choose(wanted: str, environ: Mapping[str, str], *, cli: bool, person: bool) -> Way:
    """Return the first way that is available: service principal, managed identity, Azure CLI, a browser.

    ``cli``: the Azure CLI is logged in; ``person``: the command runs on a terminal.

    Raises:
        NoCredentialError: none is available, or not the one that is wanted.
    """
    found: Mapping[Way, bool] = {
        "service_principal": wanted in {"auto", "service_principal"} and principal(environ) is not None,
        # no variable shows a virtual machine's own identity, so it must be chosen explicitly
        "managed_identity": wanted == "managed_identity" or "MSI_ENDPOINT" in environ or "IDENTITY_ENDPOINT" in environ,
        "cli": cli,
        "interactive": person,
    }
    for way, there in found.items():
        if there and wanted in {"auto", way}:
            return way
    what = "nothing on this machine authenticates with Azure" if wanted == "auto" else f"there is no {wanted} here"
    raise NoCredentialError(f"azure.auth: {what}, and there is no terminal for a login in a browser; {REMEDY}")


def authentication(wanted: str) -> Any:
    """Return the object of SDK v1 for the chosen way. Secrets come from the environment only."""
    from azureml.core import authentication as sdk

    way = choose(wanted, os.environ, cli=_logged_in(), person=_person())
    if way == "service_principal" and (known := principal(os.environ)):
        return sdk.ServicePrincipalAuthentication(*known)
    if way == "managed_identity":
        return sdk.MsiAuthentication()
    if way == "cli":
        return sdk.AzureCliAuthentication()
    return sdk.InteractiveLoginAuthentication(tenant_id=os.environ.get(COMMON[0]))


def credential(wanted: str) -> Any:
    """Return the object of azure-identity, which SDK v2 takes, for the chosen way."""
    from azure import identity

    way = choose(wanted, os.environ, cli=_logged_in(), person=_person())
    if way == "service_principal" and (known := principal(os.environ)):
        return identity.ClientSecretCredential(*known)
    if way == "managed_identity":
        return identity.ManagedIdentityCredential(client_id=os.environ.get(COMMON[1]))
    if way == "cli":
        return identity.AzureCliCredential()
    return identity.InteractiveBrowserCredential(tenant_id=os.environ.get(COMMON[0]))


def check(wanted: str) -> None:
    """Check that a way to authenticate is available, without calling Azure.

    Raises:
        NoCredentialError: none is available, or not the one that is wanted.
    """
    choose(wanted, os.environ, cli=_logged_in(), person=_person())


def _logged_in() -> bool:
    folder = Path(os.environ.get("AZURE_CONFIG_DIR") or "~/.azure").expanduser()
    return shutil.which("az") is not None and (folder / "azureProfile.json").exists()


def _person() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")
