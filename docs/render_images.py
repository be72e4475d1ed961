"""Render the pictures of README.md from a real run, with chromium and chromedriver: ``python docs/render_images.py``.

It runs the main job on a free port with a state_dir of its own, draws its output as ``images/console.svg``, scores
the example in the service's page, takes a screenshot of it as ``images/page.png``, and removes the service.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
DEFAULT_PORT = 6789
COLUMNS = 118


def free_port() -> int:
    """Return a port that no process listens on."""
    return bound(0)


def default_port() -> int:
    """Return the service's own port, which the page shows, if no process listens on it."""
    try:
        return bound(DEFAULT_PORT)
    except OSError:
        return free_port()


def bound(port: int) -> int:
    """Bind a port for a moment and return it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])


def draw(output: str, target: Path) -> None:
    """Write the output of a command as an SVG picture of a terminal."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        for line in output.splitlines():
            text = Text(line)
            text.highlight_regex("^✓", "bold green")
            text.highlight_regex("^plan:.*", "dim")
            text.truncate(COLUMNS, overflow="ellipsis")
            console.print(text)
        svg = console.export_svg(title="python run.py")
    target.write_text(
        re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    )  # viewers need no font of the internet


def take_screenshot(url: str, target: Path) -> None:
    """Score the form's example in chromium, and save what the page shows then."""
    arguments = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1000"]
    options = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}
    port = free_port()
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)  # noqa: S607 -- the one on the path
    try:
        wait_for(lambda: call(port, "status")["ready"])
        session = f"session/{call(port, 'session', {'capabilities': {'alwaysMatch': options}})['sessionId']}"
        try:
            call(port, f"{session}/url", {"url": url})
            wait_for(lambda: execute(port, session, "return !document.querySelector('#main').hidden"))
            execute(port, session, "document.querySelector('#ask button').click()")
            wait_for(lambda: execute(port, session, "return !document.querySelector('#answer .hint')"))
            execute(port, session, "document.activeElement.blur()")
            target.write_bytes(base64.b64decode(call(port, f"{session}/screenshot")))
        finally:
            call(port, session, method="DELETE")
    finally:
        driver.terminate()
        driver.wait()


def call(port: int, path: str, body: Mapping[str, Any] | None = None, method: str | None = None) -> Any:
    """Send a WebDriver command and return its value."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 -- http, as written above
        return json.load(reply)["value"]


def execute(port: int, session: str, script: str) -> Any:
    """Return what a script returns in the page."""
    return call(port, f"{session}/execute/sync", {"script": script, "args": []})


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError):  # chromedriver is starting
            if condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError("the browser did not show the page's answer within 60 s")
        time.sleep(0.1)


def main() -> None:
    """Run the main job, draw both pictures, remove the service."""
    port = default_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "run.py", f"state_dir={folder}/state", f"deploy.port={port}"]
        try:
            first = [*command, f"hydra.run.dir={folder}/first"]
            output = subprocess.run(first, cwd=ROOT, check=True, capture_output=True, text=True).stdout
            for real, shown in (  # show what a first run in a clone prints
                (f"state_dir={folder}/state deploy.port={port} ", ""),
                (f"{folder}/first/", "outputs/2026-11-29/12-41-07-204518/"),
                (f"{folder}/", ""),
                ("sqlite:///state", "sqlite:///.../state"),
                (sys.executable, ".venv/bin/python"),
                (f":{port}", f":{DEFAULT_PORT}"),
            ):
                output = output.replace(real, shown)
            draw(output, IMAGES / "console.svg")
            take_screenshot(f"http://localhost:{port}/", IMAGES / "page.png")
        finally:
            subprocess.run([*command, "stages=remove", f"hydra.run.dir={folder}/last"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
