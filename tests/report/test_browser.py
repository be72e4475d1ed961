"""report.html in a real Chromium: axe-core finds nothing in either theme, and charts follow the theme."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from orchestrator.findings import TableFinding
from orchestrator.modeling.decision import Decision
from orchestrator.report.inspection import ColumnChange, DataChanges
from orchestrator.spec.report import CardSpec
from tests.report.trainings import HOSTILE, hostile, table, train, two_classes

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on PATH"),
]
GONE = ColumnChange(HOSTILE[5], "not there any more", "text", "")
MOVED = ColumnChange(HOSTILE[1], "changed", '"Rome": 50 %; other values: 0 %', '"Rome": 10 %; other values: 20 %', 0.4)
CHANGES = DataChanges("champion version 3", 400, 300, MOVED, (GONE, MOVED), 2, 7, (HOSTILE[1], 0.4), 300)
AXE = "const done = arguments[0]; axe.run().then(found => done(found.violations), error => done(String(error)))"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    root = ["--no-sandbox"] * (os.getuid() == 0)
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu", *root):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as driver:
        yield driver


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    classes, labels, X = hostile(), two_classes(400), table(400)
    numbers = train(X, X["a"] + X["b"])
    texts = {
        "classes": classes.page(
            inspection=classes.inspect(slices=[HOSTILE[0], "number"]),
            findings=(TableFinding("data-leak", HOSTILE[1], (HOSTILE[0],)),),
            card=CardSpec(intended_use="Calls.", limits="None known."),
            verdict=["The champion stays."],
            rebuild="orchestrate",
            changes=CHANGES,
        ),
        "labels": labels.page(  # with a reliability diagram and the scores by threshold
            inspection=labels.inspect(slices=["city", "a"]),
            report={"decision": Decision(0.25, "fixed", "yes")},
            changes="There is no champion whose training data could be compared.",
        ),
        "numbers": numbers.page(inspection=numbers.inspect(slices=["city"])),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


def test_the_page_is_accessible_in_both_themes_and_charts_follow_them(
    browser: webdriver.Chrome, pages: dict[str, Path]
) -> None:
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    for path in pages.values():
        colours = set()
        for theme, width in (("light", 1280), ("dark", 1280), ("light", 400)):
            feature = {"name": "prefers-color-scheme", "value": theme}
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(path.as_uri())
            browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
            browser.execute_script(axe)
            violations: list[dict[str, Any]] = browser.execute_async_script(AXE)
            assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == []
            script = "return getComputedStyle(document.querySelector('svg .tick')).fill"
            colours.add((theme, browser.execute_script(script)))
            assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert len(colours) == 2
        assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
