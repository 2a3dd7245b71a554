"""Carts at work while Kafka is away: what they notice, and how what piled up is handed over.

    python -m bench.away                               Kafka away for an hour at 500 ops/s
    python -m bench.away --minutes 2 --before 0.5      in some minutes, to see that it works

Starts the embedded store, one instance, `cartroom worker relay`, and an Apache Kafka of its own
(`scripts/services install kafka`). Rooms of 4 are written in an open loop all along: for a while
with Kafka; then Kafka is killed for the given minutes, and started again on what it had; then until
the relay has caught up, and for a while beyond. In the end a consumer, librdkafka, reads the whole
topic: every rev of every cart must be there, and their first deliveries in order.

Progress goes to the terminal, figures as JSON to standard output and to var/bench. Ends by itself:
with 0, or with 1 when an op was not acknowledged, or anything was missing or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench import report
from bench.consumed import consumed
from bench.figures import distribution_ms
from bench.fleet import Fleet
from bench.loops import open_loop
from bench.relay import EVENTS
from bench.run import say, stopping_on_sigterm
from bench.scenario import ROOM
from bench.surroundings import Started, Surroundings, surroundings
from bench.tally import Tally
from server.lifecycle import run
from tests.kafka import KafkaBroker
from tests.services.installed import NotInstalledError

LOOK_EVERY_S: Final = 5.0
TELL_EVERY_S: Final = 60.0
AT_A_TIME_S: Final = 5.0
"""The load is told to go on for so long at a time."""
CAUGHT_UP_S: Final = 2.0
"""What comes in so many seconds may be under way when the relay counts as having caught up."""
ANSWERED_S: Final = 60.0
"""Longest wait for answers after the last op."""
TOPIC: Final = "cartroom.carts"
MIB: Final = 1024 * 1024


@dataclass
class Phase:
    """A part of the run. An op counts in the phase that it is acknowledged in."""

    name: str
    began_s: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    sent: int = 0
    ack_s: list[float] = field(default_factory=list)
    lag_s: list[float] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)

    def take(self, tally: Tally) -> None:
        self.sent += tally.sent
        self.ack_s += tally.ack_s
        self.lag_s += tally.lag_s

    def figures(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 1),
            "sent": self.sent,
            "acked": len(self.ack_s),
            "ops_per_s": round(len(self.ack_s) / self.seconds, 1),
            "ack_ms": distribution_ms(self.ack_s),
            "load_lag_ms": distribution_ms(self.lag_s),
            "relay_mib": self._over_time("relay_mib"),
            "server_mib": self._over_time("server_mib"),
            "backlog_ops": self._over_time("backlog_ops"),
        }

    def _over_time(self, name: str) -> dict[str, float]:
        values = [look[name] for look in self.looks]
        return {"first": values[0], "most": max(values), "last": values[-1]} if values else {}


class Watch:
    """Looks at service and relay all along, and has the load's answers counted phase by phase."""

    def __init__(self, fleet: Fleet, server: Started, relay: Started) -> None:
        self._fleet = fleet
        self._server = server
        self._relay = relay
        self._began_s = time.perf_counter()
        self._lately = Phase("lately")
        self.phases: list[Phase] = []

    async def look(self) -> dict[str, Any]:
        """One look at both. What is committed is asked for last, so a backlog of 0 is true."""
        handed_over = await self._relay.gauge(EVENTS)
        committed = await self._server.gauge("cartroom_ops_committed_total")
        self._count()
        found = {
            "at_s": round(time.perf_counter() - self._began_s, 1),
            "phase": self.phases[-1].name if self.phases else "",
            "committed_ops": round(committed),
            "backlog_ops": round(committed - handed_over),
            "relay_mib": round(self._relay.resident_bytes / MIB, 1),
            "server_mib": round(self._server.resident_bytes / MIB, 1),
        }
        if self.phases:
            self.phases[-1].looks.append(found)
        return found

    async def go_on(self) -> None:
        """Look again and again, and tell of it now and then. To be cancelled."""
        told_s = time.perf_counter()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            found = await self.look()
            if time.perf_counter() - told_s >= TELL_EVERY_S:
                told_s = time.perf_counter()
                self._tell(found)

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[Phase]:
        self._count()
        phase = Phase(name)
        self.phases.append(phase)
        self._tell(await self.look())
        yield phase
        await self.look()
        phase.seconds = time.perf_counter() - phase.began_s

    def _count(self) -> None:
        """Whatever was answered since the last time belongs to the phase that is on."""
        tally, self._fleet.tally = self._fleet.tally, Tally()
        if self.phases:
            self.phases[-1].take(tally)
        self._lately.take(tally)

    def _tell(self, found: dict[str, Any]) -> None:
        acks = distribution_ms(self._lately.ack_s)
        self._lately = Phase("lately")
        words = f"ack p50 {acks['p50']:.0f} p99 {acks['p99']:.0f} ms" if acks else "no ack yet"
        say(
            f"{found['phase']}: {found['committed_ops']:,} ops committed, {words};"
            f" {found['backlog_ops']:,} wait for Kafka; relay {found['relay_mib']:.0f} MiB"
        )


@dataclass(frozen=True)
class Times:
    """How long each part takes, in seconds; `drain_s` at most."""

    before_s: float
    away_s: float
    drain_s: float


async def _phases(broker: KafkaBroker, watch: Watch, times: Times, few: float) -> dict[str, Any]:
    """Have Kafka there, away, and back; how it drained."""
    async with watch.phase("before"):
        await asyncio.sleep(times.before_s)
    async with watch.phase("away"):
        await broker.kill()
        await asyncio.sleep(times.away_s)
    async with watch.phase("starting"):  # which takes a share of the stores' core
        await broker.start()
    async with watch.phase("draining") as draining:
        drained = await _until(watch, few, times.drain_s)
    async with watch.phase("after"):
        await asyncio.sleep(times.before_s)
    first, last = draining.looks[0], draining.looks[-1]
    handed_over = _handed_over(last) - _handed_over(first)
    return {
        "caught_up": drained,
        "piled_up_ops": first["backlog_ops"],
        "took_s": round(draining.seconds, 1),
        "handed_over_ops": handed_over,
        "ops_per_s": round(handed_over / draining.seconds),
    }


def _handed_over(look: dict[str, Any]) -> int:
    return int(look["committed_ops"] - look["backlog_ops"])


async def _until(watch: Watch, few: float, limit_s: float) -> bool:
    """Wait until no more than a few ops wait for Kafka; False when they don't within `limit_s`."""
    deadline_s = time.perf_counter() + limit_s
    while (await watch.look())["backlog_ops"] > few:
        if time.perf_counter() > deadline_s:
            return False
        await asyncio.sleep(0.5)
    return True


async def _load(fleet: Fleet, rate: float, on: Callable[[], bool]) -> None:
    """One schedule all along: what is late isn't forgotten."""
    start_s = time.perf_counter()
    while on():
        await open_loop(fleet, rate, AT_A_TIME_S, start_s)
        start_s += AT_A_TIME_S


async def _under_load(
    fleet: Fleet, rate: float, broker: KafkaBroker, watch: Watch, times: Times
) -> dict[str, Any]:
    on = True
    async with asyncio.TaskGroup() as group:
        group.create_task(_load(fleet, rate, lambda: on))
        watching = group.create_task(watch.go_on())
        drained = await _phases(broker, watch, times, rate * CAUGHT_UP_S)
        on = False
        watching.cancel()
    async with watch.phase("without load"):
        await fleet.settle(ANSWERED_S)
        drained["to_the_end"] = await _until(watch, 0, times.drain_s)
    return drained


async def away(around: Surroundings, args: argparse.Namespace) -> dict[str, Any]:
    broker = KafkaBroker(around.folder / "kafka")
    around.exits.push_async_callback(broker.end)
    await broker.start()
    server = await around.serve()
    relay = await around.worker("relay", KAFKA_BOOTSTRAP=broker.direct)
    fleet = Fleet([server.url], around.population.skus)
    await fleet.open_rooms(around.population.take(args.sockets), ROOM)
    for seat in fleet.seats:
        seat.sampled = False  # deliveries aren't timed: of millions of ops it takes too much memory
    watch = Watch(fleet, server, relay)
    times = Times(args.before * 60, args.minutes * 60, args.drain * 60)
    drained = await _under_load(fleet, args.rate, broker, watch, times)
    heads = {seat.cart: 0 for seat in fleet.seats}
    for seat in fleet.seats:
        heads[seat.cart] = max(heads[seat.cart], seat.rev)
    lost = sum(seat.lost for seat in fleet.seats)
    await fleet.close()
    say("a consumer reads it all")
    looks = [look for phase in watch.phases for look in phase.looks]
    return {
        "rate": args.rate,
        "sockets": args.sockets,
        "carts": len(heads),
        "phases": {phase.name: phase.figures() for phase in watch.phases},
        "drained": drained,
        "not_acked": sum(len(seat.waiting) for seat in fleet.seats),
        "refused": dict(fleet.errors),
        "sockets_lost": lost,
        "consumer": await asyncio.to_thread(consumed, broker.direct, TOPIC, heads),
        "over_time": looks,
    }


def shortcomings(figures: dict[str, Any]) -> list[str]:
    """What should not be, in words; nothing when all went well."""
    consumer, drained = figures["consumer"], figures["drained"]
    wrong = {
        "ops without an answer": figures["not_acked"],
        "ops refused": sum(figures["refused"].values()),
        "sockets lost": figures["sockets_lost"],
        "carts of which revs are missing": consumer["carts_incomplete"],
        "first deliveries out of order": consumer["out_of_order"],
        "the relay didn't catch up beside the load": not drained["caught_up"],
        "the relay didn't hand over everything": not drained["to_the_end"],
    }
    return [f"{what}: {count}" for what, count in wrong.items() if count]


async def _main(args: argparse.Namespace) -> dict[str, Any]:
    with (
        stopping_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="cartroom-bench-", dir=args.folder) as folder,
    ):
        async with surroundings(
            Path(folder), users=args.sockets, products=0, bcrypt_cost=4
        ) as around:
            return await away(around, args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.away",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="without Kafka (default 60)")
    parser.add_argument("--rate", type=float, default=500.0, help="ops a second (default 500)")
    parser.add_argument("--sockets", type=int, default=400, help=f"in rooms of {ROOM}")
    parser.add_argument(
        "--before", type=float, default=2.0, help="minutes with Kafka, and after it (default 2)"
    )
    parser.add_argument(
        "--drain", type=float, default=60.0, help="minutes that draining may take (default 60)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: var/bench/TIME.json")
    parser.add_argument("--folder", type=Path, help="where to put data (default: the system's)")
    args = parser.parse_args()
    if args.sockets < ROOM or args.sockets % ROOM:
        parser.error(f"--sockets: a multiple of {ROOM} is expected")
    return args


def main() -> int:
    args = _arguments()
    path = args.json or Path("var/bench") / f"{datetime.now().astimezone():%Y-%m-%dT%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        figures = {**report.machine(), **run(_main(args))}
    except NotInstalledError as error:
        print(f"bench.away: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; nothing is left running")
        return 130
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps({key: figures[key] for key in figures if key != "over_time"}, indent=2))
    say(f"all of it is in {path}")
    wrong = shortcomings(figures)
    for one in wrong:
        say(one)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
