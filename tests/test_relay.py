"""The relay as processes, between a real store and a real Kafka: whatever dies, every rev is there.

First deliveries are in order, of every cart. What is on Kafka is read by librdkafka.
"""

from __future__ import annotations

import functools
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from confluent_kafka import KafkaException

from server.settings import Settings
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.oplog import OpLog
from storage.outbox import Outbox
from tests.faults import is_commit, updates_of
from tests.helpers import eventually as eventually_within
from tests.instances import running_instances
from tests.kafka import KafkaBroker
from tests.published import first_deliveries, published
from tests.relaying import commit, now_ms, write
from tests.serving import cartroom
from tests.tiers import by_store, by_tier
from tests.worker_processes import running_workers

PATIENCE_S = 120.0
CARTS = tuple(f"crt_{number}" for number in range(12))
OPS = by_tier(quick=20, ci=100, long=2_000)
"""Of each cart."""
AWAY = by_tier(quick=0, ci=2, long=10)
"""So many times the relay finds that Kafka is away."""

eventually = functools.partial(eventually_within, timeout_s=PATIENCE_S)


@pytest.fixture
def relaying(settings: Settings, kafka: str, topic_prefix: str) -> Settings:
    """Settings of relays that are quick to find out."""
    return replace(
        settings,
        kafka_bootstrap=(kafka,),
        kafka_topic_prefix=topic_prefix,
        follow_every_s=0.1,
        follower_lease_s=2.0,
        sweep_every_s=0.5,
    )


def on_kafka(settings: Settings, count: int) -> Callable[[], Awaitable[dict[str, list[int]]]]:
    """A predicate: so many different ops are there, by cart, as they first came."""

    async def look() -> dict[str, list[int]]:
        assert settings.kafka_bootstrap is not None
        topic = f"{settings.kafka_topic_prefix}carts"
        try:
            came = first_deliveries(await published(settings.kafka_bootstrap[0], topic))
        except (KafkaException, KeyError):
            return {}  # the topic is only just being made
        return came if sum(map(len, came.values())) >= count else {}

    return look


async def write_some(database: Database, revs: range) -> None:
    """Go on with all carts: commits of one and two ops by turns."""
    oplog, outbox = OpLog(database), Outbox(database)
    for cart in CARTS:
        await outbox.mark_active(cart, now_ms())
    for first in revs[::3]:
        for cart in CARTS:
            await write(oplog, commit(cart, first), commit(cart, first + 1, 2))


@pytest.mark.stores
async def test_of_two_relays_one_is_killed_between_kafka_and_its_mark(
    relaying: Settings, database: Database
) -> None:
    await create_indexes(database)
    half, whole = OPS // 2 * 3, OPS * 3
    async with running_workers(relaying, "relay", "relay") as (first, second):
        await eventually(first.ready)
        share = "cartroom_relay_shards"
        await eventually(lambda: _is(first.metric(share), 32))
        marking = first.store.hold(updates_of("outbox"))
        await write_some(database, range(1, half + 1))
        await marking.reached()
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        await write_some(database, range(half + 1, whole + 1))
        came = await eventually(on_kafka(relaying, len(CARTS) * whole))
        assert came == {cart: list(range(1, whole + 1)) for cart in CARTS}
        again = await second.metric("cartroom_relay_events_total", place="relay")
        assert again > len(CARTS) * whole // 2
        topic = f"{relaying.kafka_topic_prefix}carts"
        assert relaying.kafka_bootstrap is not None
        records = await published(relaying.kafka_bootstrap[0], topic)
        assert len(records) > len(CARTS) * whole, "what the first had not marked came again"
        assert await second.end() == 0


@pytest.mark.stores
async def test_what_the_store_held_back_is_published_all_the_same(
    relaying: Settings, database: Database
) -> None:
    """Later commits of another cart go by; then its own cart rests; then it lands."""
    relaying = replace(relaying, mark_life_s=1.0)
    async with (
        running_instances(relaying, 1) as (instance,),
        running_workers(relaying, "relay") as (relay,),
        instance.connect(await instance.account()) as ana,
    ):
        late, other = await ana.create(), await ana.create()
        await eventually(on_kafka(relaying, 2))
        held = f"{late}:2".encode()
        hold = instance.store.hold(lambda message: is_commit(message) and held in message)
        renaming = ana.start_op(late, "rename", name="Late")
        await hold.reached()
        await ana.op(other, "rename", name="Later, and there first")
        came = await eventually(on_kafka(relaying, 3))
        assert came == {late: [1], other: [1, 2]}
        documents = database.collection("outbox")

        async def rests() -> bool:
            found = await documents.find_one({"_id": late})
            return found is not None and found["relay_active"] < 0

        await eventually(rests)
        woken = await relay.metric("cartroom_relay_woken_total", place="relay")
        hold.release()
        came = await eventually(on_kafka(relaying, 4))
        assert came == {late: [1, 2], other: [1, 2]}
        again = await relay.metric("cartroom_relay_woken_total", place="relay")
        assert again == woken + 1
        await renaming


@pytest.mark.stores
async def test_kafka_is_away_and_back(
    settings: Settings, database: Database, kafka_broker: KafkaBroker, topic_prefix: str
) -> None:
    """Carts go on as before; the relay keeps nothing in memory, and hands it all over then."""
    settings = replace(
        settings,
        kafka_bootstrap=(kafka_broker.bootstrap,),
        kafka_topic_prefix=topic_prefix,
        follow_every_s=0.1,
        # Ana says nothing all the while that the relay finds out.
        heartbeat_s=10 * PATIENCE_S,
    )
    count = by_store(own=by_tier(quick=200, ci=1_000, long=10_000), named=30)
    async with (
        running_instances(settings, 1) as (instance,),
        running_workers(settings, "relay") as (relay,),
        instance.connect(await instance.account()) as ana,
    ):
        cart = await ana.create()
        await eventually(on_kafka(settings, 1))
        await kafka_broker.proxy.down()
        revs = list(range(1, -(-count // 3) * 3 + 1))
        backlog = len(revs) * len(CARTS)
        await write_some(database, range(1, count + 1))
        # The sink is patient; it gives up after a while, and is given the same again.
        signs = {"cartroom_relay_oldest_seconds": 0, "cartroom_relay_sink_away_total": AWAY - 1}
        for name, above in signs.items():
            await eventually(lambda name=name, above=above: _over(relay.metric(name), above))
        before = await relay.metric("process_resident_memory_bytes")
        for number in range(20):
            await ana.op(cart, "rename", name=f"Kafka is away {number}")
        await kafka_broker.proxy.up()
        settings = replace(settings, kafka_bootstrap=(kafka_broker.direct,))
        came = await eventually(on_kafka(settings, backlog + 21))
        assert came == {cart: list(range(1, 22)), **dict.fromkeys(CARTS, revs)}
        after = await relay.metric("process_resident_memory_bytes")
        assert after - before < 100 * 1024 * 1024
        await eventually(lambda: _is(relay.metric("cartroom_relay_oldest_seconds"), 0))


async def _is(metric: Awaitable[float], value: float) -> bool:
    return await metric == value


async def _over(metric: Awaitable[float], value: float) -> bool:
    return await metric > value


async def test_a_relay_without_kafka_says_what_is_missing() -> None:
    status, _, error = await cartroom("worker", "relay")
    assert (status, error) == (2, "cartroom: KAFKA_BOOTSTRAP: needed by the relay\n")
