"""What the real SDK puts into an emulated workspace, and what is then found there; one JSON document on the last line.

A process of its own: the environment directs it to the emulator before it imports anything of Azure's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Data

from orchestrator.azure.data import WorkspaceData
from orchestrator.azure.workspace import client
from orchestrator.locations.storage import check_writable, find_files, open_read, open_write
from orchestrator.locations.urls import LocationError, Url
from orchestrator.locations.workspace_files import found_by
from orchestrator.spec.azure import AzureSpec


def main(config: Path, folder: Path) -> None:
    """Register two versions of a table, a folder of tables and an MLTable, and look for what the arguments name."""
    spec = AzureSpec(config_path=config, auth="service_principal")
    data = client(spec).data
    for number in (2, 3):
        table = folder / f"rows{number}.csv"
        rows = "".join(f"{row},{row % number},{'yes' if row % 2 else 'no'}\n" for row in range(40 * number))
        table.write_text(f"x,z,y\n{rows}")
        data.create_or_update(Data(name="churn", path=str(table), type=AssetTypes.URI_FILE))
    parts = folder / "parts"
    parts.mkdir()
    for name in "ab":
        (parts / f"{name}.csv").write_text("x,z,y\n1,0,yes\n2,1,no\n")
    stored = data.create_or_update(Data(name="parts", path=str(parts), type=AssetTypes.URI_FOLDER))
    (parts / "MLTable").write_text("type: mltable\npaths: [{file: ./a.csv}]\ntransformations: [read_delimited: {}]\n")
    data.create_or_update(Data(name="steps", path=str(parts), type=AssetTypes.MLTABLE))
    with found_by(WorkspaceData(spec)):
        short = f"azureml://datastores/{stored.path.partition('/datastores/')[2]}"
        note = Url("azureml://datastores/workspaceblobstore/paths/out/note.txt")
        check_writable(note)
        with open_write(note) as file:
            file.write(b"written")
        with open_read(note) as file:
            written = file.read().decode()
        places = ["azureml:churn:1", "azureml:churn@latest", "azureml:parts:1", stored.path, short, *sys.argv[3:]]
        found = {place: look(place) for place in places}
    print(json.dumps({"found": list(found.values()), "note": written, "long": stored.path, "short": short}))  # noqa: T201


def look(place: str) -> Any:
    """Return names, sizes and keys of the files, or the error."""
    try:
        return [[each.name, each.size, each.key] for each in find_files(place)]
    except LocationError as error:
        return str(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
