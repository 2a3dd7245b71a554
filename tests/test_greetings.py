"""Where clients were before, as a real Redis remembers it, and what is assumed when it doesn't."""

from __future__ import annotations

import asyncio
import signal
import uuid

import pytest
import redis.asyncio

from realtime.fanout import greetings
from realtime.ports import NoBus
from tests import fanout_fixtures
from tests.fanout_fixtures import LEASE_S, PrivateRedis, Starter, fresh
from tests.helpers import PATIENCE_S, eventually

client = fanout_fixtures.client
own_redis = fanout_fixtures.own_redis
patient = fanout_fixtures.patient
prefix = fanout_fixtures.prefix
start = fanout_fixtures.start


@pytest.fixture(autouse=True)
def patient_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is slow to answer is not away here, either."""
    monkeypatch.setattr(greetings, "GREETING_TIMEOUT_S", 10 * PATIENCE_S)


def new() -> str:
    return str(uuid.uuid4())


async def test_who_is_new_or_stays_was_nowhere_else_and_who_has_moved_was(start: Starter) -> None:
    """For good: what was left at an instance may be under way there when they come again."""
    a, b = await start(2)
    tab = new()
    moves = [a, a, b, b, b, a]
    elsewhere = [await at.bus.greeted("usr_ana", tab) for at in moves]
    assert elsewhere == [False, False, True, True, True, True]
    assert not await b.bus.greeted("usr_ben", tab)
    assert not await b.bus.greeted("usr_ana", new())


async def test_redis_forgets_a_client_in_time(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    (a,) = await start(1)
    tab = new()
    await a.bus.greeted("usr_ana", tab)
    (key,) = await client.keys(f"{prefix}:client:*")
    assert 86_400 < await client.ttl(key) <= greetings.GREETED_TTL_S
    assert await client.get(key) == a.bus.instance.encode()


async def test_many_greetings_of_one_moment_are_few_calls(
    start: Starter, client: redis.asyncio.Redis, prefix: str
) -> None:
    (a,) = await start(1)
    count = 3 * greetings.GREETINGS_AT_ONCE
    answers = await asyncio.gather(*(a.bus.greeted("usr_ana", new()) for _ in range(count)))
    assert not any(answers)
    assert len(await client.keys(f"{prefix}:client:*")) == count


async def test_who_comes_to_an_instance_under_its_new_id_was_elsewhere(start: Starter) -> None:
    (a,) = await start(1)
    tab, before = new(), a.bus.instance
    assert not await a.bus.greeted("usr_ana", tab)
    a.clock.ahead_s += LEASE_S
    await eventually(lambda: a.bus.instance != before and a.bus.fresh)
    assert await a.bus.greeted("usr_ana", tab)


async def test_without_redis_everybody_may_have_been_elsewhere(
    start: Starter, own_redis: PrivateRedis
) -> None:
    """And whom Redis was not told of counts so afterwards, too, wherever they go."""
    a, b = await start(2, own_redis.url, lease_s=600)
    tab = new()
    own_redis.kill()
    await eventually(lambda: not a.bus.fresh and not b.bus.fresh)
    async with asyncio.timeout(PATIENCE_S):
        assert await a.bus.greeted("usr_ana", tab)
    await own_redis.start()
    await fresh(a, b)
    await eventually(lambda: not a.bus._greetings._untold, what="told")
    assert await a.bus.greeted("usr_ana", tab)
    assert await a.bus.greeted("usr_ana", tab)


@pytest.mark.parametrize("returns_to", ["a", "b"])
async def test_a_redis_that_hangs_keeps_nobody_waiting(
    start: Starter,
    own_redis: PrivateRedis,
    monkeypatch: pytest.MonkeyPatch,
    returns_to: str,
) -> None:
    """What it does with the greeting when it wakes must not hide where the client was."""
    a, b = await start(2, own_redis.url, lease_s=600)
    tab = new()
    assert not await b.bus.greeted("usr_ana", tab)
    monkeypatch.setattr(greetings, "GREETING_TIMEOUT_S", 0.25)
    own_redis.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await a.bus.greeted("usr_ana", tab)
    finally:
        own_redis.send(signal.SIGCONT)
    monkeypatch.setattr(greetings, "GREETING_TIMEOUT_S", 10 * PATIENCE_S)
    await eventually(lambda: not a.bus._greetings._untold, what="told")
    await fresh(a, b)
    back = {"a": a, "b": b}[returns_to]
    assert await back.bus.greeted("usr_ana", tab)


async def test_what_redis_is_not_told_of_is_bounded(
    start: Starter, own_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greetings, "UNTOLD_MAX", 3)
    (a,) = await start(1, own_redis.url, lease_s=600)
    own_redis.kill()
    await eventually(lambda: not a.bus.fresh)
    for _ in range(5):
        assert await a.bus.greeted("usr_ana", new())
    assert len(a.bus._greetings._untold) == 3


async def test_a_stopped_bus_answers_at_once(start: Starter) -> None:
    (a,) = await start(1)
    waiting = asyncio.create_task(a.bus.greeted("usr_ana", new()))
    await a.bus.stop()
    await waiting
    assert await a.bus.greeted("usr_ana", new())


async def test_who_is_alone_by_configuration_asks_nobody() -> None:
    bus = NoBus()
    assert not bus.shared
    assert not await bus.greeted("usr_ana", new())
