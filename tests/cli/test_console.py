"""Console output: a live line on a terminal, one plain line a step in a pipe."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console as Terminal

from orchestrator.artifacts import (
    Candidate,
    Dataset,
    Endpoint,
    Evaluation,
    Keys,
    ModelVersion,
    Package,
    Probe,
    Search,
    ServiceStatus,
    Trained,
    Verification,
)
from orchestrator.cli.console import Console, TimeLeft
from orchestrator.cli.descriptions import curl_line
from orchestrator.events import (
    Event,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepPlan,
    StepProgress,
    StepSkipped,
    StepStarted,
)
from orchestrator.findings import CheckedTable, TableFinding
from orchestrator.gate.verdict import Verdict
from orchestrator.reading.description import ColumnReading, TableReading
from score.contract import golden
from score.contract.cells import TableFormat

ROOT = Path(__file__).parents[2]
ESCAPE = "\x1b"
PACKAGE = Package(Path("/p"), "0123456789abcdef0123", "m")
TRAIN = StepPlan("train", ("Split", "Search"), "Trained", why="changed: seed")
BEST = Trained(None, 0, [Candidate({"max_depth": 2, "n": None}, {}, {}, 1, 0.1)])


def output(*events: Event, terminal: bool = False, verbose: bool = False) -> str:
    out = io.StringIO()
    screen = Terminal(file=out, force_terminal=terminal, width=200, highlight=False, soft_wrap=True)
    console = Console(screen, verbose=verbose)
    for event in events:
        console(event)
    return out.getvalue()


def test_findings_stand_in_one_block() -> None:
    spelled = TableFinding("data-spelling", "column 'city': look")
    reading = TableReading(12, [], {}, ["2 rows repeat", spelled.text], TableFormat(), (spelled,))
    load = finished("load", Dataset(None, None, None, "", reading))  # type: ignore[arg-type]  # no frame is needed here
    ids = [TableFinding("data-identifier", f"column {at}", (f"{at}",), {"data.drop": [f"{at}"]}) for at in "abcdefg"]
    warn = finished("warn", CheckedTable((*ids, spelled), "'data.drop=[a,b]'", "a sample"))
    started = RunStarted((StepPlan("warn", (), "CheckedTable"),))
    lines = output(started, load, warn).splitlines()
    assert lines[2:] == [
        "  2 rows repeat",
        "✓ warn           1.23 s  8 findings (a sample)",
        *(f"  data-identifier: column {at}" for at in "abcde"),
        "  and 2 more like these",
        "  data-spelling: column 'city': look",
        "  all at once: 'data.drop=[a,b]'",
    ]
    assert output(finished("warn", CheckedTable((ids[0],), "'data.drop=[a]'"))).splitlines()[0].endswith("1 finding")
    assert output(finished("warn", CheckedTable(()))).splitlines() == ["✓ warn           1.23 s  no findings"]


def finished(name: str, artifact: Any, why: str = "") -> StepFinished:
    return StepFinished(StepPlan(name, (), "", why=why), 1.234, artifact)


def test_load_says_how_the_table_was_read() -> None:
    columns = [
        ColumnReading("age", "numbers", "float64", None, 3, {"": 2, "NA": 1}),
        ColumnReading("city", "categories", "str", 4, 0, {}),
    ]
    reading = TableReading(12, columns, {"id": "data.drop"}, ["column 'city': look"], TableFormat())
    event = finished("load", Dataset(None, None, None, "", reading))  # type: ignore[arg-type]  # no frame is needed here
    line = "✓ load           1.23 s  12 rows; 1 number, 1 category (4 levels); missing: 3 cells in 1 column (empty 2, 'NA' 1)"
    assert output(event).splitlines() == [line, "  column 'city': look"]
    assert output(event, verbose=True).splitlines() == [
        line,
        "  age   numbers (float64), 3 missing (empty 2, 'NA' 1)",
        "  city  categories (str), 4 distinct values",
        "  id    left out (data.drop)",
        "  column 'city': look",
    ]


def test_a_pipe_gets_one_plain_line_a_step() -> None:
    out = output(
        RunStarted((TRAIN, StepPlan("load", (), "Dataset"))),
        StepStarted(TRAIN),
        *(StepProgress(done, 45, "best 0.8") for done in range(46)),
        StepFinished(TRAIN, 2.5, BEST),
        StepFinished(StepPlan("prove", (), "Verification", cached=True), 0.0),
        StepFinished(StepPlan("load", (), "Dataset", cached=True, why="nothing that runs takes it"), 0.0),
        RunFinished(2.6),
    )
    assert ESCAPE not in out
    assert out.splitlines() == [
        "plan: train → load",
        "✓ train          2.50 s  best max_depth=2, n=None — changed: seed",
        "· prove                  cached",
        "· load                   not needed: nothing that runs takes it",
    ]


@pytest.mark.parametrize(
    ("artifact", "text"),
    [
        (Search(None, 9, 45), "9 candidates, 45 fits"),
        (Search(SimpleNamespace(factor=3), 9, None), "9 candidates, halved from round to round"),
        (Search(None, 9, None), "9 candidates, fits by the folds of the rows"),
        (Trained(None, 0, [Candidate({}, {}, {}, 1, 0.1)]), "best (no grid)"),
        (
            Trained(
                None, 0, [Candidate({"C": 1}, {}, {}, 1, 0.1), Candidate({"C": 2}, {}, {}, 2, 0.1, error="Odd: no")]
            ),
            "best C=1; 1 of 2 candidates failed and were left out:\n  C=2: Odd: no",
        ),
        (Evaluation({"roc_auc": 0.84512}, {}), "hold-out roc_auc 0.845"),
        (PACKAGE, "0123456789abcdef"),
        (Verification("f", 5, 200 << 20), "5 golden requests answered as in training in a clean process (200 MiB)"),
        (ModelVersion("m", "3", "r", PACKAGE), "m version 3"),
        (ModelVersion("m", "", None, PACKAGE), "not tracked"),
        (Endpoint("http://x/score", "local", True, PACKAGE, {"Authorization": "secret"}), "http://x/score"),
        (
            Probe(5, 1.26, 2.0, True),
            "5 golden requests answered as in training, refuses requests without the key; p50 1.3 ms",
        ),
        (Probe(5, 1.26, 2.0, None), "5 golden requests answered as in training; p50 1.3 ms, p95 2.0 ms"),
        (ServiceStatus("svc", "absent"), "svc is absent"),
        (ServiceStatus("svc", "healthy", "http://x", {"pid": "7"}), "svc is healthy at http://x\n  pid: 7"),
        (Keys("one", "two"), "\n  primary: one\n  secondary: two"),
        ("a line\nanother [bold]\n", "\na line\nanother [bold]"),
        (object(), ""),
    ],
)
def test_artifacts_are_described_in_a_few_words(artifact: Any, text: str) -> None:
    out = output(finished("stage", artifact))
    assert out.startswith("✓ stage          1.23 s")
    assert text in out
    assert "secret" not in out
    assert not re.search(r" \n", out)
    assert ("\n" in text) == (len(out.splitlines()) > 1)


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("every time", False),
        ("not in the cache yet", False),
        ("train takes it", False),
        ("asked for after all", False),
        ("changed: scikit-learn", True),
        ("its cache entry is damaged: product.pkl is not what was written", True),
        ("not in the cache yet; not kept: OSError: No space left on device", True),
    ],
)
def test_only_reasons_that_are_news_are_shown_when_a_step_has_run(why: str, shown: bool) -> None:
    assert (why in output(finished("stage", None, why))) == shown


def test_a_failed_step_is_printed_once() -> None:
    error = ValueError("printed elsewhere")
    out = output(StepStarted(TRAIN), StepFailed(TRAIN, 0.5, error), RunFinished(0.5, error))
    assert out.splitlines() == ["✗ train          0.50 s  failed"]


def test_a_terminal_shows_fits_done_the_best_score_and_the_time_left() -> None:
    out = output(
        StepStarted(TRAIN),
        StepProgress(0, 45),
        StepProgress(15, 45, "best roc_auc 0.8123"),
        StepFinished(TRAIN, 2.5, BEST),
        RunFinished(2.6),
        terminal=True,
    )
    assert ESCAPE in out
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out)
    assert "train        changed: seed" in plain  # while nothing is known of its length
    assert re.search(r"train .*━.* 0/45 +-:--:-- left", plain)
    assert re.search(r"train .*━.* 15/45 +0:00:00 left best roc_auc 0\.8123", plain)
    assert "✓ train          2.50 s  best max_depth=2" in plain
    assert plain.count("✓") == 1


def test_nothing_stays_on_the_terminal_after_a_failure() -> None:
    out = output(StepStarted(TRAIN), StepFailed(TRAIN, 0.1, ValueError()), RunFinished(0.1), terminal=True)
    assert out.endswith("\x1b[31m✗ train          0.10 s  failed\x1b[0m\n")


def test_the_time_left_follows_from_the_time_taken() -> None:
    from rich.progress import Progress

    clock = [0.0]
    progress = Progress(get_time=lambda: clock[0])
    task = progress.add_task("", total=10, then=0.0)
    assert str(TimeLeft().render(progress.tasks[0])) == "-:--:-- left"
    clock[0] = 60.0
    progress.update(task, completed=4, then=60.0)
    assert str(TimeLeft().render(progress.tasks[0])) == "0:01:30 left"
    clock[0] = 80.0  # no event in between
    assert str(TimeLeft().render(progress.tasks[0])) == "0:01:10 left"
    clock[0] = 800.0
    assert str(TimeLeft().render(progress.tasks[0])) == "0:00:00 left"


def test_a_dry_run_prints_what_each_step_takes_and_gives_and_why_it_runs() -> None:
    out = io.StringIO()
    steps = (
        StepPlan("load", ("DataSpec", "Search"), "Dataset", cached=True, why="nothing that runs takes it"),
        StepPlan("train", ("Split",), "Trained", cached=True),
        StepPlan("status", (), "ServiceStatus", why="every time"),
        TRAIN,
    )
    Console(Terminal(file=out, width=200, highlight=False)).plan(steps, {"fits": "45 [9 × 5]"})
    assert out.getvalue().splitlines() == [
        "load         DataSpec, Search → Dataset  [not needed: nothing that runs takes it]",
        "train        Split → Trained  [cached]",
        "status       nothing → ServiceStatus  [runs: every time]",
        "train        Split, Search → Trained  [runs: changed: seed]",
        "fits         45 [9 × 5]",
        "Nothing was run or changed (dry_run=true).",
    ]


def test_where_to_look_next_is_not_wrapped_when_piped() -> None:
    code = (
        "from orchestrator.cli.console import Console; c = Console(); "
        "c.where({'try it': 'curl ' + 'x' * 500 + ' [red]', 'stop it': '→'})"
    )
    command = [sys.executable, "-c", code]
    for encoding, arrow in (("utf-8", "→"), ("ascii", "?")):
        environment = {"PYTHONIOENCODING": encoding, "PATH": "", "COLUMNS": "40"}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        assert done.stdout.decode(encoding).splitlines() == [
            "",
            f"try it   curl {'x' * 500} [red]",
            f"stop it  {arrow}",
        ]


def test_the_curl_line_asks_for_the_first_golden_row(tmp_path: Path) -> None:
    body = '{"data": [{"city": "it\'s"}, {"city": "b"}]}'
    golden.write(tmp_path, [golden.Golden("article", "{}", 200), golden.Golden("records", body, 200)])
    package = Package(tmp_path, "f", "m")
    line = curl_line(Endpoint("http://localhost:1/score", "local", False, package), "run.py stages=keys")
    shell = f"curl() {{ printf '%s\\n' \"$@\"; }}; {line}"
    arguments = subprocess.run(["bash", "-c", shell], check=True, capture_output=True, text=True).stdout.splitlines()
    assert arguments[-1] == '{"data": [{"city": "it\'s"}]}'
    assert "http://localhost:1/score" in arguments

    endpoint = Endpoint("http://x", "local", True, package, {"Authorization": "Bearer s3cret"})
    with_auth = curl_line(endpoint, r"printf '\n  primary: abc\n  secondary: def\n'")
    assert "s3cret" not in with_auth
    shell = f"curl() {{ printf '%s\n' \"$@\"; }}; {with_auth}"
    asked = subprocess.run(["bash", "-c", shell], check=True, capture_output=True, text=True).stdout.splitlines()
    assert "Authorization: Bearer abc" in asked


def test_a_reader_that_leaves_does_not_end_the_run() -> None:
    code = (
        "from orchestrator.cli.console import Console\n"
        "from orchestrator.events import RunFinished, RunStarted, StepFinished, StepPlan\n"
        "import sys; console = Console(); step = StepPlan('train', (), 'Trained')\n"
        "console(RunStarted((step,)))\n"
        "for _ in range(20000): console(StepFinished(step, 0.1))\n"
        "console(RunFinished(1.0)); sys.stderr.write('went on')\n"
    )
    shell = f"{sys.executable} -c {shlex.quote(code)} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "went on")


def test_a_verdict_has_its_reasons_and_a_skipped_step_says_why() -> None:
    kept = Verdict("kept", ["no evidence", "f1 is low"], ["2 models were scored"], champion="1", needed="needed: rows")
    finished = StepFinished(StepPlan("gate", (), "Verdict"), 1.23, kept)
    skipped = StepSkipped(StepPlan("deploy", (), "Endpoint"), kept.ends)
    assert output(finished, skipped).splitlines() == [
        "✓ gate           1.23 s  kept: no evidence; f1 is low",
        "  2 models were scored",
        "  needed: rows",
        "· deploy                 skipped: the gate keeps champion version 1",
    ]
