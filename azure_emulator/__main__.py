"""``python -m azure_emulator --folder DIR`` runs the emulator in the foreground; ``start`` does so in the background."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from azure_emulator.common.faults import FAULTS
from azure_emulator.gateway.app import serve


def main() -> None:
    """Parse the arguments and serve until a signal."""
    parser = argparse.ArgumentParser(
        prog="python -m azure_emulator", description="Azure's REST services on this machine."
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="where everything is kept; faults: " + ", ".join(FAULTS)
    )
    parser.add_argument("--images", type=Path, help="where built images are kept; images/ of the folder by default")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(folder, (arguments.images or folder / "images").resolve()))


if __name__ == "__main__":
    main()
