"""A producer that can be given up.

aiokafka's idempotent producer repeats what may be repeated until it succeeds, and ends only when
it has: with Kafka away that is never. Which is why private parts of it are used here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.producer.message_accumulator import BatchBuilder  # type: ignore[import-untyped]

from events.kafka.access import KafkaAccess
from events.kafka.clients import start, to_the_end

END_S: Final = 30.0
"""How long what is under way may take when the producer ends, Kafka's time-outs included."""

log = logging.getLogger(__name__)


class Producer:
    """One start of an idempotent producer: its sequence numbers are worth nothing after an error.

    So whoever meets one ends it and starts another.
    """

    def __init__(self, access: KafkaAccess, batch_bytes: int) -> None:
        self._producer = AIOKafkaProducer(
            **access.options(),
            acks="all",
            enable_idempotence=True,
            max_batch_size=batch_bytes,
        )

    async def start(self) -> None:
        """Connect, and get a producer id. Raises KafkaError; waits as long as Kafka is silent."""
        await start(self._producer)

    async def partitions(self, topic: str) -> list[int]:
        return sorted(await self._producer.partitions_for(topic))

    def batch(self) -> BatchBuilder:
        return self._producer.create_batch()

    async def send(self, batch: BatchBuilder, topic: str, partition: int) -> int:
        """Append a batch; answers the first one's offset once every replica in sync has it.

        Raises KafkaError. After that, or when it is cancelled, the batch may be there or come yet.
        """
        sent = await self._producer.send_batch(batch, topic, partition=partition)
        metadata = await sent
        return int(metadata.offset)

    async def end(self) -> None:
        """Close its connections. What isn't acknowledged by now is given up.

        Cancelled, it goes on to its end.
        """
        await to_the_end(self._end())

    async def _end(self) -> None:
        self._producer._closed = True  # by us: it would wait for what it still has to send
        ending = asyncio.create_task(self._producer._sender.close(), name="end sending to Kafka")
        await asyncio.wait([ending], timeout=END_S)
        # It is cancelled, too, where sending hadn't begun yet.
        if not ending.done() or not (ending.cancelled() or ending.exception() is None):
            log.warning("A Kafka producer was cut off while it was sending")
            ending.cancel()
        await self._producer.client.close()
