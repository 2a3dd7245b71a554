"""`cartroom replay`: play a recorded shop through real sockets, and check every cart."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from pymongo.errors import PyMongoError

from server import lifecycle
from server.errors import UnusableError
from server.replay.connection import ServerUnusableError
from server.replay.members import MEMBERS_MAX
from server.replay.plan import MEMBERS_A_CART_MIN, Chances
from server.replay.recording import RecordingError
from server.replay.run import Request, replay
from server.settings import Settings

CONCURRENCY_MAX: Final = 1_000

_T = TypeVar("_T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording, CSV, plain or gzip")
    parser.add_argument(
        "--url", help="the server; by default the one that runs on the data folder, else an own one"
    )
    parser.add_argument(
        "--limit", type=_number(1), metavar="N", help="play only the first N invoices"
    )
    parser.add_argument(
        "--members",
        type=_number(MEMBERS_A_CART_MIN, MEMBERS_MAX),
        default=64,
        help="how many people there are to share carts (default: %(default)s)",
    )
    parser.add_argument(
        "--concurrency",
        type=_number(1, CONCURRENCY_MAX),
        default=32,
        help="how many invoices are played at a time, up to the number of carts that the server"
        " lets a socket join (default: %(default)s)",
    )
    parser.add_argument(
        "--drop-rate",
        type=_share,
        default=0.02,
        help="share of ops around which the connection is lost (default: %(default)s)",
    )
    parser.add_argument(
        "--resend-rate",
        type=_share,
        default=0.05,
        help="share of ops sent again although acknowledged (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of all that is drawn by lot (default: %(default)s)"
    )
    parser.add_argument(
        "--verify-only",
        action="store_true",
        help="play nothing; compare the carts of an earlier replay with the same arguments",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write all findings there, as JSON"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when every cart holds what the file says, 1 when anything differs."""
    request = Request(
        file=args.file,
        url=args.url,
        invoices_max=args.limit,
        concurrency=args.concurrency,
        chances=Chances(
            seed=args.seed,
            members=args.members,
            drop_rate=args.drop_rate,
            resend_rate=args.resend_rate,
        ),
        verify_only=args.verify_only,
    )
    try:
        report = lifecycle.run(replay(request, settings))
    except (RecordingError, ServerUnusableError) as error:
        raise UnusableError(str(error)) from error
    except PyMongoError as error:
        raise UnusableError(f"The store stopped answering ({type(error).__name__}).") from error
    for line in report.lines():
        print(line)
    if args.report is not None:
        try:
            report.write(args.report)
        except OSError as error:
            raise UnusableError(f"--report: {args.report} can't be written: {error}") from error
    return 0 if report.good else 1


def _number(least: int, most: int | None = None) -> Callable[[str], int]:
    expected = f"a whole number from {least} {'up' if most is None else f'to {most}'}"

    def parse(text: str) -> int:
        number = _parsed(int, text, expected)
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"expected {expected}")
        return number

    return parse


def _share(text: str) -> float:
    expected = "a number from 0 to 1"
    share = _parsed(float, text, expected)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected {expected}")
    return share


def _parsed(parse: Callable[[str], _T], text: str, expected: str) -> _T:
    try:
        return parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {expected}") from None
