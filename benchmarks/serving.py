"""Benchmark of score.server against other servers of the same model, in one run: ``python benchmarks/serving.py``.

    python benchmarks/serving.py --azmlinfsrv ENV/bin/python --bentoml ENV/bin/python --mlserver ENV/bin/python

Each option names the Python of an environment that holds the server and the package's requirements; a server without
one is skipped with a warning, ``mlflow models serve`` runs in this environment. All serve the pipeline that ``run.py``
makes, with one worker each, one server after another: single rows over 1, 16 and 64 connections, requests of 100 and of
10,000 rows over one, the time from the start of the process to the first answer, and the memory afterwards.

The requests come from a process of its own, in which each connection sends the next as soon as it has an answer; every
answer must be a 200. It prints the measurements and their ratios, and draws them (``--plot``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import uvloop

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = (1, 16, 64)
ROWS = (100, 10_000)
START_SECONDS = 120

ARTICLE = """
import json, os
import joblib, pandas as pd

def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.pkl"))

def run(data):
    rows = pd.DataFrame(json.loads(json.loads(data)["input"]))
    return json.dumps({"proba": model.predict_proba(rows)[:, -1].tolist()})
"""

BENTO = """
import json, os
import bentoml, joblib, pandas as pd

@bentoml.service(workers=1)
class Diabetes:
    def __init__(self):
        self.model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.pkl"))

    @bentoml.api(route="/score")
    def score(self, input: str) -> str:
        rows = pd.DataFrame(json.loads(input))
        return json.dumps({"proba": self.model.predict_proba(rows)[:, -1].tolist()})
"""

SCORE, JSON, BINARY = "score.server", "score.server, JSON tensors", "score.server, binary tensors"
ARTICLE_SCRIPT, PACKAGE_SCRIPT = "azmlinfsrv, article script", "azmlinfsrv, package script"
MLSERVER = {"name": "diabetes", "implementation": "mlserver_sklearn.SKLearnModel"}

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Peer:
    """A server: how it is started in ``folder`` on a port, and the requests that it takes."""

    name: str
    command: Callable[[int], Sequence[str]]
    folder: Path
    path: str
    body: Callable[[Rows], tuple[bytes, dict[str, str]]]  # and the headers that go with it
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """The measurements of one server; latencies are in milliseconds."""

    cold_start_s: float
    memory_mb: float
    a_second: dict[str, float]
    p50_ms: dict[str, float]


class Client(asyncio.Protocol):
    """A connection that repeats the request after each answer, and reconnects if the server closes it.

    Minimal, as it shares the processor with the server.
    """

    def __init__(self, port: int, request: bytes, until: float, latencies: list[float]) -> None:
        self._port, self._request, self._until, self._latencies = port, request, until, latencies
        self._answer, self._length, self._last = bytearray(), 0, False  # the latter two as soon as the head is there
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send."""
        self._transport: Any = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Receive an answer, or a part of one."""
        self._answer += data
        if not self._length:
            head, end, _ = self._answer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._fail(RuntimeError(self._answer[:1000].decode()))
                return
            head = head.lower()
            self._length = len(head) + len(end) + int(head.partition(b"\r\ncontent-length:")[2].split(None, 1)[0])
            self._last = b"connection: close" in head
        if len(self._answer) < self._length:
            return
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
        if self._last or now >= self._until:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Reconnect, unless the time is over."""
        if self.done.done():
            return
        if exc is not None or time.perf_counter() >= self._until:
            self.done.set_result(None) if exc is None else self._fail(exc)
        else:
            self._again = asyncio.ensure_future(self.connect())

    def _send(self) -> None:
        self._answer.clear()
        self._length = 0
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self._transport.close()


async def load(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    """Return the latency of each answer over so many connections in so many seconds."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    clients = [Client(port, request, until, latencies) for _ in range(connections)]
    await asyncio.gather(*(client.connect() for client in clients))
    await asyncio.gather(*(client.done for client in clients))
    return latencies


def asked(port: int, request: bytes, connections: int, seconds: float) -> tuple[float, float]:
    """Return answers a second and the median latency in milliseconds, measured in a process of its own."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(request)
        file.flush()
        command = [sys.executable, __file__, "--load", str(port), file.name, str(connections), str(seconds)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + START_SECONDS)
    if done.returncode:
        raise RuntimeError(done.stderr[-1500:])
    answers, median = json.loads(done.stdout)
    return answers / seconds, median * 1000


def http(peer: Peer, rows: Rows) -> bytes:
    """Return the HTTP request for these rows."""
    body, more = peer.body(rows)
    headers = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body)), **more}
    lines = [f"POST {peer.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(peer: Peer, request: bytes, log: Path) -> Iterator[tuple[int, float, psutil.Process]]:
    """Start a server; yield its port, the seconds until its first answer, and its process."""
    port = free_port()
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            peer.command(port), cwd=peer.folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **peer.environment},
        )  # fmt: skip
    try:
        while not answers(port, request):
            if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise RuntimeError(f"{peer.name} does not answer: {log.read_text(errors='replace')[-1500:]}")
            time.sleep(0.02)
        yield port, time.perf_counter() - began, psutil.Process(process.pid)
    finally:
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(process.pid)
            for each in [*server.children(recursive=True), server]:  # BentoML's workers leave its process group
                each.kill()
        process.wait()


def answers(port: int, request: bytes) -> bool:
    """Return whether the request gets a 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(request)
            return client.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


def own_server(package: Path) -> Peer:
    """Return the package's own server."""
    command = [sys.executable, "-m", "score.server", "--port"]
    return Peer(SCORE, lambda port: [*command, str(port)], package, "/score", article, environment(package))


def article(rows: Rows) -> tuple[bytes, dict[str, str]]:
    """Return rows in the article's form."""
    return json.dumps({"input": json.dumps(rows)}).encode(), {}


def columns(rows: Rows, output: str) -> tuple[bytes, dict[str, str]]:
    """Return rows in the Open Inference Protocol, a tensor a column, in JSON as MLServer's scikit-learn takes it."""
    inputs = [
        {"name": name, "shape": [len(rows), 1], "datatype": "FP64", "data": [float(row[name]) for row in rows]}
        for name in rows[0]
    ]
    asked = {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": output}]}
    return json.dumps(asked).encode(), {}


def tensors(rows: Rows) -> tuple[bytes, dict[str, str]]:
    """Return rows as binary tensors, and request binary outputs."""
    numpy = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": "INT64" if column.dtype == np.int64 else "FP64",
         "parameters": {"binary_data_size": column.nbytes}}
        for name, column in numpy.items()
    ]  # fmt: skip
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    binary = b"".join(column.tobytes() for column in numpy.values())
    return head + binary, {
        "Inference-Header-Content-Length": str(len(head)),
        "Content-Type": "application/octet-stream",
    }


def environment(package: Path) -> dict[str, str]:
    """Return the variables by which a server finds a package."""
    return {"AZUREML_MODEL_DIR": str(package), "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}


def drawn(count: int) -> Rows:
    """Draw rows of the bundled data's values, each column on its own.

    With one row repeated, the branch predictor would learn the way through the trees.
    """
    import pandas as pd

    table = pd.read_csv(ROOT / "data" / "diabetes.csv").drop(columns="Outcome")
    columns: dict[str, list[Any]] = {
        name: table[name].sample(count, replace=True, random_state=seed).tolist()
        for seed, name in enumerate(map(str, table))
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def measured(peer: Peer, seconds: float, log: Path) -> Measured:
    """Measure one server."""
    single = http(peer, drawn(1))
    rates, medians = {}, {}
    with started(peer, single, log) as (port, cold, process):
        asked(port, single, 1, 1)  # warm
        for connections in CONNECTIONS:
            rates[f"{connections} connections"], medians[f"{connections} connections"] = asked(
                port, single, connections, seconds
            )
        for count in ROWS:
            rates[f"{count} rows"], medians[f"{count} rows"] = asked(port, http(peer, drawn(count)), 1, seconds)
        tree = [process, *process.children(recursive=True)]
        memory = sum(each.memory_full_info().pss for each in tree) / 2**20
    return Measured(cold, memory, rates, medians)


def median(each: Sequence[Measured]) -> Measured:
    """Return the median of each number, as a machine may be slower during one server's measurement."""
    rates, medians = (
        {what: statistics.median(getattr(one, name)[what] for one in each) for what in each[0].a_second}
        for name in ("a_second", "p50_ms")
    )
    cold, memory = (statistics.median(getattr(one, name) for one in each) for name in ("cold_start_s", "memory_mb"))
    return Measured(cold, memory, rates, medians)


def trained(folder: Path) -> Path:
    """Run the main job in this folder; return its package."""
    command = [sys.executable, "run.py", "deploy=none", f"state_dir={folder}/state", f"hydra.run.dir={folder}/run"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [package] = (folder / "state" / "packages").iterdir()
    return package


def peers(package: Path, folder: Path, pythons: argparse.Namespace) -> Iterator[Peer]:
    """Yield score.server, and every server that has an environment."""
    import joblib
    import mlflow

    yield own_server(package)
    served = json.loads((package / "contract.json").read_text())["model"]["name"]
    inferring = replace(own_server(package), path=f"/v2/models/{served}/infer")
    yield replace(inferring, name=JSON, body=partial(columns, output="probabilities"))
    yield replace(inferring, name=BINARY, body=tensors)
    found = environment(package)
    (folder / "article.py").write_text(ARTICLE)
    scripts = {ARTICLE_SCRIPT: folder / "article.py", PACKAGE_SCRIPT: package / "score" / "score.py"}
    for name, script in scripts.items():
        if pythons.azmlinfsrv:
            command = [str(Path(pythons.azmlinfsrv).with_name("azmlinfsrv")), "--entry_script", str(script)]
            yield Peer(
                name,
                lambda port, command=command: [*command, "--worker_count", "1", "--port", str(port)],  # type: ignore[misc]
                folder, "/score", article, found,
            )  # fmt: skip
    mlflow.sklearn.save_model(
        joblib.load(package / "model.pkl"), str(folder / "mlflow"), serialization_format="cloudpickle"
    )
    yield Peer(
        "mlflow models serve",
        lambda port: [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "mlflow"),
                      "--env-manager", "local", "--workers", "1", "--port", str(port)],
        folder, "/invocations", lambda rows: (json.dumps({"dataframe_records": rows}).encode(), {}),
        {**found, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    if pythons.bentoml:
        (folder / "bento").mkdir()
        (folder / "bento" / "service.py").write_text(BENTO)
        yield Peer(
            "BentoML",
            lambda port: [pythons.bentoml, "-m", "bentoml", "serve", "service:Diabetes", "--port", str(port)],
            folder / "bento", "/score", article, {**found, "BENTOML_DO_NOT_TRACK": "True"},
        )  # fmt: skip
    if pythons.mlserver:
        home = folder / "mlserver"
        home.mkdir()
        model = {**MLSERVER, "parameters": {"uri": str(package / "model.pkl")}}
        (home / "model-settings.json").write_text(json.dumps(model))

        def command_of(port: int) -> list[str]:
            ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "parallel_workers": 1}
            (home / "settings.json").write_text(json.dumps({"host": "127.0.0.1", **ports}))
            return [str(Path(pythons.mlserver).with_name("mlserver")), "start", "."]

        asked = partial(columns, output="predict_proba")
        yield Peer("MLServer", command_of, home, "/v2/models/diabetes/infer", asked, found)
    for name in ("azmlinfsrv", "bentoml", "mlserver"):
        if not getattr(pythons, name):
            print(f"{name} is skipped: --{name} names no environment", file=sys.stderr)


def print_results(results: dict[str, Measured]) -> None:
    """Print the measurements, and the ratios of score.server to each other server."""
    own = results[SCORE]
    for name, one in results.items():
        print(f"\n{name}: first answer after {one.cold_start_s:.2f} s, {one.memory_mb:.0f} MB")
        for what, rate in one.a_second.items():
            ratio = "" if one is own else f"   score.server {own.a_second[what] / rate:6.1f} ×"
            print(f"  {what:<15}{rate:9.1f} a second, p50 {one.p50_ms[what]:8.2f} ms{ratio}")
    others = {name: one for name, one in results.items() if name not in (SCORE, JSON, BINARY, PACKAGE_SCRIPT)}
    if others:
        start = min(one.cold_start_s for one in others.values())
        print(f"\nfirst answer, score.server / the fastest other: {own.cold_start_s / start:.2f}")
        for what in ("16 connections", "10000 rows"):
            fastest = max(other.a_second[what] for name, other in others.items() if name != "MLServer")
            print(f"{what}, score.server / the fastest other that takes rows: {own.a_second[what] / fastest:.1f}")
            if "MLServer" in others:
                ratios = [
                    results[name].a_second[what] / others["MLServer"].a_second[what] for name in (SCORE, JSON, BINARY)
                ]
                text = ", ".join(f"{ratio:.1f}" for ratio in ratios)
                print(f"{what}, score.server with rows, JSON and binary tensors / MLServer with JSON tensors: {text}")


def draw(results: dict[str, Measured], file: Path) -> None:
    """Plot requests a second of each server on a logarithmic scale."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    whats = list(next(iter(results.values())).a_second)
    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    height = 0.8 / len(results)
    for place, (name, one) in enumerate(results.items()):
        at = [index + place * height for index in range(len(whats))]
        bars = axes.barh(at, [one.a_second[what] for what in whats], height, label=name)
        axes.bar_label(bars, fmt="%.3g", fontsize=7, padding=2)
    axes.set(xscale="log", xlabel="requests a second", title="One worker each, the same model")
    axes.set_yticks([index + 0.4 - height / 2 for index in range(len(whats))], whats)
    axes.margins(x=0.06)  # room for the longest bar's number
    axes.invert_yaxis()
    axes.legend()
    figure.savefig(file, dpi=120)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("azmlinfsrv", "bentoml", "mlserver"):
        parser.add_argument(f"--{name}", help="the Python of an environment with it")
    parser.add_argument("--package", type=Path, help="a package of the bundled data; else one is trained")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=1, help="of all servers; the median of each number is printed")
    parser.add_argument("--plot", type=Path, help="where to draw it")
    parser.add_argument("--load", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        port, file, connections, seconds = options.load
        uvloop.install()
        latencies = asyncio.run(load(int(port), Path(file).read_bytes(), int(connections), float(seconds)))
        print(json.dumps([len(latencies), statistics.median(latencies)]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        package = (options.package or trained(folder)).resolve()
        found: dict[str, list[Measured]] = defaultdict(list)
        everyone = list(peers(package, folder, options))
        for peer in everyone * options.rounds:
            try:
                one = measured(peer, options.seconds, folder / "log")
            except RuntimeError as error:
                print(f"{peer.name} is left out of a round: {error}", file=sys.stderr)
            else:
                found[peer.name].append(one)
    results = {name: median(each) for name, each in found.items()}
    print_results(results)
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()
