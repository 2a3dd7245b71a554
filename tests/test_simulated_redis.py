"""The simulated Redis answers as a real one does: the same calls of fan-out, in the same order."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from realtime.fanout.health import LapsedError
from realtime.fanout.registry import Registry, derive_client
from tests.helpers import PATIENCE_S
from tests.simulation.edge import Edge
from tests.simulation.loop import SimLoop
from tests.simulation.redis import RedisServer
from tests.simulation.trace import Trace

INSTANCES = ("a", "b", "c")
CARTS = ("crt_1", "crt_2", "crt_3")
CALLS = 150


async def play(redis: Redis, prefix: str, seed: int) -> list[Any]:
    """Make random calls; returns what came of each, in forms that two servers have in common."""
    client = derive_client(redis, connections=1, timeout_s=PATIENCE_S)
    registry = Registry(client, prefix, lease_s=600.0, expiry_s=600.0, timeout_s=PATIENCE_S)
    rng = random.Random(seed)
    answers: list[Any] = []
    try:
        for number in range(CALLS):
            answers.append(await _answer(_call(registry, client, rng, number)))
        for instance in INSTANCES:
            answers.append(await _read(client, registry.inbox(instance)))
    finally:
        await client.aclose()
    return answers


def _call(
    registry: Registry, client: Redis, rng: random.Random, number: int
) -> Callable[[], Awaitable[Any]]:
    one, other = rng.choice(INSTANCES), rng.choice(INSTANCES)
    carts = rng.sample(CARTS, rng.randint(1, len(CARTS)))
    inbox = registry.inbox(one)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: registry.join(one, other),
        lambda: registry.join(one, ""),
        lambda: registry.renew(one),
        lambda: registry.hold(one, carts),
        lambda: registry.hold(one, carts),
        lambda: registry.release(one, carts),
        lambda: registry.holders(one, carts),
        lambda: registry.holders(one, carts),
        lambda: _peers(registry, one),
        lambda: registry.append([(one, b"%d" % number)]),
        lambda: registry.append([(one, b"%d" % number), (other, b"\r\n$-1")]),
        lambda: registry.leave(one) if rng.random() < 0.3 else registry.renew(one),
        lambda: _read(client, inbox),
        lambda: _trim(client, inbox),
    ]
    return rng.choice(calls)


async def _answer(call: Callable[[], Awaitable[Any]]) -> Any:
    try:
        answer = await call()
    except LapsedError:
        return "lapsed"
    if isinstance(answer, dict):
        return {key: sorted(value) for key, value in answer.items()}
    return answer


async def _peers(registry: Registry, instance: str) -> set[str]:
    return set(await registry.peers(instance))


async def _read(client: Redis, key: str) -> list[bytes]:
    """The payloads of a stream, whose ids are the server's business."""
    answer: Any = await client.xread({key: "0-0"}, count=100, block=None)
    return [fields[b"d"] for _, fields in answer[0][1]] if answer else []


async def _trim(client: Redis, key: str) -> int:
    """Remove all but the latest entry."""
    answer: Any = await client.xread({key: "0-0"}, count=100, block=None)
    latest = answer[0][1][-1][0].decode() if answer else "1-0"
    removed: int = await client.xtrim(key, minid=latest, approximate=False)
    return removed


@pytest.mark.parametrize("seed", range(3))
def test_it_answers_as_a_real_one(redis_url: str, seed: int) -> None:
    real = asyncio.run(answers_of_real(redis_url, seed))
    assert "lapsed" in real
    assert answers_of_simulated(seed) == real


async def answers_of_real(redis_url: str, seed: int) -> list[Any]:
    async with Redis.from_url(redis_url) as redis:
        return await play(redis, f"simulated:{secrets.token_hex(6)}", seed)


def answers_of_simulated(seed: int) -> list[Any]:
    loop = SimLoop()
    try:
        edge = Edge(loop, random.Random(seed), Trace(loop.time))
        loop.connector = RedisServer(edge).connect
        return loop.run_until_complete(play(Redis(host="redis"), "simulated", seed))
    finally:
        loop.close()
