"""A consumer group that hands events of carts to a handler, and loses none.

A partition's records are handed over cart by cart and committed after the handler's success; so
the handler meets some again after a crash. While a store is away they wait. What the handler fails
on all the same, or what is no event, becomes a dead letter, and what comes after it goes on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener  # type: ignore[import-untyped]
from aiokafka import TopicPartition as Partition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError  # type: ignore[import-untyped]

from events.event import CART, Event
from events.kafka.access import KafkaAccess
from events.kafka.clients import start, stop_consumer
from events.kafka.codec import NotAnEventError, decode
from events.kafka.dead_letters import DeadLetters
from events.kafka.letter import letter_of
from events.kafka.topics import Topics, create_topics
from events.sink import SinkAwayError
from storage.times import rfc3339

RECORDS_MAX: Final = 500
"""Of one partition in memory at once."""

TRIES: Final = 5
"""How often an event is handed over before it is a dead letter."""

BACKOFF_S: Final = 0.2
BACKOFF_MAX_S: Final = 15.0
POLL_S: Final = 0.5
RESTART_S: Final = 1.0
SESSION_S: Final = 10.0
"""A member of the group that is silent for so long has lost its partitions."""

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Event]], Awaitable[None]]
"""Takes consecutive events of one cart, in order; some may have been handled before."""


class KafkaConsumer:
    """One member of the group. `away` are the errors that only waiting helps against.

    An event is handed over when it is `delay_s` old, in seconds of `clock`, which is that of the
    system; never does it wait for longer than that here.
    """

    def __init__(
        self,
        access: KafkaAccess,
        topics: Topics,
        handler: Handler,
        *,
        group: str,
        away: tuple[type[Exception], ...],
        delay_s: float = 0.0,
        backoff_s: float = BACKOFF_S,
        session_s: float = SESSION_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._topics = topics
        self._handler = handler
        self._group = group
        self._away: tuple[type[Exception], ...] = (*away, SinkAwayError)
        self._delay_s = delay_s
        self._backoff_s = backoff_s
        self._session_s = session_s
        self._clock = clock
        self._letters = DeadLetters(access, topics)
        self._working: dict[Partition, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Consume until cancelled, whatever happens to Kafka."""
        try:
            while True:
                try:
                    await self._session()
                except (KafkaError, TimeoutError) as error:
                    log.warning("Kafka is away: %s: %s", type(error).__name__, error)
                except Exception:
                    log.exception("The consumer starts anew")
                await asyncio.sleep(RESTART_S)
        finally:
            await self._letters.close()

    async def _session(self) -> None:
        """Consume until something is wrong, which is raised."""
        consumer = self._consumer()
        try:
            await self._consume(consumer)
        finally:
            await self._drop(list(self._working))
            await stop_consumer(consumer)

    def _consumer(self) -> Any:
        return AIOKafkaConsumer(
            **self._access.options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(self._session_s * 1_000),
            heartbeat_interval_ms=int(self._session_s * 300),
            rebalance_timeout_ms=int(self._session_s * 1_000),
        )

    async def _consume(self, consumer: Any) -> None:
        await create_topics(self._access, self._topics)
        consumer.subscribe([self._topics.carts], listener=_Listener(self._drop))
        await start(consumer)
        while True:
            found = await consumer.getmany(timeout_ms=int(POLL_S * 1_000), max_records=RECORDS_MAX)
            for partition, records in found.items():
                # It goes on when these are done; others meanwhile, and so do our heartbeats.
                consumer.pause(partition)
                self._working[partition] = asyncio.create_task(
                    self._work(consumer, partition, records), name=f"handle {partition}"
                )
            self._check()

    def _check(self) -> None:
        """Raise what a task has met that it can't go on with."""
        for partition, task in list(self._working.items()):
            if task.done():
                del self._working[partition]
                task.result()

    async def _drop(self, partitions: Sequence[Partition]) -> None:
        """End the work on these partitions: others have them from now on."""
        tasks = [self._working.pop(one) for one in partitions if one in self._working]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, consumer: Any, partition: Partition, records: list[Any]) -> None:
        """Handle the records of a partition, and commit."""
        carts: dict[str, list[tuple[Any, Event]]] = {}
        for record in records:
            try:
                event = decode(record.value, record.headers)
            except NotAnEventError as error:
                await self._bury(record, str(error))
                continue
            if event.type.startswith(CART):
                carts.setdefault(event.key, []).append((record, event))
        for given in carts.values():
            await self._until_old(given[-1][1])
            await self._handle(given)
        try:
            await consumer.commit({partition: records[-1].offset + 1})
            consumer.resume(partition)
        except (CommitFailedError, IllegalStateError):
            log.info("%s is somebody else's by now, who handles it again", partition)

    async def _until_old(self, event: Event) -> None:
        left_s = event.time_ms / 1_000 + self._delay_s - self._clock()
        await asyncio.sleep(min(max(left_s, 0.0), self._delay_s))

    async def _handle(self, given: list[tuple[Any, Event]]) -> None:
        """Hand over events of one cart: together, and one by one when that fails."""
        if await self._hand_over([event for _, event in given], tries=1) is None:
            return
        for record, event in given:
            error = await self._hand_over([event], tries=TRIES)
            if error is not None:
                await self._bury(record, f"{type(error).__name__}: {error}")

    async def _hand_over(self, events: list[Event], tries: int) -> Exception | None:
        """None once the handler has succeeded, else the error of its last try."""
        backoff_s = self._backoff_s
        failures = 0
        while True:
            try:
                await self._handler(events)
                return None
            except self._away as error:
                log.warning("Events wait: %s: %s", type(error).__name__, error)
            except Exception as error:
                failures += 1
                where = {"event": events[0].id, "count": len(events)}
                log.warning("An event can't be handled: %s", error, exc_info=True, extra=where)
                if failures == tries:
                    return error
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    async def _bury(self, record: Any, reason: str) -> None:
        """Make a record a dead letter, however long that takes."""
        letter = letter_of(record, reason, rfc3339(int(self._clock() * 1_000)))
        backoff_s = self._backoff_s
        while True:
            try:
                await self._letters.put(letter)
            except SinkAwayError as error:
                log.warning("A dead letter waits: %s", error)
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
            else:
                # For people to see: it waits for `cartroom dead-letters`.
                log.error("A dead letter, from %s: %s", letter.place.decode(), reason)
                return


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hears which partitions are somebody else's from now on."""

    def __init__(self, drop: Callable[[Sequence[Partition]], Awaitable[None]]) -> None:
        self._drop = drop

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self._drop(list(revoked))

    async def on_partitions_assigned(self, assigned: Any) -> None:
        log.info("Partitions to consume: %d", len(assigned))
