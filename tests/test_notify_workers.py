"""Two `cartroom worker notify` on a real Kafka, killed at the worst moment: all is told once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from events.kafka.access import KafkaAccess
from events.kafka.codec import Encoder
from events.kafka.sink import KafkaSink
from events.kafka.topics import Topics, create_topics
from events.sink import CartEvents, SinkAwayError
from server.commands.worker import NICE
from server.settings import Settings
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.notifications import CHANGES, Inbox, Notifications
from storage.oplog import OpLog
from tests.faults import FaultProxy, updates_of
from tests.happening import History
from tests.helpers import eventually
from tests.instances import environment
from tests.serving import launch
from tests.tiers import by_tier

PATIENCE_S = 240.0
CARTS = 24
OPS = 20
SHARED = 3
"""The rev at which a cart is, once it is shared."""
KILLS = by_tier(quick=1, ci=2, long=20)


class Workers:
    """Two places, each with a worker or none. Each life of one has its own way to the store."""

    def __init__(self, settings: Settings) -> None:
        assert settings.mongodb_url is not None
        self._settings = settings
        self._store_url = settings.mongodb_url
        self._running: dict[int, tuple[Process, FaultProxy]] = {}

    async def start(self, place: int) -> None:
        store = FaultProxy(self._store_url)
        await store.up()
        env = environment(replace(self._settings, mongodb_url=store.url))
        process = await launch("worker", "notify", env=env, stdout=DEVNULL, stderr=DEVNULL)
        self._running[place] = process, store

    async def kill(self, place: int) -> None:
        process, store = self._running.pop(place)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
        await store.down()  # what was held never gets there

    @asynccontextmanager
    async def one_killed(self) -> AsyncIterator[None]:
        """Of what is told meanwhile, one of them never gets to note that it was."""
        holds = {
            place: store.hold(updates_of("audiences"))
            for place, (_, store) in self._running.items()
        }
        yield
        await eventually(lambda: any(hold.held for hold in holds.values()), PATIENCE_S)
        place = next(place for place, hold in holds.items() if hold.held)
        await self.kill(place)
        for _, store in self._running.values():
            store.relent()
        await self.start(place)

    async def close(self) -> None:
        for place in list(self._running):
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


def heard(one: History) -> list[tuple[str, int]]:
    """What Bea and Cem are to be told of."""
    return one.expected["bea"] + one.expected["cem"]


async def publish(sink: KafkaSink, carts: Sequence[History], low: int, high: int) -> None:
    """Of each cart the events from the `low`th up to before the `high`th."""
    left = {
        one.cart: CartEvents(one.cart, events, 1_000)
        for one in carts
        if (events := tuple(one.events()[low:high]))
    }

    async def taken() -> bool:
        # As a relay does: what a busy Kafka hasn't taken in time is given again.
        with contextlib.suppress(SinkAwayError):
            for cart, rev in (await sink.deliver([*left.values()])).items():
                if rev == left[cart].last:
                    del left[cart]
        return not left

    await eventually(taken, PATIENCE_S, "Kafka to take it all")


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
    workers = Workers(hasty)
    notifications = Notifications(database)

    async def told() -> list[Inbox]:
        return [
            await notifications.inbox(one.user(user)) for one in carts for user in ("bea", "cem")
        ]

    async def tells(up_to: int) -> bool:
        expected = sum(rev <= up_to for one in carts for _, rev in heard(one))
        return sum(item.count for inbox in await told() for item in inbox.items) >= expected

    async with publishing(kafka, topic_prefix) as sink:
        try:
            await asyncio.gather(workers.start(0), workers.start(1))
            # From here on each cart's audience is stored, and moves on with what was told.
            await publish(sink, carts, 0, SHARED)
            await eventually(lambda: tells(SHARED), PATIENCE_S)
            part = -(-OPS // KILLS)
            for low in range(SHARED, SHARED + OPS, part):
                async with workers.one_killed():
                    await publish(sink, carts, low, low + part)
            await eventually(lambda: tells(SHARED + OPS), PATIENCE_S)
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


def priority_of_session(pid: int) -> int | None:
    """None where sessions have none."""
    try:
        return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])
    except FileNotFoundError:
        return None


async def test_a_worker_gives_way_to_whoever_serves(settings: Settings) -> None:
    worker = await launch(
        "worker", "notify", env=environment(settings), stderr=DEVNULL, start_new_session=True
    )
    try:
        assert worker.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert b"worker runs" in await worker.stdout.readline()
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == NICE
        assert priority_of_session(worker.pid) in (NICE, None)
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await worker.wait() == 0
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.communicate()
