"""The production core of one instance on ports that live in memory: no network, no store.

For measuring the code between a decoded frame and the bytes written, and nothing else. The log
acknowledges everything after one turn of the event loop and keeps nothing, so carts here must not
be opened a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec

from commerce.accounts.principal import Principal, of_service
from commerce.catalog.product import ProductFacts
from handlers.socket import SocketTransport
from realtime.hub import Hub
from realtime.limits import DEFAULT_LIMITS
from realtime.metrics import RealtimeMetrics
from realtime.ports import NoBus, SystemClock
from realtime.services import Services, Timing
from realtime.session import Session
from realtime.snapshots import Snapshots
from realtime.tasks import Tasks
from storage.committer import Committer
from storage.memberships import Membership
from storage.oplog import Commit, CommitDocument, Outcome

UNLIMITED = 10**9


class Log:
    """Acknowledges every insert in the next turn of the loop. Keeps nothing."""

    def __init__(self) -> None:
        self.commits = 0
        self.inserts = 0

    async def insert(self, commits: Sequence[Commit]) -> list[Outcome]:
        await asyncio.sleep(0)
        self.inserts += 1
        self.commits += len(commits)
        return [Outcome.COMMITTED] * len(commits)

    async def tail(self, cart: str, after: int) -> list[CommitDocument]:
        return []

    async def covering(self, cart: str, low: int, high: int) -> list[CommitDocument]:
        raise AssertionError("nothing here is kept, so nothing can be resent or resumed")

    async def moved(self, heads: Sequence[tuple[str, int]]) -> set[str]:
        return set()


class Documents:
    """Snapshots, memberships and marks: taken, and not kept."""

    async def load(self, cart: str) -> None:
        return None

    async def save(self, snapshot: Any) -> bool:
        return True

    async def put(self, membership: Membership) -> None: ...

    async def mark_active(self, cart: str, at_ms: int) -> None: ...


class Catalog:
    """Every sku is there, untracked, and known without a look-up."""

    def __init__(self) -> None:
        self._facts: dict[str, ProductFacts] = {}

    def cached(self, skus: Collection[str]) -> dict[str, ProductFacts]:
        for sku in skus:
            if sku not in self._facts:
                self._facts[sku] = ProductFacts(sku, f"Product {sku}", 100, "EUR", None)
        return {sku: self._facts[sku] for sku in skus}

    async def facts(self, skus: Collection[str]) -> dict[str, ProductFacts]:
        return self.cached(skus)


class Access:
    """Nobody is signed out here."""

    async def ended(self, principals: Iterable[Principal]) -> set[str]:
        return set()


class Directory:
    """Every user exists."""

    async def names(self, user_ids: Collection[str]) -> dict[str, str]:
        return dict.fromkeys(user_ids, "Somebody")

    def forget(self, user: str) -> None:
        pass

    async def names_of_staying(self, user_ids: Collection[str]) -> dict[str, str]:
        return await self.names(user_ids)


class Wire:
    """Where a connection's bytes go: counted, and dropped."""

    def __init__(self) -> None:
        self.writes = 0
        self.bytes = 0
        self.oks = 0
        self.last_ok = b""
        self.refused = b""

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.bytes += len(data)
        oks = data.count(b'"type":"ok"')
        if oks:
            self.oks += oks
            self.last_ok = data
        elif b'"type":"error"' in data:
            self.refused = data

    def writelines(self, chunks: Sequence[bytes]) -> None:
        self.write(b"".join(chunks))

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Instance:
    """A hub on such ports, with sessions that write to `wire` through the production transport."""

    def __init__(self) -> None:
        self.log, self.wire, self.metrics = Log(), Wire(), RealtimeMetrics()
        clock, tasks, documents = SystemClock(), Tasks(), Documents()
        timing = Timing(heartbeat_s=3_600, room_idle_s=3_600)
        ports: Any = {
            "log": self.log,
            "carts": documents,
            "memberships": documents,
            "outbox": documents,
            "catalog": Catalog(),
            "directory": Directory(),
            "access": Access(),
            "bus": NoBus(),
            "snapshots": Snapshots(
                documents,  # type: ignore[arg-type]
                clock,
                tasks,
                self.metrics,
                timing.snapshot_every_s,
            ),
        }
        self.hub = Hub(
            Services(
                **ports,
                committer=Committer(self.log, sleep=clock.sleep, random=clock.random),
                clock=clock,
                tasks=tasks,
                metrics=self.metrics,
                # The loop here is closed, and faster than any client is allowed to be.
                limits=msgspec.structs.replace(
                    DEFAULT_LIMITS, ops_per_s=UNLIMITED, ops_burst=UNLIMITED
                ),
                timing=timing,
            )
        )

    async def __aenter__(self) -> Instance:
        self.hub.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hub.stop()

    def session(self, user: str) -> Session:
        """A new connection of `user`; greet it."""
        request: Any = SimpleNamespace(transport=self.wire)

        async def identify(_token: str | None) -> Principal:
            return of_service(user, user)

        session = Session(self.hub, SocketTransport(request), identify, "bench")
        self.hub.add_session(session)
        return session
