"""What a consumer from outside, librdkafka, finds on Kafka: every rev of every cart, in order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

ANSWER_S: Final = 60.0
AT_ONCE: Final = 1_000
GATHER_S: Final = 0.5
"""How long records are waited for to come together."""
SHOWN_MAX: Final = 5


class Carts:
    """How far each cart has come, as records come in."""

    def __init__(self) -> None:
        self.heads: dict[str, int] = {}
        self.records = 0
        self.repeats = 0
        self.out_of_order = 0

    def take(self, cart: str, rev: int) -> None:
        self.records += 1
        head = self.heads.get(cart, 0)
        if rev <= head:
            self.repeats += 1
        elif rev == head + 1:
            self.heads[cart] = rev
        else:
            self.out_of_order += 1


def consumed(bootstrap: str, topic: str, heads: Mapping[str, int]) -> dict[str, Any]:
    """Read all of a topic, and compare it with carts' last revs. Raises TimeoutError."""
    began_s = time.perf_counter()
    carts = Carts()
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False}
    )
    try:
        _read(consumer, topic, carts)
    finally:
        consumer.close()
    incomplete = [cart for cart, head in heads.items() if carts.heads.get(cart, 0) != head]
    return {
        "records": carts.records,
        "carts": len(carts.heads),
        "revs": sum(carts.heads.values()),
        "revs_expected": sum(heads.values()),
        "repeats": carts.repeats,
        "out_of_order": carts.out_of_order,
        "carts_incomplete": len(incomplete),
        "incomplete": {
            cart: [carts.heads.get(cart, 0), heads[cart]] for cart in incomplete[:SHOWN_MAX]
        },
        "took_s": round(time.perf_counter() - began_s, 1),
    }


def _read(consumer: Consumer, topic: str, carts: Carts) -> None:
    partitions = consumer.list_topics(topic, ANSWER_S).topics[topic].partitions
    ends: dict[int, int] = {}
    for partition in partitions:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_S)
        if first < end:
            ends[partition] = end
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    came_s = time.perf_counter()
    while ends:
        messages: Any = consumer.consume(AT_ONCE, GATHER_S)
        if messages:
            came_s = time.perf_counter()
        elif time.perf_counter() - came_s > ANSWER_S:
            raise TimeoutError(f"nothing came within {ANSWER_S:.0f} s; partitions {[*ends]} lack")
        for message in messages:
            if message.error() is not None:
                raise ValueError(message.error())
            sequence = dict(message.headers())["ce_sequence"]
            carts.take(message.key().decode(), int(sequence))
            if message.offset() >= ends.get(message.partition(), 0) - 1:
                ends.pop(message.partition(), None)
