"""`python -m tests.planting BUG ARGUMENT…`: `cartroom ARGUMENT…` with a bug in it."""

from __future__ import annotations

import sys

from server.cli import main
from tests.planting import BUGS

if __name__ == "__main__":
    with BUGS[sys.argv[1]]():
        sys.exit(main(sys.argv[2:]))
