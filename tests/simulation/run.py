"""Runs one seed, from an empty world to the verdict."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

from realtime.pending import Decision, Flight
from realtime.room import Room
from tests.simulation.limits import small_limits
from tests.simulation.loop import SimLoop
from tests.simulation.trace import Trace
from tests.simulation.world import World

EXPECTED_ERRORS: Final = (
    "The store refused",  # it did
    "Not all commits were settled within",  # a restart while the store was away
)
UNWINDING_ROUNDS: Final = 50


@dataclass
class Result:
    seed: int
    digest: str
    failure: str = ""
    struck: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    events: int = 0
    tail: list[str] = field(default_factory=list)


def run_seed(seed: int, out: Callable[[str], None] | None = None) -> Result:
    """Play `seed`; `out` gets each line of the trace."""
    loop = SimLoop()
    trace = Trace(loop.time, out)
    collecting = gc.isenabled()
    gc.disable()  # its times would depend on what else this process has done
    asyncio.set_event_loop(loop)
    try:
        with _errors_logged() as errors:
            failure, world = _play(loop, seed, trace)
            failures = [failure, *errors, *loop.errors]
        digest = trace.digest()
    finally:
        _unwind(loop)
        asyncio.set_event_loop(None)
        loop.close()
        if collecting:
            gc.enable()
    return Result(
        seed,
        digest,
        next(filter(None, failures), ""),
        world.edge.faults.struck,
        world.counts(),
        trace.events,
        list(trace.tail),
    )


def _play(loop: SimLoop, seed: int, trace: Trace) -> tuple[str, World]:
    world = World(loop, seed, trace)
    try:
        with small_limits(random.Random(f"limits {seed}")), signed_out_commit_nothing():
            loop.run_until_complete(world.run())
    except Exception as error:  # whatever a shopper can't make sense of is a finding
        return "".join(traceback.format_exception(error)), world
    return "", world


def signed_out_commit_nothing() -> AbstractContextManager[Any]:
    """Whatever goes into a commit is wanted by somebody who is signed in, as far as we know."""
    pack = Room._pack

    def watched(self: Room, taken: list[Decision]) -> Flight:
        for decision in taken:
            wanted = [one for one in decision.requests() if not one.is_revoked]
            assert wanted, ("signed out, and committed", decision.request.op_id)
        return pack(self, taken)

    return patch.object(Room, "_pack", watched)


@contextmanager
def _errors_logged() -> Iterator[list[str]]:
    """What the service logs as an error is a failure, but for what was done to it."""
    errors: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.getMessage().startswith(EXPECTED_ERRORS):
                errors.append(logging.Formatter("%(name)s: %(message)s").format(record))

    logger, handler = logging.getLogger(), Collect(logging.ERROR)
    handlers, level = logger.handlers, logger.level
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR)
    try:
        yield errors
    finally:
        logger.handlers = handlers
        logger.setLevel(level)


def _unwind(loop: SimLoop) -> None:
    """End every task that is left, those of crashed instances, too, so that nothing is lost."""
    silent = logging.getLogger()
    silent.disabled, before = True, silent.disabled
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        for _ in range(UNWINDING_ROUNDS):
            tasks = asyncio.all_tasks(loop)
            if not tasks:
                break
            loop.release()
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks, timeout=10.0))
    finally:
        silent.disabled = before
        logging.disable(level)
