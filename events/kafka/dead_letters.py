"""The topic of dead letters: storing letters, looking at them, and putting them back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from aiokafka.partitioner import DefaultPartitioner  # type: ignore[import-untyped]

from events.kafka.access import KafkaAccess
from events.kafka.clients import start, stop_consumer
from events.kafka.codec import Headers
from events.kafka.letter import Letter, NotALetterError, headers_of, read_letter
from events.kafka.producer import Producer
from events.kafka.topics import Topics, create_topics
from events.sink import SinkAwayError

PATIENCE_S: Final = 20.0
BATCH_BYTES: Final = 16_384

log = logging.getLogger(__name__)


class DeadLetters:
    """Dead letters of one prefix. All methods raise SinkAwayError when Kafka doesn't answer.

    To be closed. Not for several tasks at once.
    """

    def __init__(
        self, access: KafkaAccess, topics: Topics, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._access = access
        self._topics = topics
        self._patience_s = patience_s
        self._partition_of = DefaultPartitioner()
        self._producer: Producer | None = None
        self._turn = asyncio.Lock()

    async def put(self, letter: Letter) -> None:
        """Store a letter durably; the same one again changes nothing for who looks."""
        value = b"" if letter.value is None else letter.value
        await self._append(self._topics.dead_letters, 0, letter.place, value, headers_of(letter))

    async def replay(self, letter: Letter) -> None:
        """Put the record back on its topic, then note that it was. A crash between repeats it."""
        headers = list(letter.headers)
        await self._append(letter.topic, letter.partition, letter.key, letter.value, headers)
        # Without a value: compaction forgets the letter for good.
        await self._append(self._topics.dead_letters, 0, letter.place, None, [])

    async def numbers(self) -> list[int]:
        """The numbers of the letters that weren't put back, in order."""
        waiting: dict[bytes, int] = {}
        async with aclosing(self._records()) as records:
            async for record in records:
                waiting.pop(record.key, None)
                if record.value is not None:
                    waiting[record.key] = record.offset
        return sorted(waiting.values())

    async def letters(self, numbers: Collection[int]) -> AsyncGenerator[Letter, None]:
        """The letters of these numbers, in order, one after the other in memory."""
        async with aclosing(self._records()) as records:
            async for record in records:
                if record.offset in numbers:
                    try:
                        yield read_letter(record)
                    except NotALetterError as error:
                        log.warning("%s", error)

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.end()

    async def _append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience_s):
                    producer = await self._started()
                    if topic != self._topics.dead_letters and key is not None:
                        among = await producer.partitions(topic)
                        partition = self._partition_of(key, among, among)
                    batch = producer.batch()
                    batch.append(timestamp=None, key=key, value=value, headers=headers)
                    await producer.send(batch, topic, partition)
            except (KafkaError, TimeoutError) as error:
                await self.close()
                raise SinkAwayError(f"{type(error).__name__}: {error}") from error
            except asyncio.CancelledError:
                await self.close()
                raise

    async def _started(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self._access, BATCH_BYTES)
            await create_topics(self._access, self._topics)
            await self._producer.start()
        return self._producer

    async def _records(self) -> AsyncGenerator[Any, None]:
        """All records of the topic that there are now."""
        consumer = AIOKafkaConsumer(
            **self._access.options(), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        where = TopicPartition(self._topics.dead_letters, 0)
        try:
            async with asyncio.timeout(self._patience_s):
                await create_topics(self._access, self._topics)
                await start(consumer)
                consumer.assign([where])
                end = (await consumer.end_offsets([where]))[where]
            while await consumer.position(where) < end:
                async with asyncio.timeout(self._patience_s):
                    found = await consumer.getmany(where, timeout_ms=1_000)
                for record in found.get(where, ()):
                    if record.offset < end:
                        yield record
        except (KafkaError, TimeoutError) as error:
            raise SinkAwayError(f"{type(error).__name__}: {error}") from error
        finally:
            await stop_consumer(consumer)
