"""Render the pictures of README.md from a real run: ``python docs/render_images.py`` (needs chromium).

It runs the main job on a free port with a state_dir of its own, draws its output as ``images/console.svg``, takes a
screenshot of the service's page as ``images/page.png``, and removes the service.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
DEFAULT_PORT = 6789
COLUMNS = 118


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
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


def take_screenshot(url: str, target: Path, profile: Path) -> None:
    """Save what chromium shows of the page."""
    options = [
        "--headless",
        "--no-sandbox",
        "--hide-scrollbars",
        "--virtual-time-budget=5000",
        "--window-size=1100,900",
    ]
    command = ["chromium", *options, f"--user-data-dir={profile}", f"--screenshot={target}", url]
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    """Run the main job, draw both pictures, remove the service."""
    port = free_port()
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
            take_screenshot(f"http://localhost:{port}/", IMAGES / "page.png", Path(folder) / "browser")
        finally:
            subprocess.run([*command, "stages=remove", f"hydra.run.dir={folder}/last"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
