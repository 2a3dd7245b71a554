"""The limits' buckets in Redis when many are asked at once: few scripts, each its own outcome."""

from __future__ import annotations

import asyncio
import secrets

import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError

from commerce.limits.limiter import Limits
from commerce.limits.rule import Claim, Rule
from storage import buckets
from storage.buckets import BucketsAwayError, RedisBuckets
from tests.helpers import eventually

AGES = 1e6
FIVE = Rule("five", 5, AGES, "network")
THREE = Rule("three", 3, AGES, "account")
# One of at most ten, each of so long that what a slow machine takes is nothing beside it.
UNIT_S = 10_000.0
ONE = (10 * UNIT_S, 10 * UNIT_S, UNIT_S, 0.0)


@pytest.fixture
async def shared(redis_url):
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield RedisBuckets(client, f"test_{secrets.token_hex(6)}")


@pytest.fixture
def scripts(shared, monkeypatch):
    """The number of keys in each call. While `go` is cleared, calls wait; `failing` is raised."""
    script = shared._script

    async def noting(keys, arguments):
        noting.keys.append(len(keys))
        await noting.go.wait()
        if noting.failing is not None:
            raise noting.failing
        return await script(keys, arguments)

    noting.keys, noting.failing, noting.go = [], None, asyncio.Event()
    noting.go.set()
    monkeypatch.setattr(shared, "_script", noting)
    return noting


def asked(scripts, count):
    return eventually(lambda: len(scripts.keys) == count)


async def test_what_is_taken_together_is_as_if_taken_one_by_one(shared, scripts):
    steps = [
        (Claim(FIVE, "a"), Claim(THREE, "a")),
        (Claim(FIVE, "a", 3),),
        (Claim(THREE, "a", 2), Claim(FIVE, "a", 2)),  # the second refuses both
        (Claim(THREE, "a", 2),),
        (Claim(FIVE, "a", -2), Claim(THREE, "b")),
        (Claim(FIVE, "a", 3),),
        (Claim(FIVE, "a", 0),),
    ]
    together = await asyncio.gather(*(Limits(shared, secret="s").take_all(*one) for one in steps))
    alone = Limits(None, secret="s")
    expected = [await alone.take_all(*one) for one in steps]
    assert [[(d.allowed, d.remaining) for d in one] for one in together] == [
        [(d.allowed, d.remaining) for d in one] for one in expected
    ]
    assert scripts.keys == [10]
    assert not all(d.allowed for one in together for d in one)


async def test_who_comes_meanwhile_goes_with_the_next_and_scripts_are_bounded(
    shared, scripts, monkeypatch
):
    monkeypatch.setattr(buckets, "TAKES_PER_SCRIPT", 4)
    scripts.go.clear()
    takes = [asyncio.create_task(shared.take(["a"], [ONE]))]
    await asked(scripts, 1)
    takes += [asyncio.create_task(shared.take(["a"], [ONE])) for _ in range(6)]
    await asyncio.sleep(0)
    scripts.go.set()
    left = [round(after_s / UNIT_S) for ((_, _, after_s),) in await asyncio.gather(*takes)]
    assert left == [1, 2, 3, 4, 5, 6, 7]
    assert scripts.keys == [1, 4, 2]


async def test_who_gives_up_before_it_is_sent_spends_nothing(shared, scripts):
    scripts.go.clear()
    first = asyncio.create_task(shared.take(["a"], [ONE]))
    await asked(scripts, 1)
    second, third = [asyncio.create_task(shared.take(["a"], [ONE])) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()  # on its way: it may count
    second.cancel()
    scripts.go.set()
    ((_, _, after_s),) = await third
    assert round(after_s / UNIT_S) == 2
    assert scripts.keys == [1, 1]


async def test_a_failure_is_told_to_all_and_the_next_ask_anew(shared, scripts):
    scripts.failing = RedisConnectionError("gone")
    takes = (shared.take(["a"], [ONE]) for _ in range(3))
    outcomes = await asyncio.gather(*takes, return_exceptions=True)
    assert [(type(one), str(one)) for one in outcomes] == [
        (BucketsAwayError, "ConnectionError")
    ] * 3
    scripts.failing = None
    ((agrees, before_s, _),) = await shared.take(["a"], [ONE])
    assert (agrees, before_s) == (True, 0)
