"""Render the pictures of a real run: ``python docs/render_images.py`` (needs chromium and chromedriver).

It runs the main job on a free port with a state_dir of its own, draws its output as ``images/console.svg``, takes
screenshots of the page that answers the example, of the report and of MLflow's page as ``images/page.png``, ``report.png``
and ``mlflow.png``, and removes the service.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import element_to_be_clickable, visibility_of_element_located
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
DEFAULT_PORT = 6789
COLUMNS = 118
SECONDS = 60


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
    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1000"):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as driver:
        driver.get(url)
        wait = WebDriverWait(driver, SECONDS)
        wait.until(element_to_be_clickable((By.CSS_SELECTOR, "#ask button"))).click()
        wait.until(visibility_of_element_located((By.ID, "prediction")))
        driver.execute_script("document.activeElement.blur()")
        driver.save_screenshot(str(target))


def show_report(report: Path, target: Path) -> None:
    """Save the beginning of a report."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1350"):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as driver:
        driver.get(report.as_uri())
        driver.save_screenshot(str(target))


def show_run_in_mlflow(store: str, run_id: str, target: Path) -> None:
    """Save what MLflow's UI shows of a run."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait

    port = free_port()
    server = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store, "--port", str(port), "--workers", "1"]
    options = ChromeOptions()
    for option in ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1300,1100"):
        options.add_argument(option)
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(server, env=environment, start_new_session=True) as process:
        try:
            wait_for_port(port)
            with Chrome(options, Service("/usr/bin/chromedriver")) as browser:
                browser.get(f"http://127.0.0.1:{port}/#/experiments/1/runs/{run_id}")
                WebDriverWait(browser, 60).until(lambda page: "holdout_roc_auc" in page.page_source)
                for button in browser.find_elements("css selector", "button[aria-label='Close']"):
                    button.click()  # what lies over the page
                time.sleep(2)  # for what appears gradually
                browser.save_screenshot(str(target))
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def wait_for_port(port: int) -> None:
    """Return once a process listens there."""
    for _ in range(1800):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    raise SystemExit(f"no process listens on port {port}")


def main() -> None:
    """Run the main job, draw the pictures, remove the service."""
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
            show_report(Path(folder, "first", "report.html"), IMAGES / "report.png")
            run_id = json.loads(Path(folder, "first", "result.json").read_text())["run_id"]
            show_run_in_mlflow(f"sqlite:///{folder}/state/mlflow.db", run_id, IMAGES / "mlflow.png")
        finally:
            subprocess.run([*command, "stages=remove", f"hydra.run.dir={folder}/last"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
