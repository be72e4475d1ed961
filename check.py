"""``python check.py``: run every check: ruff, the language, mypy, import-linter, pytest.

Tests run in three processes, each file in one of them: they wait for services often. Arguments go to pytest: ``python check.py -k engine``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKS = (
    ("-m", "ruff", "check", "."),
    ("-m", "ruff", "format", "--check", "."),
    ("check_language.py",),
    ("-m", "mypy"),
    ("-c", "import importlinter.cli as cli; cli.lint_imports_command()"),
)


def main() -> int:
    """Run every check, whether or not others fail, and return the number of failures."""
    root = Path(__file__).resolve().parent
    failed = 0
    # The processes of pytest share the cores: threads of OpenMP in each would wait for one another, and burn CPU meanwhile.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    for command in (*CHECKS, ("-m", "pytest", "-n", "3", "--dist", "loadfile", *sys.argv[1:])):
        print(f"== {' '.join(command)}", flush=True)
        failed += subprocess.run([sys.executable, *command], cwd=root, env=environment, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
