"""The command in a clone: the same as ``orchestrate``, which an installation brings. ``python run.py --help`` says more."""

import sys

from orchestrator.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
