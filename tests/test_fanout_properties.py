"""Properties of fan-out that hold for any input and any interleaving."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterator

import pytest
import redis.asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from realtime.fanout.entry import (
    COMMIT,
    SIGNAL,
    Item,
    MalformedEntryError,
    decode_entry,
    decode_signal,
    encode_entry,
    encode_signal,
    split,
)
from tests import fanout_fixtures
from tests.fanout_fixtures import started
from tests.helpers import eventually

patient = fanout_fixtures.patient
prefix = fanout_fixtures.prefix


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
