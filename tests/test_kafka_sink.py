"""Events on their way to a real Kafka: as they should be there, in order whatever fails."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.partitioner import murmur2

from events.event import Event
from events.kafka import sink as sink_module
from events.kafka.access import KafkaAccess
from events.kafka.codec import Encoder
from events.kafka.sink import KafkaSink
from events.kafka.topics import Topics, create_topics
from events.sink import CartEvents, SinkAwayError
from tests.faults import Fault
from tests.helpers import eventually, steady_port
from tests.kafka import admin_of, is_produce
from tests.published import first_deliveries, published

PARTITIONS = 3
LONG_S = 120.0


@asynccontextmanager
async def sink_to(address, prefix, **options):
    topics = Topics(prefix, partitions=PARTITIONS)
    sink = KafkaSink(KafkaAccess((address,)), topics, Encoder("/cartroom"), rest_s=0.05, **options)
    try:
        async with asyncio.timeout(LONG_S):
            yield sink
    finally:
        await sink.close()


async def insist(sink, given):
    """Deliver as a relay does, again and again."""
    while True:
        try:
            return await sink.deliver([given])
        except SinkAwayError:
            continue


def op(cart, rev, padding=0):
    data = {"cart": cart, "rev": rev, "op": {"kind": "note", "text": "x" * padding}}
    return Event(f"{cart}:{rev}", "cartroom.cart.note", cart, cart, rev, 1_000 + rev, data)


def events(cart, first, last, padding=0):
    return CartEvents(cart, tuple(op(cart, rev, padding) for rev in range(first, last + 1)), 100)


class Source:
    """Carts as a relay sees them: what was taken isn't given again, the rest is."""

    def __init__(self, carts, last, padding=0):
        self.reached = dict.fromkeys(carts, 0)
        self.last = last
        self.padding = padding

    def next(self, count):
        return [
            events(cart, reached + 1, min(self.last, reached + count), self.padding)
            for cart, reached in self.reached.items()
            if reached < self.last
        ]

    async def all_to(self, sink, count=10):
        while given := self.next(count):
            self.reached.update(await eventually(partial(taken, sink, given), LONG_S))


async def taken(sink, given):
    try:
        return await sink.deliver(given)
    except SinkAwayError:
        return {}


async def test_events_are_there_as_cloudevents_in_their_topics(kafka, topic_prefix):
    product = Event(
        "prd_1:3", "cartroom.product.changed", "TEA", "TEA", 3, 5_000, {"sku": "TEA", "price": 7}
    )
    invitation = Event("inv_1:1", "cartroom.invitation.created", "crt_1", "crt_1", 1, 6_000, {})
    carts = [f"crt_{number}" for number in range(8)]
    given = [events(cart, 4, 6) for cart in carts]
    given += [CartEvents("prd_1", (product,), 10), CartEvents("inv_1", (invitation,), 10)]
    async with sink_to(kafka, topic_prefix) as sink:
        assert await sink.deliver(given) == {**dict.fromkeys(carts, 6), "prd_1": 3, "inv_1": 1}
    records = await published(kafka, f"{topic_prefix}carts")
    ops = [record for record in records if record.event.get_type() == "cartroom.cart.note"]
    assert first_deliveries(ops) == {cart: [4, 5, 6] for cart in carts}
    for record in records:
        # Where anybody's producer would put the key.
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
    (told,) = [record.event for record in records if record not in ops]
    assert (told.get_id(), told.get_extension("partitionkey")) == ("inv_1:1", "crt_1")
    (changed,) = await published(kafka, f"{topic_prefix}products")
    assert changed.key == b"TEA"
    assert changed.event.get_data() == {"sku": "TEA", "price": 7}
    assert len({record.partition for record in records}) > 1


async def test_topics_are_made_as_stated_and_left_as_they_are(kafka, topic_prefix):
    access = KafkaAccess((kafka,))
    stated = Topics(topic_prefix, partitions=2, retention_s=3_600, dead_letters_retention_s=7_200)
    await asyncio.gather(*(create_topics(access, stated) for _ in range(3)))
    await create_topics(access, Topics(topic_prefix, partitions=5))
    names = [stated.carts, stated.products, stated.dead_letters]
    async with admin_of(kafka) as admin:
        found = {one["topic"]: one for one in await admin.describe_topics(names)}
        config = {
            resource[3]: {entry[0]: entry[1] for entry in resource[4]}
            for response in await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            )
            for resource in response.resources
        }
    assert [len(found[name]["partitions"]) for name in names] == [2, 2, 1]
    assert config[stated.carts]["retention.ms"] == "3600000"
    assert config[stated.carts]["cleanup.policy"] == "delete"
    assert config[stated.dead_letters]["retention.ms"] == "7200000"
    assert config[stated.dead_letters]["cleanup.policy"] == "compact,delete"


async def test_many_events_go_in_several_batches(kafka, topic_prefix, monkeypatch):
    monkeypatch.setattr(sink_module, "BATCH_BYTES_MAX", 2_000)
    given = [events("crt_a", 1, 30, padding=200), events("crt_b", 7, 9, padding=3_000)]
    async with sink_to(kafka, topic_prefix) as sink:
        assert await sink.deliver(given) == {"crt_a": 30, "crt_b": 9}
    records = await published(kafka, f"{topic_prefix}carts")
    assert first_deliveries(records) == {"crt_a": [*range(1, 31)], "crt_b": [7, 8, 9]}
    assert len(records) == 33


async def test_nothing_follows_a_batch_that_was_refused(kafka, topic_prefix, monkeypatch):
    """A cart that straddles two batches, of which Kafka refuses the first.

    An idempotent producer left to itself appends the second.
    """
    monkeypatch.setattr(sink_module, "BATCH_BYTES_MAX", 10_000)
    large = events("crt_a", 1, 9, padding=1_000).events + events("crt_a", 10, 12).events
    given = [CartEvents("crt_a", large, 100)]
    topic = f"{topic_prefix}carts"

    async with admin_of(kafka) as admin:
        limit = {"max.message.bytes": "5000"}
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=limit)])
    async with sink_to(kafka, topic_prefix) as sink:
        with pytest.raises(SinkAwayError):
            await sink.deliver(given)
        assert await published(kafka, topic) == []
        async with admin_of(kafka) as admin:
            raised = {"max.message.bytes": "100000"}
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic, configs=raised)]
            )
        assert await eventually(lambda: taken(sink, given), LONG_S) == {"crt_a": 12}
    assert first_deliveries(await published(kafka, topic)) == {"crt_a": [*range(1, 13)]}


async def test_order_is_kept_through_faults_between_us_and_kafka(
    kafka_broker, topic_prefix, monkeypatch
):
    """Requests that are lost, lose their answers, or arrive long after they were given up."""
    monkeypatch.setattr(sink_module, "BATCH_BYTES_MAX", 3_000)
    rng = random.Random(7)
    carts = [f"crt_{number}" for number in range(6)]
    source = Source(carts, 40, padding=300)
    for every in range(2, 14):
        kafka_broker.proxy.strike(rng.choice([*Fault]), is_produce, every=every)
    async with sink_to(kafka_broker.bootstrap, topic_prefix) as sink:
        await source.all_to(sink)
    struck = kafka_broker.proxy.struck
    assert sum(struck.values()) > 8
    assert min(struck[Fault.LATE], struck[Fault.AFTER])
    records = await published(kafka_broker.direct, f"{topic_prefix}carts")
    assert first_deliveries(records) == {cart: [*range(1, 41)] for cart in carts}


async def test_what_arrives_after_it_was_given_up_comes_late_but_in_order(
    kafka_broker, topic_prefix
):
    proxy = kafka_broker.proxy
    async with (
        sink_to(kafka_broker.bootstrap, topic_prefix, patience_s=2.0) as first,
        sink_to(kafka_broker.direct, topic_prefix) as second,
    ):
        assert await insist(first, events("crt_a", 1, 2)) == {"crt_a": 2}
        hold = proxy.hold(is_produce)
        while not hold.held:
            with pytest.raises(SinkAwayError):
                await first.deliver([events("crt_a", 3, 5)])
        # Another relay takes over from the same place and comes further.
        assert await second.deliver([events("crt_a", 3, 9)]) == {"crt_a": 9}
        proxy.cut_off()
        hold.release()
        assert await insist(first, events("crt_a", 10, 11)) == {"crt_a": 11}
    records = await published(kafka_broker.direct, f"{topic_prefix}carts")
    assert first_deliveries(records) == {"crt_a": [*range(1, 12)]}


async def test_while_kafka_is_away_nothing_is_lost(kafka_broker, topic_prefix):
    carts = [f"crt_{number}" for number in range(4)]
    source = Source(carts, 60)
    async with sink_to(kafka_broker.bootstrap, topic_prefix, patience_s=2.0) as sink:
        source.reached.update(await eventually(partial(taken, sink, source.next(20)), LONG_S))
        await kafka_broker.proxy.down()
        for _ in range(2):
            with pytest.raises(SinkAwayError):
                await sink.deliver(source.next(20))
        await kafka_broker.proxy.up()
        await source.all_to(sink)
    records = await published(kafka_broker.direct, f"{topic_prefix}carts")
    assert first_deliveries(records) == {cart: [*range(1, 61)] for cart in carts}


async def test_without_kafka_nothing_is_taken_nothing_hangs_and_nothing_is_an_error(caplog):
    async with sink_to(f"127.0.0.1:{steady_port()}", "nowhere.") as sink:
        for _ in range(2):
            with pytest.raises(SinkAwayError, match="KafkaConnectionError"):
                await sink.deliver([events("crt_a", 1, 2)])
    assert {record.levelname for record in caplog.records} == {"WARNING"}
