"""Fan-out when Redis is killed, frozen or emptied, or when we were away ourselves."""

from __future__ import annotations

import asyncio
import logging
import signal

import pytest
import redis.asyncio

from realtime.fanout import holdings, publisher
from tests import fanout_fixtures
from tests.fanout_fixtures import LEASE_S, PrivateRedis, Starter, delivers, fresh, hurry
from tests.helpers import PATIENCE_S, eventually

client = fanout_fixtures.client
own_redis = fanout_fixtures.own_redis
patient = fanout_fixtures.patient
prefix = fanout_fixtures.prefix
start = fanout_fixtures.start


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
    start: Starter,
    own_redis: PrivateRedis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "realtime.fanout")
    a, b = await start(2, own_redis.url)
    await a.open("crt_1")
    await b.open("crt_1")
    gaps = a.gaps, b.gaps
    own_redis.kill()
    await eventually(lambda: not a.bus.fresh and not b.bus.fresh)
    hurry(monkeypatch)
    async with asyncio.timeout(PATIENCE_S):
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
    before, gaps = b.bus.instance, (a.gaps, b.gaps)
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        await client.client_kill_filter(_type="normal", skipme=True)
    await eventually(lambda: a.gaps > gaps[0] and b.gaps > gaps[1])
    await fresh(a, b)
    assert b.bus.instance == before
    await delivers(a, b, "crt_1")


async def test_redis_that_hangs_blocks_nobody(
    start: Starter, own_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await start(2, own_redis.url)
    await b.open("crt_1")
    hurry(monkeypatch)
    own_redis.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE_S):
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
    hurry(monkeypatch)
    own_redis.kill()
    async with asyncio.timeout(PATIENCE_S):
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
