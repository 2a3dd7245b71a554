"""What fan-out costs, in CPU time a commit: ours, by process_time, and Redis' own, by INFO.

    python bench/fanout_cost.py redis://127.0.0.1:6379/0 [--rounds 500] [--carts 50] …

A round is one commit on each of that many carts, published at once and waited for, as the rooms of
a busy instance do. The other holders are entries in the registry whose inboxes nobody reads; the
last row reads them, in this same process. Uses keys under `fanout-cost:` and removes them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import redis.asyncio

from realtime.fanout import RedisBus
from realtime.fanout.registry import Registry, chunks
from realtime.ports import SystemClock

PREFIX = "fanout-cost"
LEASE_S = 60.0


class Listener:
    """Counts, and does nothing else."""

    def __init__(self, carts: list[str]) -> None:
        self.carts = carts
        self.commits = 0

    def open_carts(self) -> list[str]:
        return self.carts

    def on_commit(self, cart: str, commit: bytes) -> None:
        self.commits += 1

    def on_signal(self, cart: str, instance: str, payload: dict[str, Any]) -> None: ...

    def on_announcement(self, payload: dict[str, Any]) -> None: ...

    def on_gap(self) -> None: ...

    def on_peers(self, alive: frozenset[str]) -> None: ...


@dataclass(frozen=True)
class Load:
    rounds: int
    repeats: int
    carts: list[str]
    commit: bytes

    @property
    def commits(self) -> int:
        return self.rounds * len(self.carts)


async def joined(client: redis.asyncio.Redis, load: Load, carts: list[str]) -> RedisBus:
    bus = RedisBus(client, SystemClock(), lease_s=LEASE_S, prefix=PREFIX)
    bus.listener = Listener(carts)
    await bus.start()
    await asyncio.gather(*(bus.register(cart) for cart in carts))
    return bus


async def redis_cpu_s(client: redis.asyncio.Redis) -> float:
    info = await client.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


async def publish(bus: RedisBus, load: Load) -> None:
    """Each round waits for the one before it, by the counters that metrics read."""
    done = bus.published + bus.unshared
    for _ in range(load.rounds):
        for cart in load.carts:
            bus.publish(cart, load.commit)
        done += len(load.carts)
        while bus.published + bus.unshared + bus.dropped < done:  # noqa: ASYNC110
            await asyncio.sleep(0.0002)
    assert bus.dropped == 0


async def measure(client: redis.asyncio.Redis, bus: RedisBus, load: Load, label: str) -> None:
    """Print the least of several repeats: what disturbs, on a busy machine, only ever adds."""
    ours_s, theirs_s, wall_s = [], [], []
    for _ in range(load.repeats):
        redis_before_s, before_s = await redis_cpu_s(client), time.process_time()
        start_s = time.perf_counter()
        await publish(bus, load)
        wall_s.append(time.perf_counter() - start_s)
        ours_s.append(time.process_time() - before_s)
        theirs_s.append(await redis_cpu_s(client) - redis_before_s)
    print(
        f"{label:32} {min(ours_s) / load.commits * 1e6:7.1f} µs ours"
        f" {min(theirs_s) / load.commits * 1e6:7.1f} µs Redis"
        f" {min(wall_s) / load.rounds * 1e3:7.2f} ms a round",
        flush=True,
    )


async def run(url: str, load: Load) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        await clear(client)
        bus = await joined(client, load, load.carts)
        await measure(client, bus, load, "nobody else holds them")
        registry = Registry(client, PREFIX, lease_s=LEASE_S, expiry_s=LEASE_S, timeout_s=10)
        for others in (1, 2, 3):
            await registry.join(f"other-{others}", "")
            for chunk in chunks(load.carts):
                await registry.hold(f"other-{others}", chunk)
            await measure(client, bus, load, f"each held by {others} other(s)")
        for others in (1, 2, 3):
            await registry.leave(f"other-{others}")
        reader = await joined(client, load, load.carts)
        await measure(client, bus, load, "1 other, its reading included")
        await reader.stop()
        await bus.stop()
        await clear(client)


async def clear(client: redis.asyncio.Redis) -> None:
    keys = [key async for key in client.scan_iter(f"{PREFIX}:*")]
    if keys:
        await client.unlink(*keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("redis_url")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--carts", type=int, default=50)
    parser.add_argument("--bytes", type=int, default=400)
    arguments = parser.parse_args()
    carts = [f"crt_{number:024x}" for number in range(arguments.carts)]
    load = Load(arguments.rounds, arguments.repeats, carts, b"x" * arguments.bytes)
    try:
        import uvloop
    except ImportError:
        asyncio.run(run(arguments.redis_url, load))
    else:
        uvloop.run(run(arguments.redis_url, load))


if __name__ == "__main__":
    main()
