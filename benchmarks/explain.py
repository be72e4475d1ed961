"""One row scored with and without its explanation, by the article's forest: ``python -m benchmarks.explain``.

The package is that of ``run.py``. ``score.server`` is asked for one row at a time over one connection, plainly and with
``explain=true`` in turns. ``--before PACKAGE`` compares plain requests with those to another package, such as one that was
made before there were explanations. It ends with 1 if an explained row takes more than 5 times as long as a plain one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.serving import Peer, Rows, asked, drawn, http, own_server, started, trained

MOST = 5  # times as long as a plain row


def records(rows: Rows) -> tuple[bytes, dict[str, str]]:
    """Return rows as objects."""
    return json.dumps({"data": rows}).encode(), {}


def medians(peers: Mapping[str, Peer], rounds: int, seconds: float, folder: Path) -> dict[str, float]:
    """Return the median of each peer's medians in milliseconds; each round asks all of them, one after the other."""
    found = defaultdict(list)
    with ExitStack() as stack:
        ports = {}
        for name, peer in peers.items():
            request = http(peer, drawn(1))
            ports[name] = stack.enter_context(started(peer, request, folder / f"{name}.log"))[0], request
            asked(*ports[name], 1, 1)  # warm
        for _ in range(rounds):
            for name, (port, request) in ports.items():
                found[name].append(asked(port, request, 1, seconds)[1])
    return {name: statistics.median(each) for name, each in found.items()}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="instead of a training")
    parser.add_argument("--before", type=Path, help="another package, which gets plain requests")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        package = options.package or trained(Path(scratch))
        plain = replace(own_server(package.resolve()), body=records)
        peers = {"plain": plain, "explained": replace(plain, path="/score?explain=true")}
        if options.before:
            peers["plain, before"] = replace(own_server(options.before.resolve()), body=records)
        found = medians(peers, options.rounds, options.seconds, Path(scratch))
    for name, milliseconds in found.items():
        print(f"{name:15} median {milliseconds:.3f} ms")
    ratio = found["explained"] / found["plain"]
    print(f"an explained row takes {ratio:.1f} times as long as a plain one")
    if options.before:
        print(f"a plain row takes {found['plain'] / found['plain, before']:.2f} times as long as before")
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
