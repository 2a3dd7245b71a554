"""What the relay costs carts, and how fast it hands over what has piled up."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any, Final

from bench.fleet import Fleet
from bench.loops import measure
from bench.scenario import ROOM, Context, Requirement, Scale, Scenario, all_acked
from bench.surroundings import Started

SOCKETS: Final = 400
PAIRS: Final = 3
EVENTS: Final = 'cartroom_relay_events_total{place="relay"}'
POLL_S: Final = 0.05


def _sockets(scale: Scale) -> int:
    return scale.count(SOCKETS, least=2 * ROOM, multiple=ROOM)


async def _drain(relay: Started, count: int) -> float:
    """Wait until so many events are handed over; how many a second."""
    began = time.perf_counter()
    before = await relay.gauge(EVENTS)
    while (events := await relay.gauge(EVENTS)) < count:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(POLL_S)
    return (events - before) / (time.perf_counter() - began)


async def relay_cost(context: Context) -> dict[str, Any]:
    """Pairs of the same closed loop, without a relay and with one that has caught up before."""
    around, scale = context.surroundings, context.scale
    server = await around.serve()
    kafka = await around.beside("bench.kafka_mock")
    address = kafka.url.removeprefix("http://")
    fleet: Fleet = context.fleet(server)
    await fleet.open_rooms(around.population.take(_sockets(scale)), ROOM)
    ratios, rates, figures = [], [], dict[str, Any]()
    opened: dict[str, Any] = {}
    published = 0.0
    for pair in range(PAIRS):
        without = await measure(fleet, scale.closed(), around.pids(server=server))
        committed = await server.gauge("cartroom_ops_committed_total")
        relay = await around.worker("relay", KAFKA_BOOTSTRAP=address)
        rates.append(await _drain(relay, committed - published))
        pids = around.pids(server=server, relay=relay, kafka=kafka)
        beside = await measure(fleet, scale.closed(), pids)
        if pair == PAIRS - 1:
            opened = await measure(fleet, scale.open(3_000), pids)
        committed = await server.gauge("cartroom_ops_committed_total")
        began = time.perf_counter()
        await _drain(relay, committed - published)
        published = committed
        figures = {
            "without": without,
            "with": beside,
            "behind_at_end_s": round(time.perf_counter() - began, 2),
            "relay_mib": round(relay.resident_bytes / 1024 / 1024, 1),
        }
        ratios.append(beside["ops_per_s"] / max(1.0, without["ops_per_s"]))
        await relay.stop()
    await fleet.close()
    return {
        **figures,
        "open": opened,
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(one, 3) for one in ratios],
        "drained_per_s": round(statistics.median(rates)),
    }


SCENARIOS = (
    Scenario(
        "relay",
        f"embedded store, rooms of {ROOM}, {SOCKETS} sockets, with and without a relay",
        "Pairs of a closed loop of one op in flight a socket, first without a relay, then with one"
        " that has handed over before what had piled up, which is how fast it drains a backlog."
        " Then an open loop of 3,000 ops/s beside it. The relay runs on the core of stores and"
        " load, at the lower priority that workers give themselves. Kafka is librdkafka's mock"
        " cluster: what a broker costs on the same core is not the relay's.",
        (
            Requirement("with a relay, of the throughput without", "ratio", at_least=0.9),
            Requirement("ack p99 at 3,000 ops/s", "open.ack_ms.p99", at_most=100, unit="ms"),
            *all_acked("with"),
            *all_acked("open"),
        ),
        relay_cost,
        _sockets,
    ),
)
