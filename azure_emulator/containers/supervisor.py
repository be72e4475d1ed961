"""Supervisor of a container instance: runs azmlinfsrv, restarts it when it ends, and serves the key proxy.

``python -m azure_emulator.containers.supervisor FOLDER`` runs in a session of its own, so it outlives the emulator.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import uvicorn
from starlette.concurrency import run_in_threadpool

from azure_emulator.containers.instance import Instance, State
from azure_emulator.containers.key_proxy import is_healthy, key_proxy_app

_MAX_FAILED_STARTS = 3  # in a row; then it is a crash loop
_BACK_OFF = 0.5
_OUT_OF_MEMORY = 137


class Supervisor:
    """Restarts azmlinfsrv as a container platform would."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._spec = instance.spec
        self._starts = 0

    async def run(self) -> None:
        """Restart the server until it is a crash loop; a healthy start resets the count."""
        failed_starts = 0
        while failed_starts < _MAX_FAILED_STARTS:
            self._starts += 1
            self._write_state(State("Starting", self._starts))
            healthy, code = await self._run_once()
            self._write_state(State("Starting", self._starts, code))
            failed_starts = 0 if healthy else failed_starts + 1
            await asyncio.sleep(_BACK_OFF * failed_starts)
        self._write_state(State("CrashLoopBackOff", self._starts, code))

    async def _run_once(self) -> tuple[bool, int]:
        """Run the server to its end; return whether it got healthy, and the exit code."""
        binary = Path(self._spec.image) / "bin" / "azmlinfsrv"
        with self._instance.log.open("ab", buffering=0) as log:
            if not binary.exists():  # the conda file does not install the server
                log.write(b'exec: "azmlinfsrv": executable file not found in $PATH\n')
                return False, 127
            process = await asyncio.create_subprocess_exec(
                binary, "--entry_script", self._spec.driver, "--port", str(self._spec.server_port),
                cwd=self._spec.app, env=self._environment(), stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            healthy = False
            while process.returncode is None:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait(), 0.2)
                    break
                if self._memory(process.pid) > self._spec.memory_gb * 1024**3:
                    log.write(f"OOMKilled: over the memory limit of {self._spec.memory_gb:g} GB\n".encode())
                    _kill(process.pid)
                    await process.wait()
                    return healthy, _OUT_OF_MEMORY
                if not healthy and await run_in_threadpool(is_healthy, self._spec.server_port):
                    healthy = True
                    self._write_state(State("Healthy", self._starts))
            return healthy, process.returncode or 0

    def _environment(self) -> dict[str, str]:
        image = Path(self._spec.image)
        # a container starts with an empty environment: only what a process needs is inherited
        inherited = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ", "TMPDIR") if name in os.environ}
        return inherited | {
            "PATH": f"{image / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": self._spec.app,
            "AML_APP_ROOT": self._spec.app,
            "AZUREML_MODEL_DIR": "azureml-models",
            "PYTHONUNBUFFERED": "1",
            "GUNICORN_CMD_ARGS": f"--config {Path(__file__).with_name('gunicorn_config.py')}",
            **self._spec.environment,
        }

    @staticmethod
    def _memory(pid: int) -> int:
        total = 0
        with contextlib.suppress(psutil.Error):
            top = psutil.Process(pid)
            for process in [top, *top.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total

    def _write_state(self, state: State) -> None:
        self._instance.write("state.json", asdict(state))


def _kill(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            with contextlib.suppress(psutil.Error):
                process.kill()


async def main(folder: Path) -> None:
    """Serve until a signal, or until the crash loop."""
    instance = Instance(folder)
    config = uvicorn.Config(
        key_proxy_app(instance), "127.0.0.1", instance.spec.port, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    supervisor = asyncio.create_task(Supervisor(instance).run())
    supervisor.add_done_callback(lambda _: setattr(server, "should_exit", True))
    await server.serve()
    supervisor.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
