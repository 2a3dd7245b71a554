"""The command `cartroom`: finds the subcommand, reads the settings, turns failures into one line.

A subcommand is a module with `add_arguments(parser)` and `run(args, settings) -> int`, loaded
only when it is asked for. What it answers is the exit status; 2 is for what can't be run as it
was asked, 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Final

from server import __version__
from server.errors import UnusableError
from server.settings import Settings, SettingsError

UNUSABLE: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


@dataclass(frozen=True)
class Command:
    """What `cartroom --help` says of a subcommand without loading it."""

    module: str
    help: str
    examples: tuple[str, ...]


COMMANDS: Final = {
    "serve": Command(
        "server.commands.serve",
        "run the service; with nothing configured, all of it on this machine",
        ("cartroom serve --demo", "cartroom serve --host 0.0.0.0 --port 80"),
    ),
    "import": Command(
        "server.commands.import_",
        "put products into the catalog",
        (
            "cartroom import products.csv --currency EUR",
            "cartroom import products.jsonl",
        ),
    ),
    "replay": Command(
        "server.commands.replay",
        "play a recorded shop through real sockets and check every cart",
        ("cartroom replay online_retail.csv.gz",),
    ),
    "dead-letters": Command(
        "server.commands.dead_letters",
        "look at the events that could not be handled, and put them back",
        ("cartroom dead-letters list", "cartroom dead-letters replay 3 7"),
    ),
    "demo": Command(
        "server.commands.demo",
        "load products, two accounts and a cart that they share",
        ("cartroom demo",),
    ),
    "worker": Command(
        "server.commands.worker",
        "do what is done beside serving: relay, notify or webhooks",
        (
            "cartroom worker relay",
            "cartroom worker notify --port 9101",
            "cartroom worker webhooks",
        ),
    ),
    "admin": Command(
        "server.commands.admin",
        "make an administrator, of a new account or one that exists; it can be run again",
        (
            "cartroom admin --email ann@shop.example --name Ann",
            "pass show shop/ann | cartroom admin --email ann@shop.example --password-stdin",
        ),
    ),
}

LOGGING: Final = ("serve", "worker")
"""Those that run on, and log what they do."""

DESCRIPTION: Final = "Shared carts as live rooms: everyone sees every change at once."
EPILOG: Final = """\
examples:
  cartroom serve --demo           try it: everything on this machine, with data in ./var
  cartroom serve                  run it; MONGODB_URL and REDIS_URL name real servers
  cartroom import FILE --currency EUR
  cartroom COMMAND --help         what a command takes

Settings come from the environment: CARTROOM_HOST, CARTROOM_PORT, CARTROOM_DATA, MONGODB_URL,
REDIS_URL and more, all in README.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `cartroom` with these arguments, by default the process's; answers the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left. Python would complain of it once more at its end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if not isinstance(error, _refusals()):
            raise
        print(f"cartroom: {error}", file=sys.stderr)  # noqa: T201
        return UNUSABLE


def _run(arguments: list[str]) -> int:
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    module = importlib.import_module(COMMANDS[chosen].module) if chosen in COMMANDS else None
    parser = _parser(chosen, module)
    args = parser.parse_args(arguments)
    if module is None:
        parser.print_help()
        return UNUSABLE
    from server.logs import configure_logs

    settings = Settings.from_environ()
    if args.data is not None:
        settings = replace(settings, data=args.data)
    configure_logs(settings.log_level if chosen in LOGGING else "WARNING", settings.log_format)
    status: int = module.run(args, settings)
    return status


def _parser(chosen: str, module: ModuleType | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cartroom",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cartroom {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog="\n  ".join(("examples:", *command.examples)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument(
            "--data",
            type=Path,
            metavar="FOLDER",
            help="data of the embedded services (CARTROOM_DATA, by default ./var)",
        )
        if module is not None and name == chosen:
            module.add_arguments(one)
    return parser


def _refusals() -> tuple[type[Exception], ...]:
    """The exceptions that speak to the person at the keyboard."""
    from server.embedded.folder import EmbeddedError
    from storage.mongo import StoreUnusableError

    return (SettingsError, UnusableError, EmbeddedError, StoreUnusableError)


if __name__ == "__main__":
    sys.exit(main())
