"""Control of the emulator: start it in the background, set its faults, stop it, and the SDK's environment variables."""

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

_START_SECONDS = 30.0


class EmulatorError(Exception):
    """The emulator does not start, or does not run."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    folder: Path
    port: int

    @property
    def log(self) -> Path:
        """Path of the log: one line per call, and the emulator's own messages."""
        return self.folder / "process.log"

    def faults(self, names: Iterable[str]) -> None:
        """Replace the pending faults; see ``azure_emulator.common.faults.parse`` for the syntax."""
        self._control("PUT", {"faults": list(names)})

    def pending(self) -> list[str]:
        """Return the names of the faults that have not been used up."""
        return [fault["name"] for fault in self._control("GET")["faults"]]

    def _control(self, method: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        trusted = ssl.create_default_context(cafile=self.folder / "certificates" / "ca.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=trusted)
        connection.set_tunnel(addresses.CONTROL_HOST, 443)
        try:
            headers = {"Authorization": f"Bearer {Tokens(self.folder).token('control', 60)}"}
            connection.request(method, "/faults", json.dumps(document) if document else None, headers)
            response = connection.getresponse()
            reply: dict[str, Any] = json.loads(response.read())
        except OSError as error:
            raise EmulatorError(f"the emulator in {self.folder} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise EmulatorError(f"the emulator refused: {reply.get('error')}")
        return reply


def start(folder: Path, faults: Iterable[str] = (), images: Path | None = None) -> Emulator:
    """Start the emulator; if it runs already, only replace its faults. It runs until ``stop``, also after its caller ended.

    ``images`` is the folder of built images, for emulators that share it.
    """
    folder, pending = Path(folder).resolve(), list(faults)
    for fault in pending:
        parse(fault)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # it holds keys and tokens
    (folder / "home").mkdir(exist_ok=True)
    with FileLock(folder / "start.lock"):  # two jobs of a sweep share one emulator
        if process.find(folder) is None:
            Certificates(folder / "certificates").make_authority()
            Tokens(folder)
            ready = folder / "ready"
            ready.unlink(missing_ok=True)
            arguments = ["--folder", str(folder), "--images", str(Path(images or folder / "images").resolve())]
            process.start(folder, "azure_emulator", *arguments, environment=_without_emulator(folder))
            if not process.wait_for(ready, folder, _START_SECONDS):
                process.stop(folder)
                raise EmulatorError(f"the emulator does not start; see {folder / 'process.log'}")
    emulator = Emulator(folder, _port(folder))
    emulator.faults(pending)
    return emulator


def running(folder: Path) -> Emulator | None:
    """Return the emulator of this folder, if it runs."""
    folder = Path(folder).resolve()
    return Emulator(folder, _port(folder)) if (folder / "ready").exists() and process.find(folder) else None


def stop(folder: Path) -> None:
    """Stop the emulator. Its services keep running, as in Azure; the next ``start`` finds them."""
    folder = Path(folder).resolve()
    process.stop(folder)
    (folder / "ready").unlink(missing_ok=True)


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that direct a process to the emulator; set them before ``import azureml``."""
    folder = Path(folder).resolve()
    proxy = f"http://127.0.0.1:{_port(folder)}"
    authority = str(folder / "certificates" / "ca.pem")
    home = str(folder / "home")
    local = "127.0.0.1,localhost"
    return {
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
        "https_proxy": proxy,  # requests reads these first
        "http_proxy": proxy,
        "NO_PROXY": local,
        "no_proxy": local,
        "REQUESTS_CA_BUNDLE": authority,
        "CURL_CA_BUNDLE": authority,
        "SSL_CERT_FILE": authority,
        "AZUREML_SERVICE_PRINCIPAL_TENANT_ID": addresses.TENANT,
        "AZUREML_SERVICE_PRINCIPAL_ID": addresses.CLIENT,
        "AZUREML_SERVICE_PRINCIPAL_PASSWORD": Tokens(folder).password,
        "HOME": home,  # the SDK caches clouds and discovery there, and must not find those of the real Azure
        "USERPROFILE": home,
        "AZURE_CONFIG_DIR": str(folder / "home" / ".azure"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AZUREML_CURRENT_CLOUD": "AzureCloud",
    }


def workspace_config() -> dict[str, str]:
    """Return the content of a ``config.json`` for ``Workspace.from_config``."""
    return {
        "subscription_id": addresses.SUBSCRIPTION,
        "resource_group": addresses.RESOURCE_GROUP,
        "workspace_name": addresses.WORKSPACE,
    }


def _without_emulator(folder: Path) -> dict[str, str]:
    # the emulator installs packages, which must not go through its own proxy
    own = environment(folder).items() if (folder / "port.json").exists() else ()
    return {name: value for name, value in os.environ.items() if (name, value) not in own}


def _port(folder: Path) -> int:
    try:
        return int(json.loads((folder / "port.json").read_text()))
    except FileNotFoundError:
        raise EmulatorError(f"no emulator was ever started in {folder}") from None
