"""Two `cartroom worker notify` on a real Kafka, killed in the middle: everything is told once."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from events.kafka.access import KafkaAccess
from events.kafka.codec import Encoder
from events.kafka.sink import KafkaSink
from events.kafka.topics import Topics, create_topics
from events.sink import CartEvents
from server.settings import Settings
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.notifications import CHANGES, Inbox, Notifications
from storage.oplog import OpLog
from tests.happening import History
from tests.helpers import eventually
from tests.instances import environment
from tests.serving import launch
from tests.tiers import by_tier

PATIENCE_S = 240.0
CARTS = 24
OPS = 20
KILLS = by_tier(quick=1, ci=2, long=20)


class Workers:
    """Two places, each with a worker or none."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._running: list[Process | None] = [None, None]

    async def start(self, place: int) -> None:
        self._running[place] = await launch(
            "worker", "notify", env=self._env, stdout=DEVNULL, stderr=DEVNULL
        )

    async def kill(self, place: int) -> None:
        process = self._running[place]
        assert process is not None
        assert process.returncode is None
        process.send_signal(signal.SIGKILL)
        await process.wait()
        self._running[place] = None

    async def close(self) -> None:
        for place, process in enumerate(self._running):
            if process is not None and process.returncode is None:
                await self.kill(place)


@asynccontextmanager
async def publishing(address: str, prefix: str) -> AsyncIterator[KafkaSink]:
    access, topics = KafkaAccess((address,)), Topics(prefix, partitions=4)
    await create_topics(access, topics)
    sink = KafkaSink(access, topics, Encoder("/cartroom"))
    try:
        yield sink
    finally:
        await sink.close()


def happened(number: int) -> History:
    """Ana shares a cart with Bea and Cem, then fills it."""
    steps = [("bea", "share", 0), ("cem", "share", 0), *[("ana", "add", 0)] * OPS]
    return History(steps, f"run{number}x")


async def publish(sink: KafkaSink, carts: Sequence[History], low: int, high: int) -> None:
    """Of each cart the events from the `low`th up to before the `high`th."""
    given = [
        CartEvents(one.cart, events, 1_000)
        for one in carts
        if (events := tuple(one.events()[low:high]))
    ]
    taken = await sink.deliver(given)
    assert taken == {one.cart: one.last for one in given}


async def test_each_op_is_told_once_whoever_is_killed(
    settings: Settings, database: Database, kafka: str, topic_prefix: str
) -> None:
    await create_indexes(database)
    carts = [happened(number) for number in range(CARTS)]
    for one in carts:
        await one.write(OpLog(database))
    hasty = replace(
        settings, kafka_bootstrap=(kafka,), kafka_topic_prefix=topic_prefix, notify_after_s=0.01
    )
    workers = Workers(environment(hasty))
    notifications = Notifications(database)

    async def told() -> list[Inbox]:
        return [
            await notifications.inbox(one.user(user)) for one in carts for user in ("bea", "cem")
        ]

    async def tells(count: int) -> bool:
        return sum(item.count for inbox in await told() for item in inbox.items) >= count

    async with publishing(kafka, topic_prefix) as sink:
        try:
            await asyncio.gather(workers.start(0), workers.start(1))
            part = (OPS + 3) // (KILLS + 1) + 1
            for kill in range(KILLS + 1):
                before = sum(item.count for inbox in await told() for item in inbox.items)
                await publish(sink, carts, kill * part, (kill + 1) * part)
                if kill < KILLS:
                    await eventually(lambda least=before + 1: tells(least), PATIENCE_S)
                    await workers.kill(kill % 2)
                    await workers.start(kill % 2)
            expected = sum(len(one.expected[user]) for one in carts for user in ("bea", "cem"))
            await eventually(lambda: tells(expected), PATIENCE_S)
        finally:
            await workers.close()
    for one in carts:
        for user in ("bea", "cem"):
            inbox = await notifications.inbox(one.user(user))
            counts = Counter({item.kind: item.count for item in inbox.items})
            assert counts == Counter(kind for kind, _ in one.expected[user])
            assert len(inbox.items) == 2
            (changes,) = (item for item in inbox.items if item.kind == CHANGES)
            assert changes.last_rev == len(one.ops)
