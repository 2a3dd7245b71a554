"""Runs scenarios one after the other, repeats them, and reports medians.

    python -m bench                      all of them, three times each: about half an hour
    python -m bench store-400 growth     these only
    python -m bench --scale tiny         in seconds, to see that everything works
    python -m bench stub-400 --repeats 1 --seconds 5 --profile var/profiles

Everything a scenario needs is started for each repeat in a throw-away folder, pinned (the service
on the first core, stores, stub and load on the others), and stopped afterwards. Nothing else
should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import growth, instances, memory, relay, report, sign_in, throughput
from bench.report import Result
from bench.scenario import SCALES, Context, Scale, Scenario
from bench.surroundings import surroundings
from server.lifecycle import run

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for module in (throughput, instances, memory, growth, sign_in, relay)
    for scenario in module.SCENARIOS
}
FAILED = 1
INTERRUPTED = 130
REPEAT_S = 900.0
"""A repeat that takes longer than this has hung."""


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


async def repeat(
    scenario: Scenario, scale: Scale, args: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """One repeat in a folder of its own: its figures, and what the service complained of."""
    with tempfile.TemporaryDirectory(prefix="cartroom-bench-", dir=args.folder) as folder:
        settled = {"users": scenario.users(scale), "products": scenario.products(scale)}
        settled["bcrypt_cost"] = scenario.bcrypt_cost
        async with (
            asyncio.timeout(REPEAT_S),
            surroundings(Path(folder), **settled, profile=args.profile) as around,
        ):
            figures = await scenario.run(
                Context(around, scale, lambda words: say(f"{scenario.name}: {words}"))
            )
            complaints = around.complaints()
    return figures, complaints


async def run_all(
    args: argparse.Namespace, scale: Scale, tell: Callable[[list[Result]], None]
) -> list[Result]:
    """All scenarios asked for; `tell` is called with what there is after each of them."""
    results: list[Result] = []
    with stopping_on_sigterm():
        for name in args.scenarios:
            scenario = SCENARIOS[name]
            result = Result(scenario, [], [], [])
            results.append(result)
            for number in range(args.repeats):
                say(f"{name}, repeat {number + 1} of {args.repeats}: {scenario.title}")
                await repeat_into(result, scale, args)
            tell(results)
    return results


async def repeat_into(result: Result, scale: Scale, args: argparse.Namespace) -> None:
    """One repeat more. What fails is noted, and the others go on."""
    try:
        figures, complaints = await repeat(result.scenario, scale, args)
    except Exception as error:
        failure = "".join(traceback.format_exception(error))
        result.failures.append(failure)
        say(f"{result.scenario.name} failed: {failure}")
        return
    result.repeats.append(figures)
    result.complaints.append(complaints)
    if complaints:
        say(f"the service logged {len(complaints)} lines: {complaints[0]}")


@contextlib.contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Let a request to end take the same way as Ctrl-C: everything started is stopped."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def listing() -> str:
    lines = []
    for scenario in SCENARIOS.values():
        lines.append(f"{scenario.name:16} {scenario.title}")
        lines += [f"{'':18}{one.what}: {one}" for one in scenario.requirements]
    return "\n".join(lines)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n"
        + "\n".join(f"  {name:16} {scenario.title}" for name, scenario in SCENARIOS.items()),
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="by default all")
    parser.add_argument("--list", action="store_true", help="what each scenario requires")
    parser.add_argument("--repeats", type=int, default=3, help="of each scenario (default 3)")
    parser.add_argument("--scale", choices=SCALES, default="full", help="default: full")
    parser.add_argument("--seconds", type=float, help="of each measured stretch (full: 15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: var/bench/TIME.json")
    parser.add_argument("--folder", type=Path, help="where to put data (default: the system's)")
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="FOLDER",
        help="run instances under cProfile and leave the profiles there; figures then mean nothing",
    )
    args = parser.parse_args(argv)
    unknown = [name for name in args.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    args.scenarios = args.scenarios or list(SCENARIOS)
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    if args.list:
        print(listing())
        return 0
    scale = SCALES[args.scale]
    if args.seconds:
        scale = dataclasses.replace(scale, seconds=args.seconds)
    if args.profile is not None:
        args.profile = args.profile.absolute()
        args.profile.mkdir(parents=True, exist_ok=True)
    about = report.machine()
    path = args.json or Path("var/bench") / f"{datetime.now().astimezone():%Y-%m-%dT%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)

    def keep(results: list[Result]) -> None:
        path.write_text(json.dumps(report.document(results, scale, about), indent=2) + "\n")

    try:
        results = run(run_all(args, scale, keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; nothing is left running")
        return INTERRUPTED
    print(report.text(results, scale))
    say(f"all repeats are in {path}")
    return FAILED if any(result.failures for result in results) else 0
