"""The broker that other tests are built on does what they take for granted."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic

from tests.faults import Fault
from tests.kafka import admin_of, brokers_of, is_produce

LONG_S = 60.0


async def make_topic(bootstrap: str, name: str) -> None:
    async with admin_of(bootstrap) as admin:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])


async def values(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """The first so many values of a topic."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with asyncio.timeout(LONG_S), consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_what_was_acknowledged_is_there_after_a_kill(kafka_broker, topic_prefix):
    topic = topic_prefix + "kept"
    await make_topic(kafka_broker.direct, topic)
    async with AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, b"before")
        await kafka_broker.kill()
        assert await brokers_of(kafka_broker.direct) == []
        await kafka_broker.start()
        await producer.send_and_wait(topic, b"after")
    assert await values(kafka_broker.direct, topic, 2) == [b"before", b"after"]


async def test_a_client_is_led_through_the_proxy(kafka_broker, topic_prefix):
    topic = topic_prefix + "proxied"
    await make_topic(kafka_broker.direct, topic)
    async with AIOKafkaProducer(
        bootstrap_servers=kafka_broker.bootstrap, enable_idempotence=True
    ) as producer:
        kafka_broker.proxy.strike(Fault.AFTER, is_produce)
        await producer.send_and_wait(topic, b"once")
        assert kafka_broker.proxy.struck[Fault.AFTER] == 1
        hold = kafka_broker.proxy.hold(is_produce)
        sent = await producer.send(topic, b"held")
        await hold.reached()
        assert not sent.done()
        hold.release()
        await sent
    assert await values(kafka_broker.direct, topic, 2) == [b"once", b"held"]


async def test_a_frozen_broker_answers_when_it_is_woken(kafka_broker, topic_prefix):
    topic = topic_prefix + "frozen"
    await make_topic(kafka_broker.direct, topic)
    async with AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap) as producer:
        await producer.send_and_wait(topic, b"first")
        kafka_broker.pause()
        sent = await producer.send(topic, b"second")
        done, _ = await asyncio.wait([sent], timeout=0.5)
        assert not done
        kafka_broker.resume()
        await sent
    assert await values(kafka_broker.direct, topic, 2) == [b"first", b"second"]
