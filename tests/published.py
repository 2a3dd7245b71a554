"""What is on Kafka, read by librdkafka, which shares no code with ours."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from confluent_kafka import Consumer, TopicPartition

READ_S = 60.0


@dataclass(frozen=True)
class Published:
    """A record as it is on Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def event(self) -> BaseCloudEvent:
        return from_kafka(KafkaMessage(self.headers, self.key, self.value or b""), JSONFormat())


async def published(bootstrap: str, topic: str) -> list[Published]:
    """All that is on a topic now, a partition after the other."""
    return await asyncio.to_thread(_read, bootstrap, topic)


def _read(bootstrap: str, topic: str) -> list[Published]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "not used",
            "enable.auto.commit": False,
            # A fetch that waits for more keeps the connection from everything else.
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        partitions = consumer.list_topics(topic, READ_S).topics[topic].partitions
        marks = {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), READ_S)
            for partition in partitions
        }
        missing = {partition for partition, (low, high) in marks.items() if low < high}
        consumer.assign([TopicPartition(topic, one, marks[one][0]) for one in missing])
        found = []
        while missing:
            message: Any = consumer.poll(READ_S)
            assert message is not None, f"{topic} {missing}: not within {READ_S} s"
            assert message.error() is None, message.error()
            partition, high = message.partition(), marks[message.partition()][1]
            if message.offset() < high:
                headers = dict(message.headers() or ())
                found.append(
                    Published(
                        *(topic, partition, message.offset()),
                        *(message.key(), message.value(), headers),
                    )
                )
            if message.offset() >= high - 1:
                missing.discard(partition)
        return sorted(found, key=lambda one: (one.partition, one.offset))
    finally:
        consumer.close()


def first_deliveries(records: list[Published]) -> dict[str, list[int]]:
    """By key, the sequences as they first came."""
    came: dict[str, list[int]] = {}
    for record in records:
        sequence = int(record.headers["ce_sequence"])
        sequences = came.setdefault((record.key or b"").decode(), [])
        if sequence not in sequences:
            sequences.append(sequence)
    return came
