"""The page at / in a real Chromium: the form, the answer, mistakes at their fields, a file, the key, dark mode."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from score.contract import training_info
from score.contract.cells import BOOLEANS, MISSING, TableFormat
from score.contract.schema import FILE, Contract
from score.predict.predictor import Predictor
from score.transforms import DateParts
from tests.score.conftest import MakePackage, Serve
from tests.score.predict.test_explaining import with_explanations

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on PATH")
SECONDS = 60
T = TypeVar("T")


class Page:
    """A browser tab with helpers to fill in and read the page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str, *, dark: bool = False, width: int = 1280) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(url)
        self.until(lambda: any(self.find(part).is_displayed() for part in ("#main", "#unlock")))

    def find(self, selector: str) -> WebElement:
        return self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector))[0]

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def until(self, what: Callable[[], T]) -> T:
        found: T = WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(lambda _: what())
        return found

    def field(self, name: str) -> WebElement:
        return self.find(f'[name="{name}"]')

    def type(self, name: str, text: str) -> None:
        element = self.field(name)
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(text or Keys.DELETE)

    def note(self, name: str, kind: str = "error") -> str:
        return self.text(f"#{self.field(name).get_attribute('id')}-{kind}")

    def prediction(self) -> str:
        """Press the button and return the prediction that the page shows."""
        self.driver.execute_script("document.getElementById('answer').replaceChildren()")
        self.find("#ask button").click()
        return self.text("#prediction")

    def code(self, language: str) -> str:
        return str(self.find(f"#code-{language}").get_attribute("textContent"))

    def colours(self, selector: str) -> tuple[float, float]:
        """Return the luminance of a text and of the page's background."""
        script = "const s = (e, p) => getComputedStyle(e)[p]; return [s(arguments[0], 'color'), s(document.body, 'backgroundColor')]"
        found = self.driver.execute_script(script, self.find(selector))
        text, ground = (luminance(colour) for colour in found)
        return text, ground

    def complaints(self) -> list[str]:
        """Return the browser's own errors; a 400 or 401 is an expected answer."""
        logged = (entry["message"] for entry in self.driver.get_log("browser"))  # type: ignore[no-untyped-call]
        return [message for message in logged if not re.search(r"status of 40[01]", message)]


def luminance(colour: str) -> float:
    """Return the relative luminance of a CSS colour, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def page(downloads: Path) -> Iterator[Page]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        *["--no-sandbox"] * (os.getuid() == 0),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        yield Page(driver)
    finally:
        driver.quit()


@contextmanager
def at(serve: Serve, package: Path, *options: str) -> Iterator[str]:
    with serve(package, *options) as (_, process):
        assert isinstance(process.args, list)
        yield f"http://127.0.0.1:{process.args[process.args.index('--port') + 1]}/"


@pytest.fixture(scope="module")
def diabetes_url(pima: Path, serve: Serve) -> Iterator[str]:
    with at(serve, pima) as url:
        yield url


@pytest.fixture(scope="module")
def explained_url(pima: Path, X: pd.DataFrame, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with at(serve, with_explanations(pima, X, tmp_path_factory.mktemp("explained") / "package")) as url:
        yield url


@pytest.fixture(scope="module")
def survey_url(survey: Path, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text('{"primary": "one", "secondary": "two"}')
    with at(serve, survey, "--keys", str(keys)) as url:
        yield url


def test_the_form_gives_the_number_that_the_api_gives(page: Page, diabetes_url: str, pima_scorer: Predictor) -> None:
    page.open(diabetes_url)
    assert page.text("h1") == "m"
    example = {column.name: column.example for column in pima_scorer.contract.columns}
    assert page.field("BMI").get_attribute("value") == str(example["BMI"])
    page.type("Glucose", "99")
    page.type("BMI", "31.25")
    reply = pima_scorer.score({"data": [example | {"Glucose": 99, "BMI": 31.25}]}).payload
    assert page.prediction() == str(reply["predictions"][0])
    shown = [element.text for element in page.driver.find_elements(By.CSS_SELECTOR, ".chance code")]
    assert [float(number) for number in shown] == reply["probabilities"][0]
    bars = [element.size["width"] for element in page.driver.find_elements(By.CSS_SELECTOR, ".track > div")]
    assert bars[1] / sum(bars) == pytest.approx(reply["probabilities"][0][1], abs=0.02)
    assert page.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_an_answer_is_explained_by_a_bar_for_each_column(page: Page, explained_url: str, dark: bool) -> None:
    page.open(explained_url, dark=dark, width=390 if dark else 1280)
    assert not page.find("#explain").is_displayed()
    page.type("Glucose", "180")
    page.prediction()
    page.until(page.find("#explain").is_displayed)
    page.find("#explain").send_keys(Keys.ENTER)
    page.until(page.find("#explanation").is_displayed)
    assert page.text("#explanation h3") == "What each column adds to the probability of 1"
    assert page.driver.switch_to.active_element == page.find("#explanation")
    first, *rows, last = page.driver.find_elements(By.CSS_SELECTOR, "#explanation tbody tr")
    cells = [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in rows]
    assert [name for name, *_ in cells].count("Glucose") == 1
    assert len(cells) == 8
    assert cells[0][:2] == ["Glucose", "180"]
    amounts = [float(amount.replace("\u2212", "-")) for _, _, amount, _ in cells]
    assert [abs(amount) for amount in amounts] == sorted(map(abs, amounts), reverse=True)
    ends = [float(row.find_element(By.CSS_SELECTOR, ".number").text) for row in (first, last)]
    assert ends[0] + sum(amounts) == pytest.approx(ends[1], abs=0.01)
    shown = float(page.driver.find_elements(By.CSS_SELECTOR, ".chance code")[1].text)
    assert ends[1] == pytest.approx(shown, abs=0.0005)
    bars = [row.find_element(By.CSS_SELECTOR, ".effect div") for row in rows]
    assert bars[1].size["width"] / bars[0].size["width"] == pytest.approx(abs(amounts[1] / amounts[0]), abs=0.05)
    assert [bar.get_attribute("class") == "down" for bar in bars] == [amount < 0 for amount in amounts]
    named = page.find("#explanation table")
    assert (named.aria_role, named.accessible_name) == ("table", page.text("#explanation h3"))
    for selector in ("#explanation h3", "#explanation th", "#explanation .number", "#explain"):
        text, ground = page.colours(selector)
        assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) >= 4.5, selector
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    if shots := os.environ.get("EXPLANATION_SHOTS"):
        page.find("#explanation").screenshot(f"{shots}/{'dark' if dark else 'light'}.png")
    page.type("Age", "old")
    page.find("#ask button").click()
    page.until(lambda: page.note("Age"))
    assert not page.find("#explanation").is_displayed()
    assert page.complaints() == []


def test_wrong_input_is_reported_at_its_field(page: Page, diabetes_url: str) -> None:
    page.open(diabetes_url)
    page.type("Age", "old")
    page.type("Glucose", "")
    page.find("#ask button").click()
    page.until(lambda: page.note("Age"))
    assert page.note("Age").startswith('"old" is text; expected an integer')
    assert page.note("Glucose").startswith("the value is missing")
    assert page.note("BMI") == ""
    assert (page.field("Age").get_attribute("aria-invalid"), page.field("BMI").get_attribute("aria-invalid")) == (
        "true",
        "false",
    )
    described = str(page.field("Age").get_attribute("aria-describedby")).split()
    assert str(page.field("Age").get_attribute("id")) + "-error" in described
    assert page.driver.switch_to.active_element == page.field("Glucose")
    assert page.text("#answer").startswith("2 values are not what the model takes")
    page.type("Age", "41")
    page.type("Glucose", "100")
    assert page.prediction() in {"0", "1"}
    assert page.note("Age") == page.note("Glucose") == ""


def test_values_unlike_training_are_reported_at_their_field(page: Page, diabetes_url: str) -> None:
    page.open(diabetes_url)
    page.type("Age", "119")
    page.prediction()
    assert page.until(lambda: page.note("Age", "warn")).startswith("Training saw no value like this")
    page.find("#ask [type=reset]").click()
    page.until(lambda: page.note("Age", "warn") == "")
    assert page.field("Age").get_attribute("value") != "119"


def test_the_page_works_by_keyboard(page: Page, diabetes_url: str) -> None:
    page.open(diabetes_url)
    page.find("#field-0")
    names: list[str] = []
    focused = page.driver.switch_to.active_element
    while "BMI" not in names:
        focused.send_keys(Keys.TAB)
        focused = page.driver.switch_to.active_element
        names.append(str(focused.get_attribute("name")))
    focused.send_keys(Keys.CONTROL, "a")
    focused.send_keys("30", Keys.ENTER)
    assert page.text("#prediction") in {"0", "1"}
    unnamed = [
        element.get_attribute("id")
        for element in page.driver.find_elements(By.CSS_SELECTOR, "main input, main select, main button")
        if element.is_displayed() and not element.accessible_name
    ]
    assert unnamed == []


def test_the_code_samples_send_the_forms_request(page: Page, diabetes_url: str) -> None:
    page.open(diabetes_url)
    page.type("BMI", "28.5")
    page.prediction()
    shown = [element.text for element in page.driver.find_elements(By.CSS_SELECTOR, ".chance code")]
    curl = subprocess.run(["bash", "-c", page.code("curl")], capture_output=True, check=True, timeout=SECONDS)
    python = subprocess.run(
        [sys.executable, "-c", page.code("Python")], capture_output=True, check=True, timeout=SECONDS
    )
    script = "const done = arguments[0], console = {log: done};" + f"(async () => {{{page.code('JavaScript')}}})()"
    replies = [
        json.loads(curl.stdout),
        json.loads(python.stdout.replace(b"'", b'"')),
        page.driver.execute_async_script(script),
    ]
    assert [list(map(str, reply["probabilities"][0])) for reply in replies] == [shown] * 3


@pytest.mark.nightly
def test_a_regression_has_a_number_and_no_bars(page: Page, line: Path, serve: Serve) -> None:
    with at(serve, line) as url:
        page.open(url)
        page.type("Age", "40")
        assert float(page.prediction()) == pytest.approx(100)
        assert page.text("#summary") == "Predicts a number."
        assert not page.find("#made").is_displayed()
        assert not page.driver.find_elements(By.CSS_SELECTOR, ".chance")


def test_a_file_is_scored_to_a_file(
    page: Page, diabetes_url: str, pima_scorer: Predictor, X: pd.DataFrame, downloads: Path, tmp_path: Path
) -> None:
    rows = pd.concat([X, X]).reset_index(drop=True).astype(object)  # several requests
    rows.insert(0, "who", [f'Ann, "{i}"\nof X' for i in range(len(rows))])
    rows.loc[3, "Age"] = "old"
    rows.loc[700:820, "BMI"] = None  # more problems than one refusal lists
    rows.loc[50, "Age"] = "torn"  # a row with too few values is found before the service sees any
    text = re.sub('(of X"),.*,torn$', r"\1,2", rows.to_csv(index=False), flags=re.MULTILINE).replace("\n", "\r\n")
    (tmp_path / "people.csv").write_text(f"\ufeff{text}1,2\r\n", newline="")
    page.open(diabetes_url)
    page.find("#file").send_keys(str(tmp_path / "people.csv"))
    page.find("#upload button").click()
    left = rows.drop([3, 50, *range(700, 821)])
    page.until(
        lambda: page.text("#scored").startswith(f"{len(left)} rows scored, {len(rows) + 1 - len(left)} refused.")
    )
    for link in page.driver.find_elements(By.CSS_SELECTOR, "#scored a"):
        link.click()
    page.until(lambda: {path.name for path in downloads.iterdir()} == {"people.scored.csv", "people.rejected.csv"})

    header, *scored = csv.reader(io.StringIO((downloads / "people.scored.csv").read_text(encoding="utf-8"), newline=""))
    assert header == [*rows, "prediction", "probability_0", "probability_1"]
    reply = pima_scorer.score({"data": left.drop(columns="who").to_dict("records")}).payload
    assert [row[0].replace("\r", "") for row in scored] == list(left["who"])
    assert [row[-3] for row in scored] == list(map(str, reply["predictions"]))
    assert [[float(cell) for cell in row[-2:]] for row in scored] == reply["probabilities"]
    rejected = pd.read_csv(downloads / "people.rejected.csv")
    assert list(dict.fromkeys(rejected["row"])) == [3, 50, *range(700, 821), len(rows)]
    assert page.complaints() == []


@pytest.mark.nightly
def test_cells_are_read_as_training_read_them(
    page: Page, survey: Path, serve: Serve, mixed: pd.DataFrame, tmp_path: Path
) -> None:
    rows = mixed.head(len(BOOLEANS) + len(MISSING) + 1).astype(object)
    rows["member"] = [*BOOLEANS, *["True"] * len(MISSING), "tRUE"]
    rows["city"] = [*["Oslo"] * len(BOOLEANS), *MISSING, "Oslo"]
    rows.to_csv(tmp_path / "cells.csv", index=False)
    with at(serve, survey) as url:
        page.open(url)
        page.find("#file").send_keys(str(tmp_path / "cells.csv"))
        page.find("#upload button").click()
        page.until(lambda: page.text("#scored").startswith(f"{len(rows) - 1} rows scored, 1 refused."))
        assert page.text("#scored td:nth-child(2)") == "member"


@pytest.mark.nightly
def test_it_shows_when_and_from_what_the_model_was_trained(
    page: Page, pima: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = shutil.copytree(pima, tmp_path / "package")
    bounds = {"roc_auc": {"low": 0.772375, "high": 0.898061, "level": 0.95, "method": "delong-logit"}}
    metrics = {"roc_auc": 0.844815, "f1": 0.645833}
    about = training_info.About("Forest", {}, metrics, 614, 154, "abc", "Outcome", intervals=bounds)
    training_info.write(package, about, {})
    origin = {
        "version": "7",
        "data": "diabetes.csv",
        "trained": "2026-11-22T12:00:00+00:00",
        "rebuild": "python run.py 'a=<b>'",
        "gate": "passed: there is no champion yet",
    }
    monkeypatch.setenv("SCORE_ORIGIN", json.dumps(origin))
    with at(serve, package) as url:
        page.open(url)
        assert page.text("#summary") == "Predicts Outcome: one of 2 classes, 0, 1."
        assert re.fullmatch(r"Version 7 · trained .*2026.* · on diabetes\.csv", page.text("#made"))
        assert "614 rows of diabetes.csv" in page.text("#facts")
        assert page.text("#facts code") == origin["rebuild"]
        assert f"Decision\n{origin['gate']}\n" in page.text("#facts")
        assert page.text("#metrics dl").split("\n")[1::2] == ["0.845 (95 %: 0.772 to 0.898)", "0.645833"]


def test_a_file_without_the_columns_is_refused_with_their_names(page: Page, diabetes_url: str, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("Age;BMI\n1;2\n")
    page.open(diabetes_url)
    page.find("#upload button").click()
    assert page.until(lambda: page.text("#file-error")) == "Choose a file first."
    page.find("#file").send_keys(str(tmp_path / "other.csv"))
    page.find("#upload button").click()
    page.until(lambda: "'Pregnancies'" in page.text("#file-error"))
    assert "'BMI'" not in page.text("#file-error")


def test_a_key_is_asked_for_and_kept_nowhere(page: Page, survey_url: str) -> None:
    page.open(survey_url)
    page.until(lambda: page.text("#summary") == "This service needs a key.")
    assert not page.driver.find_elements(By.CSS_SELECTOR, "#field-0")
    page.find("#key").send_keys("three", Keys.ENTER)
    page.until(lambda: page.text("#key-error") == "This is not the service's key.")
    page.find("#key").send_keys("two", Keys.ENTER)
    page.find("#field-0")
    held = page.driver.execute_script(
        "return JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    )
    assert "two" not in held
    assert "$SCORE_KEY" in page.code("curl")
    environment = {**os.environ, "SCORE_KEY": "one"}
    curl = subprocess.run(
        ["bash", "-c", page.code("curl")], env=environment, capture_output=True, check=True, timeout=SECONDS
    )
    assert json.loads(curl.stdout)["predictions"] == [page.prediction()]
    page.driver.refresh()
    page.until(lambda: page.text("#summary") == "This service needs a key.")


def test_each_kind_of_column_has_its_field(page: Page, survey_url: str, survey_scorer: Predictor) -> None:
    page.open(survey_url)
    page.until(lambda: page.text("#summary") == "This service needs a key.")
    page.find("#key").send_keys("one", Keys.ENTER)
    choices = {
        name: [option.text for option in Select(page.field(name)).options]
        for name in ("city", "grade", "level", "member")
    }
    assert choices == {
        "city": ["(missing)", "Kyiv", "Oslo", "Rome"],
        "grade": ["low", "high"],
        "level": ["1", "2", "3"],
        "member": ["false", "true"],
    }
    Select(page.field("city")).select_by_visible_text("(missing)")
    Select(page.field("level")).select_by_visible_text("3")
    Select(page.field("member")).select_by_visible_text("true")
    page.type("income", "")
    page.type("note", 'it\'s \\ "new" 007 é')
    page.type("age", "33")
    row = {"age": 33, "income": None, "member": True, "city": None, "level": 3, "note": 'it\'s \\ "new" 007 é'}
    example = {column.name: column.example for column in survey_scorer.contract.columns}
    reply = survey_scorer.score({"data": [example | row]}).payload
    assert page.prediction() == reply["predictions"][0]
    environment = {**os.environ, "SCORE_KEY": "one"}
    curl = subprocess.run(
        ["bash", "-c", page.code("curl")], env=environment, capture_output=True, check=True, timeout=SECONDS
    )
    assert json.loads(curl.stdout) == reply


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_readable_by_day_and_by_night_at_any_width(page: Page, diabetes_url: str, width: int, dark: bool) -> None:
    page.open(diabetes_url, dark=dark, width=width)
    page.prediction()
    for selector in ("h1", ".hint", "a:not(.skip)", "label", "dt", ".chance code"):
        text, ground = page.colours(selector)
        assert (ground < 0.05) == dark
        assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) >= 4.5, selector
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
    assert page.driver.execute_script(
        "return performance.getEntriesByType('resource').every(entry => new URL(entry.name).origin === location.origin)"
    )
    assert page.complaints() == []


@pytest.mark.nightly
def test_dates_have_date_fields_and_cells_are_read_as_the_table_wrote_them(
    page: Page, make_package: MakePackage, serve: Serve, tmp_path: Path
) -> None:
    days = pd.Series(pd.date_range("2024-01-01", periods=40)).astype("datetime64[us]")
    times = (days + pd.Timedelta(hours=9, minutes=30)).dt.tz_localize("UTC")
    X = pd.DataFrame({"day": days, "at": times})
    model = make_pipeline(DateParts(), RandomForestClassifier(5, random_state=0)).fit(X, days.dt.day > 15)
    package = make_package(model, X)
    form = TableFormat(dates={"day": "%d-%b-%Y", "at": "ISO8601"})
    replace(Contract.from_json((package / FILE).read_bytes()), table=form).write(package)
    with at(serve, package) as url:
        page.open(url)
        assert [page.field(name).get_attribute("type") for name in ("day", "at")] == ["date", "datetime-local"]
        assert [page.field(name).get_attribute("value") for name in ("day", "at")] == ["2024-01-01", "2024-01-01T09:30"]
        assert page.prediction() == "0"
        assert '"day": "2024-01-01", "at": "2024-01-01T09:30Z"' in page.code("curl")
        for name, text in (("day", "2024-01-20"), ("at", "2024-01-20T09:30")):
            typed = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
            page.driver.execute_script(typed, page.field(name), text)
        assert '"day": "2024-01-20", "at": "2024-01-20T09:30Z"' in page.code("curl")
        assert page.prediction() == "1"
        (tmp_path / "cells.csv").write_text("day,at\n20-Jan-2024,2024-01-20 09:30Z\n31-Feb-2024,2024-01-20 09:30Z\n")
        page.find("#file").send_keys(str(tmp_path / "cells.csv"))
        page.find("#upload button").click()
        page.until(lambda: page.text("#scored").startswith("1 rows scored, 1 refused."))
        assert page.text("#scored td:nth-child(2)") == "day"
