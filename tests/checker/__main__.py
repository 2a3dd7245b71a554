"""`python -m tests.checker FILE…`: judge histories that were kept in files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.checker import check
from tests.history import History


def main() -> int:
    """Print every violation; 1 if there is any."""
    parser = argparse.ArgumentParser(prog="python -m tests.checker", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--one-server", action="store_true", help="no two servers ran at a time")
    args = parser.parse_args()
    guilty = 0
    for path in args.files:
        with path.open(encoding="utf-8") as lines:
            history = History.from_json(lines)
        found = check(history, one_server=args.one_server)
        for violation in found:
            print(violation)
        print(f"{path}: {len(history.records)} records, {len(found)} violations")
        guilty += bool(found)
    return 1 if guilty else 0


if __name__ == "__main__":
    sys.exit(main())
