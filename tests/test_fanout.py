"""Fan-out through a real Redis that works: what arrives, in which order, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio

from realtime.fanout import holdings, publisher
from realtime.fanout.entry import (
    COMMIT,
    ENTRY_BYTES_MAX,
    SIGNAL,
    Item,
    decode_entry,
    encode_entry,
)
from tests import fanout_fixtures
from tests.fanout_fixtures import Starter, delivers, fresh
from tests.helpers import eventually

client = fanout_fixtures.client
ghost = fanout_fixtures.ghost
patient = fanout_fixtures.patient
prefix = fanout_fixtures.prefix
start = fanout_fixtures.start
working = fanout_fixtures.working

pytestmark = pytest.mark.usefixtures("working")
RENEWING_S = 12.0
"""A lease whose renewals a test waits for."""


async def test_two_instances_exchange_commits_and_signals(start: Starter) -> None:
    a, b = await start(2)
    await a.open("crt_1")
    await b.open("crt_1")
    await delivers(a, b, "crt_1")
    await delivers(b, a, "crt_1")
    a.bus.signal("crt_1", {"line": "lin_1", "n": 3})
    await eventually(lambda: b.signals)
    assert b.signals == [("crt_1", a.bus.instance, {"line": "lin_1", "n": 3})]
    await eventually(lambda: a.bus.published == 2)  # it hears after b that it has arrived
    assert (a.bus.received, a.bus.dropped, a.bus.errors) == (1, 0, 0)
    assert a.signals == []


async def test_an_announcement_reaches_every_instance_and_costs_no_cart(start: Starter) -> None:
    """Also one that holds no cart, and one that has only just come."""
    a, b = await start(2)
    await b.open("crt_1")
    a.bus.publish("crt_1", b"1")
    a.bus.announce({"n": 1})
    a.bus.publish("crt_1", b"2")
    await eventually(lambda: b.announcements)
    (c,) = await start(1)
    a.bus.announce({"n": 2})
    await eventually(lambda: c.announcements)
    await eventually(lambda: len(b.announcements) == 2)
    assert (a.announcements, b.announcements, c.announcements) == (
        *([], [{"n": 1}, {"n": 2}]),
        [{"n": 2}],
    )
    await eventually(lambda: len(b.commits["crt_1"]) == 2)
    assert b.gaps == c.gaps == 1  # that of their start
    await eventually(lambda: a.bus.published == 4)  # it hears after b that it has arrived
    assert a.bus.dropped == 0


async def test_an_announcement_of_who_is_alone_goes_nowhere(start: Starter) -> None:
    (a,) = await start(1)
    a.bus.announce({"n": 1})
    await eventually(lambda: a.bus.unshared == 1)
    a.bus.announce({"n": object()})
    assert (a.bus.errors, a.bus.queue_depth) == (1, 0)


async def test_a_cart_that_nobody_shares_is_written_to_no_inbox(
    start: Starter, ghost: Callable[..., Awaitable[str]], client: redis.asyncio.Redis
) -> None:
    (a,) = await start(1)
    inbox = await ghost("other", "crt_shared")
    await a.open("crt_alone", "crt_shared")
    for number in range(20):
        a.bus.publish("crt_alone", b"%d" % number)
    await eventually(lambda: a.bus.unshared == 20)
    assert await client.xlen(inbox) == 0
    a.bus.publish("crt_alone", b"x")
    a.bus.publish("crt_shared", b"x")
    await eventually(lambda: a.bus.published == 1)
    assert a.bus.unshared == 21
    assert await client.xlen(inbox) == 1


async def test_a_round_is_one_entry_an_inbox(
    start: Starter, ghost: Callable[..., Awaitable[str]], client: redis.asyncio.Redis
) -> None:
    (a,) = await start(1)
    carts = [f"crt_{n}" for n in range(50)]
    inboxes = [await ghost("one", *carts), await ghost("two", *carts[:10])]
    for cart in carts * 2:
        a.bus.publish(cart, b"commit")
    await eventually(lambda: a.bus.published == 100)
    items = []
    for inbox in inboxes:
        [(_, fields)] = await client.xrange(inbox)
        items.append(decode_entry(fields[b"d"]).items)
    assert [item.cart for item in items[0]] == carts * 2
    assert [item.cart for item in items[1]] == carts[:10] * 2


async def test_a_large_round_is_split(
    start: Starter, ghost: Callable[..., Awaitable[str]], client: redis.asyncio.Redis
) -> None:
    (a,) = await start(1)
    inbox = await ghost("other", "crt_1")
    size_bytes = ENTRY_BYTES_MAX * 2 // 5
    for number in range(3):
        a.bus.publish("crt_1", bytes([number]) * size_bytes)
    await eventually(lambda: a.bus.published == 3)
    entries = [decode_entry(fields[b"d"]) for _, fields in await client.xrange(inbox)]
    assert [[item.body[0] for item in entry.items] for entry in entries] == [[0, 1], [2]]
    assert [entry.number for entry in entries] == [1, 2]


async def test_an_inbox_that_is_gone_is_not_made_again(
    start: Starter, ghost: Callable[..., Awaitable[str]], client: redis.asyncio.Redis
) -> None:
    (a,) = await start(1)
    inbox = await ghost("other", "crt_1")
    await client.delete(inbox)
    a.bus.publish("crt_1", b"x")
    await eventually(lambda: a.bus.published == 1)
    assert not await client.exists(inbox)


async def test_what_was_read_is_trimmed(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    a, b = await start(2)
    await b.open("crt_1")
    for _ in range(3):
        await delivers(a, b, "crt_1")
    inbox = f"{prefix}:inbox:{b.bus.instance}"

    async def empty() -> bool:
        return await client.xlen(inbox) == 0

    await eventually(empty)
    assert await client.exists(inbox)


async def test_unregistered_carts_bring_no_more(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    a, b = await start(2)
    await b.open("crt_1", "crt_2")
    b.carts.discard("crt_1")
    b.bus.unregister("crt_1")

    async def gone() -> bool:
        return not await client.exists(f"{prefix}:holders:crt_1")

    await eventually(gone)
    a.bus.publish("crt_1", b"unseen")
    await delivers(a, b, "crt_2")
    assert b.commits["crt_1"] == []


async def test_impossible_cart_ids_harm_nobody(start: Starter) -> None:
    (a,) = await start(1)
    answers = await asyncio.gather(*(a.bus.register(c) for c in ("crt_\ud800", "crt_1", "c" * 999)))
    assert answers == [False, True, False]
    a.bus.publish("crt_\ud800", b"x")
    assert a.bus.queue_depth == 0


async def test_a_signal_that_cannot_be_encoded_is_dropped(start: Starter) -> None:
    (a,) = await start(1)
    for value in (object(), "\ud800", 2**70):
        a.bus.signal("crt_1", {"value": value})
    assert (a.bus.errors, a.bus.queue_depth) == (3, 0)


async def test_a_full_queue_drops_the_newest_and_the_reader_notices(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await start(2)
    await b.open("crt_1")
    await delivers(a, b, "crt_1")
    gaps = b.gaps
    monkeypatch.setattr(publisher, "QUEUE_ITEMS_MAX", 10)
    for number in range(15):
        a.bus.publish("crt_1", b"%d" % number)
    assert (a.bus.dropped, a.bus.queue_depth) == (5, 10)
    await eventually(lambda: len(b.commits["crt_1"]) == 11)
    assert b.commits["crt_1"][1:] == [b"%d" % number for number in range(10)]
    assert b.gaps == gaps + 1
    assert a.bus.queue_bytes == 0


async def test_the_queue_is_bounded_in_bytes(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (a,) = await start(1)
    monkeypatch.setattr(publisher, "QUEUE_BYTES_MAX", 1_000)
    for _ in range(3):
        a.bus.publish("crt_1", b"x" * 400)
    assert (a.bus.dropped, a.bus.queue_depth) == (1, 2)


async def test_more_carts_than_the_limit_are_left_unregistered(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (a,) = await start(1)
    monkeypatch.setattr(holdings, "CARTS_MAX", 1)
    assert await a.bus.register("crt_1")
    assert not await a.bus.register("crt_2")
    assert not a.bus.fresh
    # It is open all the same: the repair registers it, and only then all is fresh.
    a.carts |= {"crt_1", "crt_2"}
    await fresh(a)


@pytest.mark.parametrize(
    ("payload", "skipped"),
    [
        (b"", 1),
        (b"\xc1", 1),
        (b"\x94\x02\xa1s\x01\x90", 1),
        (encode_entry("s", 1, [Item("crt_1", 9, b"")]), 1),
        (encode_entry("s", 1, [Item("crt_1", SIGNAL, b"no map")]), 0),
    ],
    ids=["empty", "not MessagePack", "other version", "unknown kind", "signal is no map"],
)
async def test_a_malformed_entry_is_a_gap_and_nothing_worse(
    start: Starter, client: redis.asyncio.Redis, prefix: str, payload: bytes, skipped: int
) -> None:
    a, b = await start(2)
    await b.open("crt_1")
    gaps = b.gaps
    await client.xadd(f"{prefix}:inbox:{b.bus.instance}", {"d": payload})
    await eventually(lambda: b.gaps == gaps + 1)
    assert b.bus.malformed == skipped
    await delivers(a, b, "crt_1")
    assert b.bus.fresh


async def test_an_item_that_the_listener_refuses_harms_only_itself(
    start: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = await start(2)
    await b.open("crt_1")
    gaps, b.refuse = b.gaps, b"bad"
    for commit in (b"1", b"bad", b"2"):
        a.bus.publish("crt_1", commit)
    await eventually(lambda: b.gaps == gaps + 1)
    assert b.commits["crt_1"] == [b"1", b"2"]
    assert b.bus.errors == 1
    assert "refused on purpose" in caplog.text


async def test_a_lost_entry_is_noticed_at_the_next(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    a, b = await start(2)
    await b.open("crt_1", "crt_2")
    await delivers(a, b, "crt_1")
    gaps, inbox = b.gaps, f"{prefix}:inbox:{b.bus.instance}"
    # What a trimmed inbox looks like: the sender counts an entry that the reader never sees.
    await client.xadd(inbox, {"d": encode_entry(a.bus.instance, 3, [Item("crt_2", COMMIT, b"3")])})
    await eventually(lambda: b.commits["crt_2"] == [b"3"])
    assert b.gaps == gaps + 1


async def test_a_dead_instance_is_cleared_away(
    start: Starter,
    ghost: Callable[..., Awaitable[str]],
    client: redis.asyncio.Redis,
    prefix: str,
) -> None:
    a, b = await start(2, lease_s=RENEWING_S)
    await b.open("crt_1")
    inbox = await ghost("dead", "crt_1")
    await client.zadd(f"{prefix}:instances", {"dead": 1})  # Its lease ended in 1970.

    async def cleared() -> bool:
        a.bus.publish("crt_1", b"x")
        return not await client.sismember(f"{prefix}:holders:crt_1", "dead")

    await eventually(cleared)
    await eventually(lambda: a.peers == {b.bus.instance})
    assert await client.zscore(f"{prefix}:instances", "dead") is None
    await delivers(a, b, "crt_1")
    entries = await client.xlen(inbox)
    await delivers(a, b, "crt_1")
    assert await client.xlen(inbox) == entries


async def test_peers_come_and_go(start: Starter) -> None:
    a, b, c = await start(3, lease_s=RENEWING_S)
    await eventually(lambda: a.peers == {b.bus.instance, c.bus.instance})
    await b.bus.stop()
    await eventually(lambda: a.peers == {c.bus.instance})


async def test_a_stopped_bus_leaves_nothing(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    (a,) = await start(1)
    await a.open("crt_1", "crt_2")
    last_words = publisher.ROUND_ITEMS_MAX * 3
    for _ in range(last_words):
        a.bus.publish("crt_1", b"last words")
    await a.bus.stop()
    assert a.bus.unshared == last_words
    assert not a.bus.fresh
    assert await client.keys(f"{prefix}:*") == []
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("fanout-")]
    assert not await a.bus.register("crt_3")
    a.bus.publish("crt_1", b"too late")
    a.bus.unregister("crt_1")
    assert a.bus.queue_depth == 0
