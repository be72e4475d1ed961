"""Servers for a tracking URI: real MLflow servers, a proxy that loses answers, other applications."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.waiting import wait_for

Answer = Callable[[str, str], tuple[int, str]]  # method and path -> status and body
POSTGRES = (
    Path(shutil.which("initdb") or next(iter(Path("/usr/lib/postgresql").glob("*/bin/initdb")), "")).resolve().parent
)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextmanager
def mlflow_server(
    folder: Path, backend: str = "", *options: str, workers: int = 1, python: str = sys.executable
) -> Iterator[str]:
    """Run a real server; its backend is a sqlite store in the folder by default, its MLflow that of ``python``."""
    folder.mkdir(parents=True, exist_ok=True)
    uri = f"http://127.0.0.1:{(port := free_port())}"
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(workers), "--backend-store-uri", backend or f"sqlite:///{folder}/server.db"]
    command += options or ("--artifacts-destination", str(folder / "files"))
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # its eight processes evaluate language models
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=env, start_new_session=True)

    def answers() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=1):
                return True
        except OSError:
            return False

    try:
        wait_for(answers)
        yield uri
    finally:
        with suppress(ProcessLookupError):  # it did not start: see its log
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL server, which refuses to run as root."""
    folder.mkdir(parents=True, exist_ok=True)
    user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    if user:
        folder.parent.chmod(0o755)
        shutil.chown(folder, "postgres", "postgres")
    data, port = folder / "data", free_port()
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder} | user
    subprocess.run([POSTGRES / "initdb", "-D", data, "-U", "me", "-A", "trust", "--no-sync"], check=True, **quiet)
    serve: list[str | Path] = [
        POSTGRES / "postgres",
        "-D",
        data,
        "-p",
        str(port),
        "-k",
        folder,
        "-h",
        "127.0.0.1",
        "-F",
    ]
    process = subprocess.Popen(serve, **quiet)
    ready: list[str | Path] = [POSTGRES / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-U", "me"]
    try:
        wait_for(lambda: subprocess.run(ready, check=False, **quiet).returncode == 0)
        yield f"postgresql+psycopg2://me@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def every(self) -> None:
        """Answer a request of any method."""
        self.reply(200, b"")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.every
        raise AttributeError(name)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients close connections here
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def dropping(uri: str, every: int, begin: int = 0) -> Iterator[tuple[str, list[str]]]:
    """Run a proxy that forwards every request and loses every n-th answer."""
    lock, count, lost = threading.Lock(), [begin], list[str]()

    class Handler(Quiet):
        def every(self) -> None:
            body, host = self.body(), uri.removeprefix("http://")
            connection = HTTPConnection(host, timeout=120)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}
            }
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            connection.close()
            with lock:
                count[0] += 1
                if count[0] % every == 0:
                    lost.append(f"{self.command} {self.path.partition('?')[0]}")
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
            self.reply(answer.status, text, Content_Type=answer.getheader("Content-Type") or "application/json")

    with serving(Handler) as at:
        yield at, lost


@contextmanager
def answering(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run another application, or a gateway, that answers by method and path."""

    class Handler(Quiet):
        def every(self) -> None:
            self.body()
            status, text = answer(self.command, self.path)
            self.reply(status, text.encode(), **({"Location": text} if status in {301, 302, 308} else {}))

    with serving(Handler, context) as uri:
        yield uri


@contextmanager
def silent() -> Iterator[str]:
    """Run a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def certificate(folder: Path, name: str = "localhost") -> ssl.SSLContext:
    """Make the TLS context of a server with an untrusted certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    private = serialization.PrivateFormat.PKCS8
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
