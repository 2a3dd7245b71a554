"""A follower on a real store: everything, in order, in bounded memory, from where it left off."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from events.relay import follower as following
from events.relay.follower import Follower
from events.relay.metrics import RelayMetrics
from events.relay.sweep import Sweep
from events.sink import CartEvents, SinkAwayError
from realtime.ports import SystemClock
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.oplog import OpLog
from storage.outbox import PLACES, Outbox, Whereabouts, shard_of
from tests.helpers import eventually as eventually_within
from tests.relaying import RecordingSink, Whole, commit, first_comings, follower_on, now_ms, write

eventually = functools.partial(eventually_within, timeout_s=60.0)
LONG_AGO = 60 * 60 * 1_000


@pytest.fixture
async def store(database: Database) -> Database:
    await create_indexes(database)
    return database


@pytest.fixture
def log(store: Database) -> OpLog:
    return OpLog(store)


@pytest.fixture
def outbox(store: Database) -> Outbox:
    return Outbox(store)


@asynccontextmanager
async def running(*followers: Follower) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in followers]
    try:
        yield
    finally:
        for one in followers:
            one.stop()
        await asyncio.gather(*tasks)


def sweep_of(store: Database, place: str = "relay") -> Sweep:
    return Sweep(
        place,
        outbox=Outbox(store),
        oplog=OpLog(store),
        shards=Whole(),
        clock=SystemClock(),
        metrics=RelayMetrics(),
        every_s=0.01,
    )


async def document(store: Database, cart: str) -> dict[str, int]:
    found = await store.collection("outbox").find_one({"_id": cart})
    assert found is not None
    return found


async def test_what_is_committed_is_handed_over_in_order(
    store: Database, log: OpLog, outbox: Outbox
) -> None:
    sink = RecordingSink()
    for cart in ("crt_a", "crt_b"):
        await outbox.mark_active(cart, now_ms())
    async with running(follower_on(store, sink)):
        await write(log, commit("crt_a", 1, 3), commit("crt_b", 1), commit("crt_a", 4))
        await eventually(lambda: sink.revs("crt_a") == [1, 2, 3, 4])
        await write(log, commit("crt_a", 5, 2), commit("crt_b", 2))
        await eventually(lambda: sink.revs("crt_a")[-1] == 6 and sink.revs("crt_b") == [1, 2])
    assert sink.revs("crt_a") == [1, 2, 3, 4, 5, 6]
    assert (await document(store, "crt_a"))["relay_rev"] == 6


async def test_what_comes_late_holds_up_its_own_cart_alone(
    store: Database, log: OpLog, outbox: Outbox
) -> None:
    """A watermark over all carts would have passed it by."""
    sink = RecordingSink()
    for cart in ("crt_late", "crt_b"):
        await outbox.mark_active(cart, now_ms())
    held = commit("crt_late", 1)
    async with running(follower_on(store, sink)):
        for rev in range(1, 30):
            await write(log, commit("crt_b", rev))
        await eventually(lambda: len(sink.revs("crt_b")) == 29)
        assert sink.revs("crt_late") == []
        await write(log, held)
        await eventually(lambda: sink.revs("crt_late") == [1])


async def test_a_place_goes_on_where_it_was(store: Database, log: OpLog, outbox: Outbox) -> None:
    await outbox.mark_active("crt_a", now_ms())
    await write(log, commit("crt_a", 1, 2), commit("crt_a", 3))
    first, second, other = RecordingSink(), RecordingSink(), RecordingSink()
    await follower_on(store, first).round()
    await write(log, commit("crt_a", 4))
    await follower_on(store, second).round()
    await follower_on(store, other, "webhooks").round()
    assert first.revs("crt_a") == [1, 2, 3]
    assert second.revs("crt_a") == [4]
    assert other.revs("crt_a") == [1, 2, 3, 4]


async def test_what_the_sink_did_not_take_comes_again(
    store: Database, log: OpLog, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PARTLY_TAKEN_S", 0.01)
    for cart in ("crt_a", "crt_b"):
        await outbox.mark_active(cart, now_ms())
    await write(log, *(commit("crt_a", first, 2) for first in (1, 3, 5)), commit("crt_b", 1, 2))
    sink = RecordingSink()
    # Once it ends in the middle of a commit, which then comes again as a whole.
    sink.most_at_once, sink.refused = 3, {"crt_b"}
    async with running(follower_on(store, sink)):
        await eventually(lambda: first_comings(sink.revs("crt_a")) == [1, 2, 3, 4, 5, 6])
        assert sink.revs("crt_a") == [1, 2, 3, 4, 5, 5, 6]
        assert sink.revs("crt_b") == []
        sink.refused = set()
        await eventually(lambda: sink.revs("crt_b") == [1, 2])


async def test_a_backlog_is_handed_over_in_bounded_parts(
    store: Database, log: OpLog, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a cart with a long one lets the others have their turn."""
    monkeypatch.setattr(following, "READ_REVS_MAX", 300)
    monkeypatch.setattr(following, "READ_BYTES_MAX", 20_000)
    monkeypatch.setattr(following, "ROUND_REVS_MAX", 200)
    carts = {"crt_long": 2_000, "crt_a": 50, "crt_b": 50}
    for cart, revs in carts.items():
        await outbox.mark_active(cart, now_ms())
        await write(log, *(commit(cart, first, 5) for first in range(1, revs, 5)))
    sink = RecordingSink()
    sink.away = True
    tried = follower_on(store, sink)
    with pytest.raises(SinkAwayError):
        await tried.round()
    assert sink.taken == []
    sink.away = False
    async with running(follower_on(store, sink)):
        await eventually(lambda: len(sink.taken) == 2_100)
    for cart, revs in carts.items():
        assert sink.revs(cart) == list(range(1, revs + 1))
    last_of_others = max(index for index, one in enumerate(sink.taken) if one[0] != "crt_long")
    assert last_of_others < 1_000
    assert max(one.size for one in sink.given) < 20_000 + 1_000


class Ticking(SystemClock):
    """Stands still unless it is told that something took long, and never waits for long."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def random(self) -> float:
        return 0.5

    async def sleep(self, delay_s: float) -> None:
        self.waits_s.append(delay_s)
        await super().sleep(0.01)


class SlowSink(RecordingSink):
    """Takes eight seconds for whatever it is given."""

    def __init__(self, clock: Ticking) -> None:
        super().__init__()
        self._clock = clock

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        self._clock.now_s += 8.0
        return await super().deliver(carts)


class SlowOutbox(Outbox):
    """Takes two seconds to tell which carts are active."""

    def __init__(self, store: Database, clock: Ticking) -> None:
        super().__init__(store)
        self._clock = clock

    def active(
        self, place: str, shards: Sequence[int], page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]:
        self._clock.now_s += 2.0
        return super().active(place, shards, page_max)


@pytest.mark.parametrize(("looking_is_slow", "waits_s"), [(False, 0.5), (True, 8.0)])
async def test_waits_are_as_long_as_looking_took_and_not_as_handing_over_did(
    store: Database, log: OpLog, outbox: Outbox, looking_is_slow: bool, waits_s: float
) -> None:
    clock = Ticking()
    sink = SlowSink(clock)
    follower = Follower(
        "relay",
        sink,
        outbox=SlowOutbox(store, clock) if looking_is_slow else outbox,
        oplog=log,
        shards=Whole(),
        clock=clock,
        metrics=RelayMetrics(),
        every_s=0.5,
        mark_life_s=300.0,
    )
    await outbox.mark_active("crt_a", now_ms())
    async with running(follower):
        for rev in (1, 2, 3):
            await write(log, commit("crt_a", rev))
            await eventually(lambda rev=rev: sink.revs("crt_a") == [*range(1, rev + 1)])
        rounds = len(clock.waits_s)
        await eventually(lambda: len(clock.waits_s) > rounds + 1)
    assert set(clock.waits_s) == {waits_s}


async def test_an_event_that_is_young_is_not_handed_over_yet(
    store: Database, log: OpLog, outbox: Outbox
) -> None:
    await outbox.mark_active("crt_a", now_ms())
    await write(log, commit("crt_a", 1, at_ms=now_ms() - LONG_AGO), commit("crt_a", 2, 2))
    sink = RecordingSink()
    await follower_on(store, sink, min_age_s=60.0).round()
    assert sink.revs("crt_a") == [1]
    async with running(follower_on(store, sink, min_age_s=0.2)):
        await eventually(lambda: sink.revs("crt_a") == [1, 2, 3])


async def test_a_clock_that_is_ahead_holds_nothing_up_until_ours_has_caught_up(
    store: Database, log: OpLog, outbox: Outbox
) -> None:
    await outbox.mark_active("crt_a", now_ms())
    later = now_ms() + LONG_AGO
    await write(log, *(commit("crt_a", rev, at_ms=later + rev) for rev in (1, 2)))
    sink = RecordingSink()
    await follower_on(store, sink, min_age_s=60.0).round()
    assert sink.taken == []
    async with running(follower_on(store, sink, min_age_s=0.2)):
        await eventually(lambda: sink.revs("crt_a") == [1, 2])
        await write(log, commit("crt_a", 3, at_ms=later + 3))
        await eventually(lambda: sink.revs("crt_a") == [1, 2, 3])


# Rest


async def test_a_cart_whose_mark_is_old_comes_to_rest_and_a_mark_wakes_it(
    store: Database, log: OpLog, outbox: Outbox
) -> None:
    sink = RecordingSink()
    follower = follower_on(store, sink)
    await outbox.mark_active("crt_new", now_ms())
    await outbox.mark_active("crt_old", now_ms() - LONG_AGO)
    await write(log, commit("crt_old", 1))
    await follower.round()
    assert (await document(store, "crt_old"))["relay_active"] > 0
    await follower.round()
    assert (await document(store, "crt_old"))["relay_active"] < 0
    assert (await document(store, "crt_old"))["notify_active"] > 0
    assert (await document(store, "crt_new"))["relay_active"] > 0
    await outbox.mark_active("crt_old", now_ms())
    await write(log, commit("crt_old", 2))
    await follower.round()
    assert sink.revs("crt_old") == [1, 2]


@pytest.mark.parametrize("meanwhile", ["marked", "advanced"])
async def test_a_cart_does_not_rest_when_it_has_changed_since_it_was_looked_at(
    store: Database, outbox: Outbox, meanwhile: str
) -> None:
    await outbox.mark_active("crt_a", now_ms() - LONG_AGO)
    (at,) = [at async for page in outbox.active("relay", range(64), 10) for at in page]
    if meanwhile == "marked":
        await outbox.mark_active("crt_a", at.marked_ms)  # in the same millisecond
    else:
        await outbox.advance("relay", {"crt_a": 1})
    assert not await outbox.rest("relay", at)
    assert (await document(store, "crt_a"))["relay_active"] == shard_of("crt_a") + 1


async def test_what_lands_in_a_cart_at_rest_is_found(
    store: Database, log: OpLog, outbox: Outbox
) -> None:
    """Its instance was frozen, or its store held up, for longer than a mark lives."""
    sink = RecordingSink()
    follower = follower_on(store, sink)
    for cart in ("crt_a", "crt_b"):
        await outbox.mark_active(cart, now_ms() - LONG_AGO)
        await write(log, commit(cart, 1))
    await follower.round()
    await follower.round()
    await write(log, commit("crt_a", 2, 2))
    await follower.round()
    assert sink.revs("crt_a") == [1]
    await sweep_of(store).turn()
    await follower.round()
    assert sink.revs("crt_a") == [1, 2, 3]
    assert (await document(store, "crt_b"))["relay_active"] < 0


async def test_a_cart_that_was_marked_before_there_were_places_is_found(
    store: Database, log: OpLog
) -> None:
    await store.collection("outbox").insert_one({"_id": "crt_a", "active": True, "relayed": 0})
    await write(log, commit("crt_a", 1, 2))
    sinks = [RecordingSink() for _ in PLACES]
    for place, sink in zip(PLACES, sinks, strict=True):
        await sweep_of(store, place).turn()
        follower = follower_on(store, sink, place)
        await follower.round()
        await follower.round()
        assert sink.revs("crt_a") == [1, 2]
        assert (await document(store, "crt_a"))[f"{place}_active"] < 0


# What can't be understood


async def test_a_commit_that_is_no_event_holds_up_its_own_cart_alone(
    store: Database, log: OpLog, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    for cart in ("crt_a", "crt_odd"):
        await outbox.mark_active(cart, now_ms())
    await write(log, commit("crt_a", 1), commit("crt_odd", 1))
    await store.collection("cart_ops").update_one({"_id": "crt_odd:1"}, {"$set": {"ops": [{}]}})
    sink = RecordingSink()
    follower = follower_on(store, sink)
    await follower.round()
    await follower.round()
    assert sink.taken == [("crt_a", 1)]
    assert [record.cart for record in caplog.records if record.levelname == "ERROR"] == ["crt_odd"]  # type: ignore[attr-defined]
    assert (await document(store, "crt_odd"))["relay_rev"] == 0
