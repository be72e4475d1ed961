"""``python -m orchestrator.schema [FILE]``: write the schema of the options here and of those that ship.

FILE is ``conf/schema.json`` by default. Classes that the options in ``conf/`` name are imported: a target of your own
is part of the schema.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.bundled import CONF
from orchestrator.errors import SpecError
from orchestrator.files import write_atomic
from orchestrator.schema.document import FILE, document
from orchestrator.schema.lenient import Schema


def text_of(schema: Schema) -> str:
    """Return the text of the file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the file, and print its name."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    here = Path("conf").resolve()
    file = Path(arguments[0]) if arguments else here / FILE
    try:
        schema = document(*([] if here == CONF or not here.is_dir() else [here]))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text_of(schema))
    except SpecError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 1
    sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
