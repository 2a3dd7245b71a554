"""`cartroom dead-letters`: what our consumers could make nothing of, to look at and to put back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing
from typing import Final

from events.kafka.dead_letters import DeadLetters
from events.kafka.letter import Letter
from events.sink import SinkAwayError
from server import lifecycle
from server.errors import UnusableError
from server.kafka import kafka_access, kafka_topics
from server.settings import Settings

DONE: Final = 0
NOT_THERE: Final = 1
REASON_SHOWN_MAX: Final = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="one line a letter: number, when, whence, what, why")
    show = actions.add_parser("show", help="all of a letter")
    show.add_argument("number", type=int, metavar="NUMBER")
    replay = actions.add_parser(
        "replay",
        help="put letters back on their topic, where all its consumers meet them once more",
    )
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("numbers", nargs="*", type=int, metavar="NUMBER", default=[])
    which.add_argument("--all", action="store_true", help="all there are, in order")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when it was done; 1 when a number is of no letter that waits."""
    access = kafka_access(settings)
    if access is None:
        raise UnusableError("Dead letters are on Kafka. Set KAFKA_BOOTSTRAP.")
    letters = DeadLetters(access, kafka_topics(settings))
    return lifecycle.run(_run(letters, _ACTIONS[args.action], args))


async def _run(letters: DeadLetters, action: _Action, args: argparse.Namespace) -> int:
    try:
        return await action(letters, args)
    except SinkAwayError as error:
        raise UnusableError(f"Kafka doesn't answer at KAFKA_BOOTSTRAP ({error}).") from error
    finally:
        await letters.close()


async def _list(letters: DeadLetters, _args: argparse.Namespace) -> int:
    numbers = await letters.numbers()
    async with aclosing(letters.letters(set(numbers))) as found:
        async for letter in found:
            print(_line(letter))
    return DONE


async def _show(letters: DeadLetters, args: argparse.Namespace) -> int:
    if not _are_there([args.number], await letters.numbers()):
        return NOT_THERE
    async with aclosing(letters.letters({args.number})) as found:
        async for letter in found:
            print(_whole(letter))
    return DONE


async def _replay(letters: DeadLetters, args: argparse.Namespace) -> int:
    waiting = await letters.numbers()
    if not _are_there(args.numbers, waiting):
        return NOT_THERE
    wanted = set(waiting if args.all else args.numbers)
    async with aclosing(letters.letters(wanted)) as found:
        async for letter in found:
            await letters.replay(letter)
            print(f"{letter.number}: back on {letter.topic}")
    return DONE


_Action = Callable[[DeadLetters, argparse.Namespace], Awaitable[int]]
_ACTIONS: Final[dict[str, _Action]] = {"list": _list, "show": _show, "replay": _replay}


def _are_there(numbers: Collection[int], waiting: Collection[int]) -> bool:
    missing = sorted(set(numbers) - set(waiting))
    for number in missing:
        print(f"{number}: no such letter, or it was put back")
    return not missing


def _line(letter: Letter) -> str:
    what = letter.header("ce_type") or "no event"
    fields = (
        str(letter.number),
        letter.at,
        letter.place.decode(),
        what,
        letter.header("ce_id") or "-",
        letter.reason[:REASON_SHOWN_MAX],
    )
    return "  ".join(_readable(field) for field in fields)


def _whole(letter: Letter) -> str:
    lines = [
        f"number   {letter.number}",
        f"at       {letter.at}",
        f"whence   {letter.place.decode()}",
        f"why      {letter.reason}",
        f"key      {_text(letter.key)}",
        *(f"{name}: {_text(held)}" for name, held in letter.headers),
    ]
    return "\n".join([*map(_readable, lines), "", _data(letter.value)])


def _data(value: bytes | None) -> str:
    """JSON to read, anything else as it is."""
    try:
        return json.dumps(json.loads(value or b""), indent=2)
    except ValueError:
        return _readable(_text(value))


def _text(held: bytes | None) -> str:
    return "none" if held is None else held.decode("utf-8", "backslashreplace")


def _readable(text: str) -> str:
    # What somebody wrote to a topic is no command to the terminal.
    return "".join(sign if sign.isprintable() else "?" for sign in text)
