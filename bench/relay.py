"""What it costs carts that their log is followed, and how fast the relay hands over a backlog."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from bench.accounts import SKUS_IN_OPS, Population
from bench.fleet import Fleet
from bench.loops import measure
from bench.scenario import ROOM, Context, Requirement, Scale, Scenario, all_acked
from bench.surroundings import Started
from commerce.accounts.tokens import derive_key
from commerce.webhooks.service import Webhooks
from server.webhooks import SEALING
from storage.mongo import Database
from storage.sealing import Sealing
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_endpoints import WebhookEndpoints

SOCKETS: Final = 400
ROUNDS: Final = 2
"""In a repeat at full scale; one otherwise."""
EVENTS: Final = 'cartroom_relay_events_total{place="relay"}'
SENT: Final = 'cartroom_webhook_attempts_total{result="delivered"}'
COMMITTED: Final = "cartroom_ops_committed_total"
NOTIFY_AFTER_S: Final = 2
"""Instead of 45 s, so that what it costs falls into the measured stretch."""
POLL_S: Final = 0.05


def _sockets(scale: Scale) -> int:
    return scale.count(SOCKETS, least=2 * ROOM, multiple=ROOM)


@dataclass
class Stage:
    """One instance with rooms on a database of its own, on which nobody has worked before."""

    context: Context
    settings: dict[str, str]
    server: Started
    fleet: Fleet

    async def closed(self, **beside: Started) -> dict[str, Any]:
        pids = self.context.surroundings.pids(server=self.server, **beside)
        return await measure(self.fleet, self.context.scale.closed(), pids)

    async def open(self, rate: float, **beside: Started) -> dict[str, Any]:
        pids = self.context.surroundings.pids(server=self.server, **beside)
        return await measure(self.fleet, self.context.scale.open(rate), pids)

    async def handed_over(self, place: str) -> float:
        """The share of what is committed that has been handed over at a place."""
        events = await self.server.gauge(f'cartroom_relay_events_total{{place="{place}"}}')
        return round(events / max(1.0, await self.server.gauge(COMMITTED)), 3)


@contextlib.asynccontextmanager
async def _stage(
    context: Context, name: str, *, webhook: str | None = None, **settings: str
) -> AsyncIterator[Stage]:
    """Left, its instance is stopped: what it still had to do disturbs nobody after it."""
    around = context.surroundings
    database = Database(around.services.mongodb_url or "", name, journal=False)
    try:
        population = await Population.settle(
            database, users=_sockets(context.scale), products=SKUS_IN_OPS, bcrypt_cost=4
        )
        if webhook is not None:
            # As the instance reads it, by a key from its secret.
            sealing = Sealing([derive_key(population.secret, SEALING)])
            endpoints, deliveries = (
                WebhookEndpoints(database, sealing),
                WebhookDeliveries(database),
            )
            service = Webhooks(endpoints, deliveries, private=True, give_up_s=60)
            await service.register("usr_bench", url=webhook)
    finally:
        database.close()
    settings |= {"CARTROOM_DATABASE": name, "CARTROOM_JWT_SECRET": population.secret}
    server = await around.serve(**settings)
    fleet = Fleet([server.url], population.skus[:SKUS_IN_OPS])
    await fleet.open_rooms(population.take(_sockets(context.scale)), ROOM)
    yield Stage(context, settings, server, fleet)
    await fleet.close()
    await server.stop()


async def _drain(relay: Started, count: int) -> float:
    """Wait until so many events are handed over; how many a second."""
    began = time.perf_counter()
    before = await relay.gauge(EVENTS)
    while (events := await relay.gauge(EVENTS)) < count:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(POLL_S)
    return (events - before) / (time.perf_counter() - began)


async def _without_and_with(context: Context, name: str, kafka: Started) -> dict[str, Any]:
    """The same rooms without a relay, then beside one that has handed over what had piled up."""
    address = kafka.url.removeprefix("http://")
    async with _stage(context, name) as stage:
        context.tell("without a relay")
        without = await stage.closed()
        relay = await context.surroundings.worker(
            "relay", **stage.settings, KAFKA_BOOTSTRAP=address
        )
        context.tell("a relay catches up")
        drained_per_s = await _drain(relay, round(await stage.server.gauge(COMMITTED)))
        context.tell("beside the relay, closed loop")
        beside = await stage.closed(relay=relay, kafka=kafka)
        context.tell("beside the relay, 3,000 ops/s")
        calm = await stage.open(3_000, relay=relay, kafka=kafka)
        began = time.perf_counter()
        await _drain(relay, round(await stage.server.gauge(COMMITTED)))
        figures = {
            "without": without,
            "with": beside,
            "open": calm,
            "drained_per_s": round(drained_per_s),
            "behind_at_end_s": round(time.perf_counter() - began, 2),
            "relay_mib": round(relay.resident_bytes / 1024 / 1024, 1),
        }
        await relay.stop()
    return figures


async def _in_process(context: Context, name: str, receiver: Started) -> dict[str, Any]:
    """Instances that follow the log themselves, as they do without Kafka."""
    context.tell("notify in process")
    async with _stage(
        context,
        f"{name}_notify",
        CARTROOM_WORKERS="notify",
        CARTROOM_NOTIFY_AFTER_S=str(NOTIFY_AFTER_S),
    ) as stage:
        notify = await stage.closed()
        notify["handed_over"] = await stage.handed_over("notify")
    context.tell("webhooks in process")
    async with _stage(
        context,
        f"{name}_webhooks",
        webhook=f"{receiver.url}/",
        CARTROOM_WORKERS="webhooks",
        CARTROOM_WEBHOOKS_PRIVATE="1",
    ) as stage:
        webhooks = await stage.closed(receiver=receiver)
        webhooks["handed_over"] = await stage.handed_over("webhooks")
        webhooks["webhooks_sent"] = round(await stage.server.gauge(SENT))
    return {"notify": notify, "webhooks": webhooks}


async def relay_cost(context: Context) -> dict[str, Any]:
    """Rounds of the same closed loop: nobody follows, a relay, notify, webhooks."""
    around = context.surroundings
    kafka = await around.beside("bench.kafka_mock")
    receiver = await around.beside("bench.receiver")
    rounds = []
    for number in range(ROUNDS if context.scale.shrink == 1 else 1):
        name = f"round_{number + 1}"
        context.tell(f"round {number + 1}")
        figures = await _without_and_with(context, name, kafka)
        rounds.append(figures | await _in_process(context, name, receiver))
    ratios = {
        "ratio": [_ratio(one, "with") for one in rounds],
        "notify_ratio": [_ratio(one, "notify") for one in rounds],
        "webhooks_ratio": [_ratio(one, "webhooks") for one in rounds],
    }
    return {
        **rounds[-1],
        "drained_per_s": round(statistics.median(one["drained_per_s"] for one in rounds)),
        **{name: round(statistics.median(each), 3) for name, each in ratios.items()},
        "ratios": ratios,
    }


def _ratio(figures: dict[str, Any], mode: str) -> float:
    return round(float(figures[mode]["ops_per_s"] / max(1.0, figures["without"]["ops_per_s"])), 3)


SCENARIOS = (
    Scenario(
        "relay",
        f"embedded store, rooms of {ROOM}, {SOCKETS} sockets: nobody, relay, notify, webhooks",
        "Rounds of a closed loop of one op in flight a socket: with nobody who follows the log;"
        " beside a relay that has handed over before what had piled up, which is how fast it"
        " drains a backlog, and an open loop of 3,000 ops/s beside it; with `notify` in the"
        f" instance's process, which hands over after {NOTIFY_AFTER_S} s instead of 45, so that"
        " its work falls into the stretch; with `webhooks` there and one endpoint for all events"
        " (which, with more than 10,000 waiting, is switched off, while what waits is sent). Each"
        " but the relay with a database of its own. The relay runs on the core of stores and"
        " load, at the lower priority that workers give themselves. Kafka is librdkafka's mock"
        " cluster: what a broker costs on the same core is not the relay's.",
        (
            Requirement("with a relay, of the throughput without", "ratio", at_least=0.9),
            Requirement("ack p99 at 3,000 ops/s", "open.ack_ms.p99", at_most=100, unit="ms"),
            *all_acked("with"),
            *all_acked("open"),
            *all_acked("notify"),
            *all_acked("webhooks"),
        ),
        relay_cost,
        lambda _scale: 0,
    ),
)
