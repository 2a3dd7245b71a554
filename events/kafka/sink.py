"""Events to Kafka, in order whatever fails.

A batch holds, of each cart, consecutive events, and goes out only when what comes before them is
known to be in Kafka; of each partition one batch is under way. So it doesn't matter what becomes
of a batch that failed: appended after all, late, or twice, the first coming of each event is
behind the first coming of the one before it. An idempotent producer alone doesn't promise
that: after a batch that Kafka refused, it sends the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from aiokafka.partitioner import DefaultPartitioner  # type: ignore[import-untyped]
from aiokafka.producer.message_accumulator import BatchBuilder  # type: ignore[import-untyped]

from events.kafka.access import KafkaAccess
from events.kafka.codec import Encoded, Encoder
from events.kafka.producer import Producer
from events.kafka.topics import Topics, create_topics
from events.sink import CartEvents, SinkAwayError

BATCH_BYTES_MAX: Final = 512 * 1024
"""Of a batch. An event that is larger by itself goes alone."""

PATIENCE_S: Final = 20.0
"""How long a batch may take, with all that is tried again, before it counts as failed."""

REST_S: Final = 5.0
"""How long a partition whose batch failed isn't tried again, while others are."""

log = logging.getLogger(__name__)

Lane = tuple[str, int]
"""Topic and partition."""


class KafkaSink:
    """Implements `events.sink.Sink`. In a `CartEvents` all events must have the same key."""

    def __init__(
        self,
        access: KafkaAccess,
        topics: Topics,
        encoder: Encoder,
        *,
        patience_s: float = PATIENCE_S,
        rest_s: float = REST_S,
    ) -> None:
        self._access = access
        self._topics = topics
        self._encoder = encoder
        self._patience_s = patience_s
        self._rest_s = rest_s
        self._partition_of = DefaultPartitioner()
        self._producer: Producer | None = None
        self._turn = asyncio.Lock()
        self._resting: dict[Lane, float] = {}
        """Until when, by the loop's clock."""
        self._ending: set[asyncio.Task[None]] = set()

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        """Append events; answers, by cart, the last rev that is in Kafka with all before it.

        Raises SinkAwayError when nothing could be appended.
        """
        async with self._turn:
            try:
                return await self._deliver(carts)
            except BaseException:
                self._give_up()
                raise

    async def close(self) -> None:
        """Give up what is under way, and close all connections."""
        self._give_up()
        await asyncio.gather(*self._ending)

    async def _deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        if not carts:
            return {}
        producer = await self._started()
        lanes = await self._lanes(producer, carts)
        now = asyncio.get_running_loop().time()
        ready = {
            lane: given for lane, given in lanes.items() if now >= self._resting.get(lane, now)
        }
        taken: dict[str, int] = {}
        async with asyncio.TaskGroup() as group:
            sending = [
                group.create_task(self._send(producer, lane, given, taken))
                for lane, given in ready.items()
            ]
        if not all(task.result() for task in sending):
            self._give_up()
        if not taken:
            raise SinkAwayError("Kafka took nothing")
        return taken

    async def _started(self) -> Producer:
        """The producer, after the topics were made. Raises SinkAwayError."""
        if self._producer is not None:
            return self._producer
        self._producer = Producer(self._access, BATCH_BYTES_MAX)
        try:
            async with asyncio.timeout(self._patience_s):
                await create_topics(self._access, self._topics)
                await self._producer.start()
        except (KafkaError, TimeoutError) as error:
            raise SinkAwayError(_explain(error)) from error
        return self._producer

    async def _lanes(
        self, producer: Producer, carts: Sequence[CartEvents]
    ) -> dict[Lane, list[CartEvents]]:
        partitions: dict[str, list[int]] = {}
        lanes: dict[Lane, list[CartEvents]] = {}
        for given in carts:
            first = given.events[0]
            topic = self._topics.topic_of(first.type)
            if topic not in partitions:
                partitions[topic] = await self._partitions(producer, topic)
            among = partitions[topic]
            lane = (topic, self._partition_of(first.key.encode(), among, among))
            lanes.setdefault(lane, []).append(given)
        return lanes

    async def _partitions(self, producer: Producer, topic: str) -> list[int]:
        try:
            async with asyncio.timeout(self._patience_s):
                return await producer.partitions(topic)
        except (KafkaError, TimeoutError) as error:
            raise SinkAwayError(_explain(error)) from error

    async def _send(
        self, producer: Producer, lane: Lane, given: list[CartEvents], taken: dict[str, int]
    ) -> bool:
        """Append one batch after the other; False after the first that failed."""
        for batch, revs in self._batches(producer, given):
            try:
                async with asyncio.timeout(self._patience_s):
                    await producer.send(batch, *lane)
            except (KafkaError, TimeoutError) as error:
                where = {"topic": lane[0], "partition": lane[1]}
                log.warning("Kafka didn't take a batch: %s", _explain(error), extra=where)
                loop = asyncio.get_running_loop()
                self._resting[lane] = loop.time() + self._rest_s
                return False
            self._resting.pop(lane, None)
            taken.update(revs)
        return True

    def _batches(
        self, producer: Producer, given: list[CartEvents]
    ) -> Iterator[tuple[BatchBuilder, dict[str, int]]]:
        """Batches, each with the last rev of each cart in it. Made when they are asked for."""
        batch, revs = producer.batch(), dict[str, int]()
        for cart in given:
            for event in cart.events:
                record = self._encoder.encode(event)
                while not _append(batch, record):
                    yield batch, revs
                    batch, revs = producer.batch(), {}
                revs[cart.cart] = event.sequence
        yield batch, revs

    def _give_up(self) -> None:
        """End the producer, in the background; the next delivery starts another one."""
        if self._producer is None:
            return
        task = asyncio.create_task(self._producer.end(), name="end a Kafka producer")
        self._producer = None
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _append(batch: BatchBuilder, record: Encoded) -> bool:
    """False when the batch is full. One that is empty takes any record."""
    # Its time for Kafka is that of its publishing, from which retention counts.
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
    return added is not None


def _explain(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
