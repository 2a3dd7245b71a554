"""The ways in which a fleet sends: open loop, closed loop, connections coming and going."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.figures import cpu_s, distribution_ms
from bench.fleet import Fleet, Seat
from bench.tally import Tally

TICK_S = 0.001
SETTLE_S = 10.0
"""Longest wait for answers after the last op; what has none by then counts as unanswered."""
PACE_PER_S = 45.0
PACE_BURST = 150
"""A closed loop keeps each socket below the 50 a second, 200 at once, that it is allowed."""
AWAY_S = 0.5
"""Mean time that a socket stays away between going and coming back."""


async def open_loop(
    fleet: Fleet, rate: float, seconds: float, start_s: float | None = None
) -> None:
    """Send `rate` ops a second, each by a random seat, at their scheduled times.

    The schedule begins at `start_s`, by `perf_counter`; now, if none is given.
    """
    if start_s is None:
        start_s = time.perf_counter()
    total, sent = int(rate * seconds), 0
    while sent < total:
        now_s = time.perf_counter()
        due = min(total, int((now_s - start_s) * rate) + 1)
        active = fleet.active
        count = len(active)
        while sent < due:
            active[int(random.random() * count)].send_op(start_s + sent / rate, now_s)
            sent += 1
            now_s = time.perf_counter()
        await asyncio.sleep(TICK_S)


class ClosedLoop:
    """Every active seat keeps `in_flight` ops under way, within the pace that it is allowed."""

    def __init__(self, fleet: Fleet, in_flight: int, *, paced: bool = True) -> None:
        self._fleet = fleet
        self._in_flight = in_flight
        self._paced = paced
        self._start_s = 0.0
        self._running = False
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        self._running = True
        self._start_s = time.perf_counter()
        self._fleet.on_answer = self._next
        for seat in self._fleet.active:
            seat.sent = 0
            for _ in range(self._in_flight):
                self._next(seat, time.perf_counter())

    def stop(self) -> None:
        self._running = False
        self._fleet.on_answer = None

    def _next(self, seat: Seat, now_s: float) -> None:
        if not self._running:
            return
        if self._paced:
            allowed = PACE_BURST + (now_s - self._start_s) * PACE_PER_S
            if seat.sent >= allowed:
                self._loop.call_later(1 / PACE_PER_S, self._again, seat)
                return
        seat.send_op(now_s, now_s)

    def _again(self, seat: Seat) -> None:
        self._next(seat, time.perf_counter())


@dataclass
class Churn:
    """Sockets that leave and come back all along, `per_s` of them a second."""

    fleet: Fleet
    per_s: float
    back_s: list[float] = field(default_factory=list)
    """From the new connection's start to the joined cart."""
    resumed: int = 0
    fresh: int = 0
    """Joins that were answered by a state instead of the missed ops."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let them come and go; at the end, wait until all are back."""
        going = asyncio.create_task(self._go_on())
        try:
            yield
        finally:
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
            for result in await asyncio.gather(*self._tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    async def _go_on(self) -> None:
        start_s, gone = time.perf_counter(), 0
        while True:
            await asyncio.sleep(max(0.0, start_s + (gone + 1) / self.per_s - time.perf_counter()))
            gone += 1
            seat = random.choice(self.fleet.active)
            self.fleet.rest(seat)
            self._tasks.add(asyncio.create_task(self._leave_and_return(seat, cut=gone % 2 == 0)))

    async def _leave_and_return(self, seat: Seat, *, cut: bool) -> None:
        """Every other one is cut, the others close. Nobody leaves with an op under way."""
        deadline_s = time.perf_counter() + SETTLE_S
        while seat.waiting:
            if time.perf_counter() > deadline_s:
                break  # it counts as not acknowledged
            await asyncio.sleep(0.02)
        assert seat.socket is not None
        if cut:
            seat.socket.cut()
        else:
            await seat.socket.leave()
        await asyncio.sleep(AWAY_S * 2 * random.random())
        start_s = time.perf_counter()
        await seat.hello()
        joined = await seat.join(rev=seat.rev)
        self.back_s.append(time.perf_counter() - start_s)
        if "ops" in joined:
            self.resumed += 1
        else:
            self.fresh += 1
        self.fleet.activate(seat)

    def figures(self) -> dict[str, Any]:
        return {
            "per_s": self.per_s,
            "came_back": len(self.back_s),
            "resumed": self.resumed,
            "fresh_state": self.fresh,
            "back_ms": distribution_ms(self.back_s),
        }


@dataclass(frozen=True)
class Plan:
    """One measured stretch: an open loop at `rate`, else a closed one with `in_flight` a socket."""

    seconds: float
    warmup_s: float
    rate: float | None = None
    in_flight: int = 1
    churn_per_s: float = 0.0
    paced: bool = True

    def __str__(self) -> str:
        if self.rate is not None:
            return f"open, {self.rate:g}/s"
        return f"closed, {self.in_flight} in flight a socket"


async def measure(fleet: Fleet, plan: Plan, pids: Mapping[str, list[int]]) -> dict[str, Any]:
    """Warm up, measure, and wait for the last answers.

    `pids` names the processes of each part, whose CPU time is told a 1,000 ops (of what was
    acknowledged) and as a share of a core. "load" is this process.
    """
    churn = Churn(fleet, plan.churn_per_s) if plan.churn_per_s else None
    errors_before = sum(fleet.errors.values())
    with _without_garbage_collection():
        async with contextlib.AsyncExitStack() as exits:
            if churn is not None:
                await exits.enter_async_context(churn.running())
            used_s, wall_s = await _run(fleet, plan, pids)
        await fleet.settle(SETTLE_S)
    tally = fleet.tally
    acked = max(1, len(tally.ack_s))
    figures: dict[str, Any] = {
        "loop": str(plan),
        "sockets": len(fleet.seats),
        "seconds": round(wall_s, 1),
        **tally.figures(),
        "refused": sum(fleet.errors.values()) - errors_before,
        "sockets_lost": sum(seat.lost for seat in fleet.seats),
        "refusals": dict(fleet.errors),
        "cpu_ms_per_1000_ops": {k: round(v * 1e6 / acked, 1) for k, v in used_s.items()},
        "cpu_share": {k: round(v / wall_s, 3) for k, v in used_s.items()},
    }
    if churn is not None:
        figures["churn"] = churn.figures()
    return figures


async def _run(
    fleet: Fleet, plan: Plan, pids: Mapping[str, list[int]]
) -> tuple[dict[str, float], float]:
    """Returns CPU seconds by part, and the seconds that the measured stretch took."""
    closed = None
    if plan.rate is None:
        closed = ClosedLoop(fleet, plan.in_flight, paced=plan.paced)
        closed.start()
        await asyncio.sleep(plan.warmup_s)
    else:
        await open_loop(fleet, plan.rate, plan.warmup_s)
    fleet.tally = Tally(start_s=time.perf_counter())
    before = _cpu(pids)
    if plan.rate is None:
        await asyncio.sleep(plan.seconds)
    else:
        await open_loop(fleet, plan.rate, plan.seconds)
    wall_s = time.perf_counter() - fleet.tally.start_s
    used = {part: after_s - before[part] for part, after_s in _cpu(pids).items()}
    if closed is not None:
        closed.stop()
    return used, wall_s


def _cpu(pids: Mapping[str, list[int]]) -> dict[str, float]:
    used = {part: sum(map(cpu_s, each)) for part, each in pids.items()}
    return {**used, "load": time.process_time()}


@contextlib.contextmanager
def _without_garbage_collection() -> Any:
    """Our own pauses would show as the server's tails."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
