"""``python -m azure_emulator --folder DIR``: the stand-in in the foreground. ``start`` runs the same in the background."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from azure_emulator.common.faults import FAULTS
from azure_emulator.gateway.app import serve


def main() -> None:
    """Read the arguments and serve until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m azure_emulator", description="Azure's REST services on this machine."
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="where everything is kept; faults: " + ", ".join(FAULTS)
    )
    parser.add_argument("--images", type=Path, help="where built images are kept; images/ of the folder by default")
    given = parser.parse_args()
    folder: Path = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(folder, (given.images or folder / "images").resolve()))


if __name__ == "__main__":
    main()
