"""How to authenticate with Azure, chosen from what the machine has; asking a person comes last, and needs one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Way = Literal["service_principal", "managed_identity", "cli", "interactive"]

OURS = tuple(f"AZUREML_SERVICE_PRINCIPAL_{part}" for part in ("TENANT_ID", "ID", "PASSWORD"))
COMMON = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
# with these a tenant and a client without a secret are no half of a service principal
OTHER_WAYS = ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH", "MSI_ENDPOINT", "IDENTITY_ENDPOINT")
REMEDY = (
    f"set {', '.join(OURS)} (or {', '.join(COMMON)}), run on a machine with a managed identity "
    "(azure.auth=managed_identity), or log in with `az login`"
)


class NoWayInError(Exception):
    """Nothing on this machine authenticates; the text says what would."""


def principal(environ: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Tenant, client and secret of the service principal that is in the environment; the SDK's own names come first."""
    if half := half_principal(environ):
        raise NoWayInError(f"azure.auth: {half}")
    for names in (OURS, COMMON):
        if environ.get(names[2]):
            return environ[names[0]], environ[names[1]], environ[names[2]]
    return None


def half_principal(environ: Mapping[str, str]) -> str:
    """Say which variables of a service principal are missing; nothing where there is a whole one, or none.

    A tenant or a client alone is none: it says which managed identity or which directory is meant.
    """
    for names in (OURS, COMMON):
        found = [name for name in names if environ.get(name)]
        if len(found) == len(names):
            return ""
        pair = len(found) == 2 and not any(environ.get(name) for name in OTHER_WAYS)
        if found and (names is OURS or names[2] in found or pair):
            missing = ", ".join(name for name in names if name not in found)
            return f"{', '.join(found)} is set and {missing} is not; set all three, or none and log in another way"
    return ""


def choose(wanted: str, environ: Mapping[str, str], *, cli: bool, person: bool) -> Way:
    """The first way there is: service principal, managed identity, Azure CLI, a browser on a terminal.

    ``cli``: somebody is logged in with the Azure CLI; ``person``: there is a terminal with somebody at it.

    Raises:
        NoWayInError: there is none, or not the one that is wanted.
    """
    found: Mapping[Way, bool] = {
        "service_principal": wanted in {"auto", "service_principal"} and principal(environ) is not None,
        # a virtual machine's own identity shows in no variable: it must be asked for
        "managed_identity": wanted == "managed_identity" or "MSI_ENDPOINT" in environ or "IDENTITY_ENDPOINT" in environ,
        "cli": cli,
        "interactive": person,
    }
    for way, there in found.items():
        if there and wanted in {"auto", way}:
            return way
    what = "nothing on this machine authenticates with Azure" if wanted == "auto" else f"there is no {wanted} here"
    raise NoWayInError(f"azure.auth: {what}, and nobody can be asked in a browser; {REMEDY}")


def authentication(wanted: str) -> Any:
    """The SDK's object for the way that is chosen here and now. Secrets come from the environment only."""
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
    """The same way in, as an object of azure-identity, which is what azure-ai-ml takes."""
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
    """Look whether anything on this machine authenticates, without asking Azure.

    Raises:
        NoWayInError: nothing does, or not the way that is wanted.
    """
    choose(wanted, os.environ, cli=_logged_in(), person=_person())


def _logged_in() -> bool:
    folder = Path(os.environ.get("AZURE_CONFIG_DIR") or "~/.azure").expanduser()
    return shutil.which("az") is not None and (folder / "azureProfile.json").exists()


def _person() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")
