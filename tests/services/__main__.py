"""`scripts/services`: see `--help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tests.services.installed import NotInstalledError, install_ferretdb, install_kafka

INSTALL: dict[str, Callable[[], object]] = {"kafka": install_kafka, "ferretdb": install_ferretdb}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/services", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    install = commands.add_parser("install", help="fetch and build what isn't here yet")
    install.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(INSTALL)}")
    given = parser.parse_args()
    try:
        for name in given.names or INSTALL:
            print(f"{name}: {INSTALL[name]()}")
    except NotInstalledError as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
