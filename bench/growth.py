"""Whether an op costs more in a large cart, with many members, or after a long history."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from bench.figures import distribution_ms, median_ms
from bench.fleet import Fleet, Seat, at_once, share
from bench.loops import ClosedLoop
from bench.scenario import Context, Requirement, Scenario
from bench.surroundings import Started

LINES = 1_000
MEMBERS = 250
HISTORY_OPS = 100_000
ROUNDS = 300
ROUND_S = 0.025
"""Between rounds, so that every socket stays below the 50 ops a second that it is allowed."""
OPENINGS = 5
RESUMES = 20
MISSED_OPS = 100
BEHIND_OPS = 300
"""Committed right before the kill, so that the snapshot is behind the log."""
WRITERS = 20
SOCKETS_A_WRITER = 10
IN_FLIGHT = 8
BULK_S = 600.0
LEAVE_S = 60.0
ITEMS_MAX = 200


@dataclass
class Carts:
    """The carts compared, each by its owner's seat; `long` has the history."""

    fresh: Seat
    lines: Seat
    members: Seat
    long: Seat

    def compared(self) -> dict[str, Seat]:
        return {
            "fresh": self.fresh,
            "lines": self.lines,
            "members": self.members,
            "history": self.long,
        }


async def growth(context: Context) -> dict[str, Any]:
    scale, around = context.scale, context.surroundings
    server = await around.serve(CARTROOM_ROOM_IDLE_S="1")
    fleet = context.fleet(server)
    carts = await _prepare(context, fleet)
    writers = await _writers(context, server, carts.long)
    made_s = await _write(writers, scale.count(HISTORY_OPS))
    acks = await _compare(carts.compared(), scale.count(ROUNDS, least=10))
    head = carts.long.rev
    warm = [await _resume(context, server, carts.long, head) for _ in range(scale.count(RESUMES))]
    await fleet.close()
    await writers.close()
    openings = [
        await _open(context, server, carts.long) for _ in range(scale.count(OPENINGS, least=2))
    ]
    crashed = await _open_after_crash(context, server, carts.long)
    fresh = acks["fresh"]
    return {
        "history_ops": head,
        "history_made_s": round(made_s, 1),
        "ack_ms": {name: distribution_ms(times) for name, times in acks.items()},
        "over_fresh": {
            name: round(median_ms(times) / median_ms(fresh), 3)
            for name, times in acks.items()
            if name != "fresh"
        },
        "open_ms": median_ms([opening["open"] for opening in openings]),
        "resume_100_after_open_ms": median_ms([opening["resume"] for opening in openings]),
        "resume_100_ms": median_ms(warm),
        "open_behind_ms": round(crashed["open"] * 1_000, 3),
    }


# The carts


async def _prepare(context: Context, fleet: Fleet) -> Carts:
    population, scale = context.surroundings.population, context.scale
    await fleet.open_rooms(population.take(4), 1)
    carts = Carts(*fleet.seats)
    for owner in fleet.seats:
        owner.sampled = False
        await owner.op(4, kind="add", items=[{"sku": population.skus[0], "qty": 1}])
    skus = population.skus[1 : scale.count(LINES)]
    for first in range(0, len(skus), ITEMS_MAX):
        items = [{"sku": sku, "qty": 1} for sku in skus[first : first + ITEMS_MAX]]
        await carts.lines.op(4, kind="add", items=items)
    members = [account.user for account in population.take(scale.count(MEMBERS, least=2) - 1)]
    await share(carts.members, members)
    return carts


async def _writers(context: Context, server: Started, long: Seat) -> Fleet:
    """Editors of the long cart. They don't join it: ops need membership, not a join."""
    accounts = context.surroundings.population.take(WRITERS)
    await share(long, [account.user for account in accounts])
    fleet = Fleet([server.url], context.surroundings.population.skus[:1])

    async def sit(index: int) -> None:
        seat = Seat(fleet, accounts[index % WRITERS])
        seat.sit_down(long.cart)
        await seat.hello()
        fleet.seats.append(seat)
        fleet.activate(seat)

    await at_once(sit, WRITERS * SOCKETS_A_WRITER)
    return fleet


async def _write(writers: Fleet, count: int) -> float:
    """Have at least `count` more ops committed, through the door; returns the seconds."""
    start_s = time.perf_counter()
    target = len(writers.tally.ack_s) + count
    loop = ClosedLoop(writers, IN_FLIGHT)
    loop.start()
    while len(writers.tally.ack_s) < target:
        if time.perf_counter() - start_s > BULK_S or writers.errors:
            raise RuntimeError(f"no history of {count} ops: {writers.errors}")
        await asyncio.sleep(0.02)
    loop.stop()
    await writers.settle(10)
    return time.perf_counter() - start_s


# What is timed


async def _timed(work: Awaitable[Any]) -> float:
    start_s = time.perf_counter()
    await work
    return time.perf_counter() - start_s


async def _compare(seats: dict[str, Seat], rounds: int) -> dict[str, list[float]]:
    """One op on each cart a round, one after the other, so that disturbances hit all alike."""
    times: dict[str, list[float]] = {name: [] for name in seats}
    sku = seats["fresh"].fleet.ops[0].split(b'"sku":"')[1].split(b'"')[0].decode()
    for number in range(rounds):
        start_s = time.perf_counter()
        order = list(seats) if number % 2 else list(reversed(seats))
        for name in order:
            op = seats[name].op(5, kind="add", items=[{"sku": sku, "qty": 1}])
            times[name].append(await _timed(op))
        await asyncio.sleep(max(0.0, start_s + ROUND_S - time.perf_counter()))
    return times


async def _visitor(context: Context, server: Started, cart: Seat) -> Seat:
    """The owner of a cart, from another device, that has said `hello`."""
    seat = Seat(context.fleet(server), cart.account)
    seat.sit_down(cart.cart)
    await seat.hello()
    return seat


async def _resume(context: Context, server: Started, cart: Seat, head: int) -> float:
    """Join with a rev that is `MISSED_OPS` old."""
    seat = await _visitor(context, server, cart)
    start_s = time.perf_counter()
    joined = await seat.join(rev=head - MISSED_OPS)
    took_s = time.perf_counter() - start_s
    if len(joined.get("ops", ())) != MISSED_OPS:
        raise RuntimeError(f"resumed {len(joined.get('ops', ()))} ops, not {MISSED_OPS}")
    await _gone(seat)
    return took_s


async def _open(context: Context, server: Started, cart: Seat) -> dict[str, float]:
    """Join a cart that is in nobody's memory, then resume it before it has had any op."""
    await _wait_until_left(server)
    seat = await _visitor(context, server, cart)
    start_s = time.perf_counter()
    joined = await seat.join()
    open_s = time.perf_counter() - start_s
    resume_s = await _resume(context, server, cart, joined["rev"])
    await _gone(seat)
    return {"open": open_s, "resume": resume_s}


async def _open_after_crash(context: Context, server: Started, cart: Seat) -> dict[str, float]:
    """The same after a kill, when the snapshot is behind by what was committed last."""
    writers = await _writers_again(context, server, cart)
    await _write(writers, context.scale.count(BEHIND_OPS, least=MISSED_OPS))
    await server.stop(signal.SIGKILL)
    again = await context.surroundings.serve(CARTROOM_ROOM_IDLE_S="1")
    return await _open(context, again, cart)


async def _writers_again(context: Context, server: Started, cart: Seat) -> Fleet:
    fleet = Fleet([server.url], context.surroundings.population.skus[:1])
    for _ in range(SOCKETS_A_WRITER):
        seat = Seat(fleet, cart.account)
        seat.sit_down(cart.cart)
        await seat.hello()
        fleet.seats.append(seat)
        fleet.activate(seat)
    return fleet


async def _gone(seat: Seat) -> None:
    assert seat.socket is not None
    await seat.socket.leave()


async def _wait_until_left(server: Started) -> None:
    deadline_s = time.perf_counter() + LEAVE_S
    while await server.gauge("cartroom_rooms"):
        if time.perf_counter() > deadline_s:
            raise RuntimeError(f"rooms are still in memory after {LEAVE_S:.0f} s")
        await asyncio.sleep(0.1)


def _over(name: str, what: str) -> Requirement:
    return Requirement(f"ack, {what}, of a fresh cart's", f"over_fresh.{name}", at_most=1.5)


SCENARIOS = (
    Scenario(
        "growth",
        "large carts, many members, long histories",
        f"One op at a time on four carts in turn, on the embedded store; medians of {ROUNDS} acks a"
        " cart. The history is written through the door, by sockets that have not joined. Members"
        " of the room of 250 are not connected. `open` is a join of a cart that nobody has open,"
        " its snapshot up to date; `open, snapshot behind` comes after a kill of the service right"
        f" after {BEHIND_OPS} ops. `resume` asks for the last {MISSED_OPS} ops: of a cart just"
        " opened, from the log; of one at work, from memory.",
        (
            _over("lines", f"{LINES:,} lines"),
            _over("members", f"{MEMBERS} members"),
            _over("history", f"{HISTORY_OPS:,} ops behind it"),
            Requirement("open", "open_ms", at_most=100, unit="ms"),
            Requirement("open, snapshot behind", "open_behind_ms", at_most=100, unit="ms"),
            Requirement(
                "resume by 100, just opened", "resume_100_after_open_ms", at_most=50, unit="ms"
            ),
            Requirement("resume by 100, at work", "resume_100_ms", at_most=50, unit="ms"),
        ),
        growth,
        lambda scale: 4 + scale.count(MEMBERS, least=2) + WRITERS,
        lambda scale: scale.count(LINES),
    ),
)
