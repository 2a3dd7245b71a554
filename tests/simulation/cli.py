"""The command: many seeds with a summary, or one with its trace."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing import get_context

from tests.simulation.faults import KINDS
from tests.simulation.run import Result, run_seed

MODULE = "python -m tests.simulation"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 1 when a seed failed, or a kind of fault never struck."""
    parser = argparse.ArgumentParser(prog=MODULE, description="Runs the service in simulation.")
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--seed", type=int, help="this one seed")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happens")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _one(options.seed, trace=options.trace)
    return _many(range(options.first, options.first + options.seeds), options.jobs)


def _one(seed: int, *, trace: bool) -> int:
    result = run_seed(seed, print if trace else None)
    print(f"seed {seed}: {result.events} events, trace {result.digest}")
    print(result.failure or "all promises kept")
    return 1 if result.failure else 0


def _many(seeds: range, jobs: int) -> int:
    started = time.monotonic()
    struck: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    failed: list[int] = []
    for number, result in enumerate(results(seeds, jobs), start=1):
        struck += result.struck
        counts += result.counts
        if result.failure:
            failed.append(result.seed)
            _tell(result)
        rate = number / (time.monotonic() - started)
        _progress(f"{number}/{len(seeds)} seeds, {len(failed)} failed, {rate:.1f}/s")
    _progress("\n")
    _table("Faults", struck)
    _table("What shoppers met", counts)
    never = [kind for kind in KINDS if not struck[kind]]
    if never:
        print(f"Never struck: {', '.join(never)}")
    if failed:
        print(f"Failed: {failed}")
    return 1 if failed or never else 0


def results(seeds: Iterable[int], jobs: int = 1) -> Iterator[Result]:
    """Run the seeds, in their order."""
    if jobs == 1:
        yield from map(run_seed, seeds)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run_seed, seeds)


def _tell(result: Result) -> None:
    print(f"\nSeed {result.seed} failed, after:")
    print("\n".join(line[:160] for line in result.tail[-12:]))
    print(result.failure)
    print(f"Again, with all that happens: {MODULE} --seed {result.seed} --trace\n")


def _progress(text: str) -> None:
    if sys.stderr.isatty() or text == "\n":
        print(f"\r{text}", end="", file=sys.stderr, flush=True)


def _table(title: str, counts: Counter[str]) -> None:
    print(title)
    for name, count in sorted(counts.items()):
        print(f"  {count:>9,}  {name}")
