"""Real servers for tests and developers, on this machine: Apache Kafka, FerretDB and Redis.

`install` fetches what they are into a cache that all checkouts share; nothing else downloads
anything. `up` starts them on free ports, with data in var/services (in CARTROOM_DATA, where that is
set), which `down` throws away.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from server.embedded.processes import Process, end, is_alive
from tests.services.installed import ROOT, NotInstalledError, install_ferretdb, install_kafka
from tests.services.running import SERVERS, start, variables

INSTALL: dict[str, Callable[[], object]] = {"kafka": install_kafka, "ferretdb": install_ferretdb}
PLACE = Path(os.environ.get("CARTROOM_DATA") or ROOT / "var").absolute() / "services"
STATE = PLACE / "services.json"


class Up(msgspec.Struct):
    """What `up` has started, as `down` finds it."""

    processes: list[Process]
    variables: dict[str, str]


def install(names: list[str]) -> int:
    for name in names or INSTALL:
        print(f"{name}: {INSTALL[name]()}")
    return 0


def up(names: list[str]) -> int:
    state = _state()
    if not any(map(is_alive, state.processes)):
        _throw_away(state)
        running = start(names or [*SERVERS], PLACE, bound=False)
        state = Up([one.as_process() for one in running], {})
        for one in running:
            state.variables |= variables(one.server)
        STATE.write_bytes(msgspec.json.encode(state))
    print('# For the tests, in a shell: eval "$(scripts/services up)"')
    print("# For `cartroom serve`, drop CARTROOM_TEST_ from the names.")
    for name, value in state.variables.items():
        print(f"export {name}='{value}'")
    return 0


def down() -> int:
    _throw_away(_state())
    return 0


def status() -> int:
    """Prints what is up; 1 when not all that was started is."""
    state = _state()
    alive = [is_alive(process) for process in state.processes]
    for process, lives in zip(state.processes, alive, strict=True):
        print(f"{process.name}: {f'up, process {process.pid}' if lives else 'has ended'}")
    if not alive:
        print("nothing was started")
    return 0 if alive and all(alive) else 1


def run(names: list[str], command: list[str]) -> int:
    """Run a command with servers of its own; answers its status. Being ended ends both."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="cartroom-services-") as folder:
        running = start(names or [*SERVERS], Path(folder), bound=True)
        try:
            told = {name: value for one in running for name, value in variables(one.server).items()}
            return subprocess.run(command, check=False, env={**os.environ, **told}).returncode
        finally:
            for one in running:
                one.end()


def _state() -> Up:
    try:
        return msgspec.json.decode(STATE.read_bytes(), type=Up)
    except FileNotFoundError:
        return Up([], {})


def _throw_away(state: Up) -> None:
    for process in state.processes:
        end(process)
    shutil.rmtree(PLACE, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/services",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help_: str, known: Iterable[str]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_)
        if known:
            command.add_argument(
                "names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all by default"
            )
        return command

    add("install", "fetch and build what isn't here yet, and compare checksums", INSTALL)
    add("up", "start them, and print the variables that tell the tests where they are", SERVERS)
    add("down", "end them, and throw their data away", ())
    add("status", "say which of them run", ())
    own = add("run", "run a command, such as scripts/test, with servers of its own", ())
    own.add_argument("--only", action="append", default=[], metavar="NAME", choices=SERVERS)
    own.add_argument("argv", nargs="+", metavar="ARGUMENT", help="the command; put -- before it")
    return parser


def main() -> int:
    given = _parser().parse_args()
    unknown = [name for name in getattr(given, "names", []) if name not in SERVERS]
    try:
        if unknown:
            raise NotInstalledError(f"there is no {unknown[0]}; there are {', '.join(SERVERS)}")
        match given.command:
            case "install":
                return install([name for name in given.names if name in INSTALL] or [*INSTALL])
            case "up":
                return up(given.names)
            case "down":
                return down()
            case "status":
                return status()
            case _:
                return run(given.only, given.argv)
    except (NotInstalledError, RuntimeError, TimeoutError) as error:
        print(f"services: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
