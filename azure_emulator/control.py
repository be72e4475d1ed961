"""The outside of the stand-in: start it in the background, tell what the SDK's process needs, ask for faults, stop it."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from azure_emulator.common import addresses
from azure_emulator.common.faults import parse
from azure_emulator.common.tokens import Tokens
from azure_emulator.containers import process
from azure_emulator.gateway.certificates import Certificates

_PATIENCE = 30.0


class EmulatorError(Exception):
    """The stand-in does not start, or does not run."""


@dataclass(frozen=True)
class Emulator:
    """A running stand-in."""

    folder: Path
    port: int

    @property
    def log(self) -> Path:
        """One line for every call, and what the stand-in has to say."""
        return self.folder / "process.log"

    def faults(self, wanted: Iterable[str]) -> None:
        """Let these happen from now on and no others; see ``azure_emulator.common.faults.parse`` for how they are written."""
        self._control("PUT", {"faults": list(wanted)})

    def waiting(self) -> list[str]:
        """The names of the faults that may still strike."""
        return [fault["name"] for fault in self._control("GET")["faults"]]

    def _control(self, method: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        trusted = ssl.create_default_context(cafile=self.folder / "certificates" / "ca.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=trusted)
        connection.set_tunnel(addresses.CONTROL_HOST, 443)
        try:
            headers = {"Authorization": f"Bearer {Tokens(self.folder).token('control', 60)}"}
            connection.request(method, "/faults", json.dumps(document) if document else None, headers)
            response = connection.getresponse()
            answered: dict[str, Any] = json.loads(response.read())
        except OSError as error:
            raise EmulatorError(f"the emulator in {self.folder} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise EmulatorError(f"the emulator refused: {answered.get('error')}")
        return answered


def start(folder: Path, faults: Iterable[str] = (), images: Path | None = None) -> Emulator:
    """Make it run; if it runs already, only the faults change. It lives until ``stop``, also after the caller's end.

    ``images`` is where built images are kept, if several folders are to share them.
    """
    folder, wanted = Path(folder).resolve(), list(faults)
    for one in wanted:
        parse(one)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # keys and tokens are kept in it
    (folder / "home").mkdir(exist_ok=True)
    with FileLock(folder / "start.lock"):  # two jobs of a sweep share one stand-in
        if process.find(folder) is None:
            Certificates(folder / "certificates").make_authority()
            Tokens(folder)
            ready = folder / "ready"
            ready.unlink(missing_ok=True)
            arguments = ["--folder", str(folder), "--images", str(Path(images or folder / "images").resolve())]
            process.start(folder, "azure_emulator", *arguments, environment=_without_emulator(folder))
            if not process.wait_for(ready, folder, _PATIENCE):
                process.stop(folder)
                raise EmulatorError(f"the emulator does not start; see {folder / 'process.log'}")
    emulator = Emulator(folder, _port(folder))
    emulator.faults(wanted)
    return emulator


def running(folder: Path) -> Emulator | None:
    """The stand-in of this folder, if it runs."""
    folder = Path(folder).resolve()
    return Emulator(folder, _port(folder)) if (folder / "ready").exists() and process.find(folder) else None


def stop(folder: Path) -> None:
    """End the stand-in. Its services live on, as they would in Azure; the next ``start`` finds them."""
    folder = Path(folder).resolve()
    process.stop(folder)
    (folder / "ready").unlink(missing_ok=True)


def environment(folder: Path) -> dict[str, str]:
    """The variables of a process that is to meet the stand-in instead of Azure. Set them before ``import azureml``."""
    folder = Path(folder).resolve()
    proxy = f"http://127.0.0.1:{_port(folder)}"
    authority = str(folder / "certificates" / "ca.pem")
    home = str(folder / "home")
    here = "127.0.0.1,localhost"
    return {
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
        "https_proxy": proxy,  # requests asks for these first
        "http_proxy": proxy,
        "NO_PROXY": here,
        "no_proxy": here,
        "REQUESTS_CA_BUNDLE": authority,
        "CURL_CA_BUNDLE": authority,
        "SSL_CERT_FILE": authority,
        "AZUREML_SERVICE_PRINCIPAL_TENANT_ID": addresses.TENANT,
        "AZUREML_SERVICE_PRINCIPAL_ID": addresses.CLIENT,
        "AZUREML_SERVICE_PRINCIPAL_PASSWORD": Tokens(folder).password,
        "HOME": home,  # the SDK keeps clouds and discovery there, and must not meet those of the real Azure
        "USERPROFILE": home,
        "AZURE_CONFIG_DIR": str(folder / "home" / ".azure"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AZUREML_CURRENT_CLOUD": "AzureCloud",
    }


def workspace_config() -> dict[str, str]:
    """What stands in a ``config.json`` for ``Workspace.from_config``."""
    return {
        "subscription_id": addresses.SUBSCRIPTION,
        "resource_group": addresses.RESOURCE_GROUP,
        "workspace_name": addresses.WORKSPACE,
    }


def _without_emulator(folder: Path) -> dict[str, str]:
    # the stand-in installs packages and must not go through itself for them
    ours = environment(folder).items() if (folder / "port.json").exists() else ()
    return {name: value for name, value in os.environ.items() if (name, value) not in ours}


def _port(folder: Path) -> int:
    try:
        return int(json.loads((folder / "port.json").read_text()))
    except FileNotFoundError:
        raise EmulatorError(f"no emulator was ever started in {folder}") from None
