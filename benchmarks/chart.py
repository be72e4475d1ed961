"""Draw ``results.yaml`` as docs/images/benchmarks.svg, and write its table into docs/explanation/benchmarks.md: ``python benchmarks/chart.py``.

Results without a unit are in the table only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import yaml
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
IMAGE = ROOT / "docs" / "images" / "benchmarks.svg"
PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"
START, END = "<!-- the results -->\n", "<!-- end of the results -->"
DRAWN = 4  # charts: those of the first results


def draw(results: list[dict[str, Any]]) -> None:
    """Write one bar chart for each of the first results."""
    mpl.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "results", "font.size": 9}
    )  # text; the same file again
    heights = [len(result["values"]) + 1.5 for result in results]
    figure = Figure(figsize=(9, 0.27 * sum(heights)), layout="constrained")
    for axes, result in zip(figure.subplots(len(results), height_ratios=heights), results, strict=True):
        bars = axes.barh(list(result["values"]), list(result["values"].values()), color="#1d5fbf")
        axes.bar_label(bars, fmt="{:g}", padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.set_title(f"{result['title']}: {result['unit']}", loc="left", fontweight="bold")
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.xaxis.set_visible(False)
    figure.savefig(IMAGE, metadata={"Date": None})


def table(results: list[dict[str, Any]]) -> str:
    """Return the results as Markdown; a value may be a mapping, which gives several columns."""
    parts = []
    for result in results:
        unit = f" ({result['unit']})" if "unit" in result else ""
        values = {
            name: each if isinstance(each, dict) else {f"value{unit}": each} for name, each in result["values"].items()
        }
        header = [result.get("of", "measured"), *next(iter(values.values()))]
        lines = [[name, *map(_format, each.values())] for name, each in values.items()]
        rows = [f"| {' | '.join(cells)} |" for cells in (header, *lines)]
        head = [f"### {result['title']}", "", f"`{result['command']}`, {result['date']}", ""]
        note = ["", result["note"]] if "note" in result else []
        parts.append("\n".join([*head, rows[0], "|" + "---|" * len(header), *rows[1:], *note]))
    return "\n\n".join(parts) + "\n\n"


def _format(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def main() -> None:
    """Draw the chart and replace the table."""
    results = yaml.safe_load(Path(__file__).with_name("results.yaml").read_text())
    draw(results[:DRAWN])
    before, _, rest = PAGE.read_text().partition(START)
    PAGE.write_text(before + START + "\n" + table(results) + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
