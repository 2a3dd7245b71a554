"""An instance whose store, bus, catalog and sockets a test holds in its hands.

Rooms, lanes, sessions, hub and committer are the production ones; only the ports behind them are
stood in for, so that a test can hold back an answer of the store and look at what happens then.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import bson

from commerce.accounts.principal import Principal
from commerce.catalog.product import ProductFacts
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
from storage.oplog import Commit, CommitDocument, Outcome, commit_id, first_rev
from tests.helpers import eventually

Message = dict[str, Any]
NEVER_S = 2.0**40


def principal_of(user: str, session: str, epoch: int = 1, expires_at: float = NEVER_S) -> Principal:
    """A customer, named after the id, who has signed in."""
    name = user.removeprefix("usr_").title()
    return Principal(user, name, session, epoch, "customer", False, True, "token", expires_at)


class Gate:
    """Open, or holding back whoever comes."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.waiting = 0

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def pass_through(self) -> None:
        self.waiting += 1
        try:
            await self._open.wait()
        finally:
            self.waiting -= 1

    async def has(self, count: int) -> None:
        """Wait until so many are held back."""
        await eventually(lambda: self.waiting >= count, what=f"{count} at the gate")


class MemoryStore:
    """What instances share: the log's commits, snapshots, memberships."""

    def __init__(self) -> None:
        self.commits: dict[str, CommitDocument] = {}
        self.snapshots: dict[str, Any] = {}
        self.memberships: dict[tuple[str, str], Membership] = {}
        self.places: dict[tuple[str, str], StageBus] = {}
        """Where each user's client said `hello` last."""

    def entries(self, cart: str) -> list[Any]:
        """The ops of a cart in the order of the log."""
        documents = sorted((d for d in self.commits.values() if d["cart"] == cart), key=first_rev)
        return [op for document in documents for op in document["ops"]]


class StageLog:
    """The log as one instance reaches it. `answers` overrides the next inserts' outcomes."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.before_insert = Gate()
        self.after_insert = Gate()
        self.reading = Gate()
        self.answers: deque[Outcome | BaseException] = deque()
        self.reads = 0

    async def insert(self, commits: Sequence[Commit]) -> list[Outcome]:
        await self.before_insert.pass_through()
        if self.answers:
            answer = self.answers.popleft()
            if isinstance(answer, BaseException):
                raise answer
            return [answer] * len(commits)
        outcomes = [self._insert(commit) for commit in commits]
        await self.after_insert.pass_through()
        return outcomes

    def _insert(self, commit: Commit) -> Outcome:
        held = self._store.commits.setdefault(commit.id, bson.decode(commit.raw))
        return Outcome.COMMITTED if held["commit"] == commit.token else Outcome.LOST

    async def tail(self, cart: str, after: int) -> list[CommitDocument]:
        self.reads += 1
        found: list[CommitDocument] = []
        while (document := self._store.commits.get(commit_id(cart, after + 1))) is not None:
            found.append(document)
            after = document["last"]
        await self.reading.pass_through()
        return found

    async def covering(self, cart: str, low: int, high: int) -> list[CommitDocument]:
        self.reads += 1
        await self.reading.pass_through()
        return sorted(
            (
                document
                for document in self._store.commits.values()
                if document["cart"] == cart and document["last"] >= low
                if first_rev(document) <= high
            ),
            key=first_rev,
        )

    async def moved(self, heads: Sequence[tuple[str, int]]) -> set[str]:
        await self.reading.pass_through()
        return {cart for cart, head in heads if commit_id(cart, head + 1) in self._store.commits}


class StageCarts:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def load(self, cart: str) -> Any:
        return self._store.snapshots.get(cart)

    async def save(self, snapshot: Any) -> bool:
        self._store.snapshots[snapshot["_id"]] = snapshot
        return True

    async def places(self, carts: Sequence[str]) -> dict[str, Any]:
        return await self.summaries(carts)

    async def summaries(self, carts: Sequence[str]) -> dict[str, Any]:
        return {
            cart: self._store.snapshots[cart] for cart in carts if cart in self._store.snapshots
        }


class StageMemberships:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.putting = Gate()

    async def put(self, membership: Membership) -> None:
        await self.putting.pass_through()
        self._store.memberships[(membership.user, membership.cart)] = membership

    async def of_user(self, user: str, limit: int) -> list[Membership]:
        found = [one for one in self._store.memberships.values() if one.user == user and one.role]
        return found[:limit]


class StageOutbox:
    def __init__(self) -> None:
        self.marking = Gate()
        self.marked: list[str] = []

    async def mark_active(self, cart: str, at_ms: int) -> None:
        await self.marking.pass_through()
        self.marked.append(cart)


class StageCatalog:
    """Knows every sku. Those in `known` need no waiting; of all there are `available` pieces."""

    def __init__(self) -> None:
        self.available: int | None = None
        self.looking_up = Gate()
        self.known: set[str] = set()

    def cached(self, skus: Collection[str]) -> dict[str, ProductFacts] | None:
        if not self.known.issuperset(skus):
            return None
        return {sku: ProductFacts(sku, sku.title(), 100, "EUR", self.available) for sku in skus}

    async def facts(self, skus: Collection[str]) -> dict[str, ProductFacts]:
        await self.looking_up.pass_through()
        self.known.update(skus)
        return self.cached(skus) or {}


class StageDirectory:
    """Every user exists, and is named after its id."""

    def __init__(self) -> None:
        self.naming = Gate()
        self.renamed: dict[str, str] = {}

    async def names(self, user_ids: Collection[str]) -> dict[str, str]:
        await self.naming.pass_through()
        return {
            user: self.renamed.get(user, user.removeprefix("usr_").title()) for user in user_ids
        }

    def forget(self, user: str) -> None:
        pass

    async def names_of_staying(self, user_ids: Collection[str]) -> dict[str, str]:
        return await self.names(user_ids)


class StageAccess:
    """Says that those in `gone` are signed out."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.asking = Gate()
        self.asked: list[int] = []
        """Of how many, each time."""
        self.answers: deque[set[str] | BaseException] = deque()
        """What it says instead, the next times."""

    async def ended(self, principals: Iterable[Principal]) -> set[str]:
        sessions = {one.session for one in principals}
        self.asked.append(len(sessions))
        await self.asking.pass_through()
        answer = self.answers.popleft() if self.answers else self.gone
        if isinstance(answer, BaseException):
            raise answer
        return sessions & answer


class StageBus(NoBus):
    """Hands commits to the other stages when `flowing`, and counts them."""

    def __init__(self, store: MemoryStore) -> None:
        self._places = store.places
        self.others: list[Hub] = []
        self.flowing = True
        self.published: list[bytes] = []

    @property
    def shared(self) -> bool:  # type: ignore[override]
        return bool(self.others)

    async def greeted(self, user: str, client: str) -> bool:
        before = self._places.get((user, client), self)
        self._places[(user, client)] = self
        return before is not self

    def publish(self, cart: str, commit: bytes) -> None:
        self.published.append(commit)
        if self.flowing:
            for hub in self.others:
                hub.on_commit(cart, commit)

    def signal(self, cart: str, payload: dict[str, Any]) -> None:
        for hub in self.others:
            hub.on_signal(cart, "another", payload)

    def announce(self, payload: dict[str, Any]) -> None:
        if self.flowing:
            for hub in self.others:
                hub.on_announcement(payload)


class Stage:
    """One instance."""

    def __init__(self, store: MemoryStore | None = None, **timing: float) -> None:
        self.store = store or MemoryStore()
        self.clock, self.tasks, self.metrics = SystemClock(), Tasks(), RealtimeMetrics()
        self.log = StageLog(self.store)
        self.carts = StageCarts(self.store)
        self.memberships = StageMemberships(self.store)
        self.outbox = StageOutbox()
        self.catalog = StageCatalog()
        self.directory = StageDirectory()
        self.access = StageAccess()
        self.bus = StageBus(self.store)
        self.timing = Timing(**{"commit_timeout_s": 60.0, "catch_up_every_s": 3600.0, **timing})
        self.committer = Committer(self.log, sleep=self.clock.sleep, random=self.clock.random)
        services: Any = {
            "log": self.log,
            "committer": self.committer,
            "carts": self.carts,
            "memberships": self.memberships,
            "outbox": self.outbox,
            "catalog": self.catalog,
            "directory": self.directory,
            "access": self.access,
            "bus": self.bus,
        }
        self.services = Services(
            **services,
            clock=self.clock,
            snapshots=Snapshots(
                self.carts,  # type: ignore[arg-type]
                self.clock,
                self.tasks,
                self.metrics,
                self.timing.snapshot_every_s,
            ),
            metrics=self.metrics,
            limits=DEFAULT_LIMITS,
            timing=self.timing,
            tasks=self.tasks,
        )
        self.hub = Hub(self.services)
        self.sockets: list[Socket] = []

    async def __aenter__(self) -> Stage:
        self.hub.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in self.sockets:
            socket.session.on_closed()
        await self.hub.stop()

    async def connect(
        self, user: str = "ana", client: str | None = None, session: str = ""
    ) -> Socket:
        """A socket that has said `hello`; `session` is the sign-in that it speaks for."""
        socket = Socket(self.hub, f"usr_{user}", client or str(uuid.uuid4()), session)
        self.sockets.append(socket)
        assert await socket.greet()
        return socket

    def other(self) -> Stage:
        """Another instance on the same store, with a bus between the two."""
        stage = Stage(self.store)
        stage.bus.others.append(self.hub)
        self.bus.others.append(stage.hub)
        return stage


class Socket:
    """A client's end of a connection without a network."""

    def __init__(self, hub: Hub, user: str, client: str, session: str = "") -> None:
        self.client = client
        self.user = user
        self.frames: list[Message] = []
        self.unread = 0
        self.writes = 0
        self._ids = itertools.count(1)
        self._n = itertools.count(1)
        self.principal = principal_of(user, session or f"ses_{client}")
        self.identifying = Gate()
        self.session = Session(hub, self, self._identify, "stage")

    async def _identify(self, _token: str | None) -> Principal:
        principal = self.principal
        await self.identifying.pass_through()
        return principal

    # The session's transport

    def send(self, *frames: bytes) -> None:
        self.writes += 1
        self.frames += [json.loads(frame) for frame in frames]

    def backlog(self) -> int:
        return self.unread

    def close(self, code: int, reason: str) -> None:
        self.frames.append({"type": "closed", "code": code, "reason": reason})

    def abort(self) -> None:
        pass

    # The client's side

    async def greet(self) -> bool:
        hello = {"id": 0, "type": "hello", "client": self.client, "token": "-"}
        return await self.session.greet(json.dumps(hello))

    def say(self, type_: str, **fields: Any) -> int:
        """Send a request; returns its id."""
        id_ = next(self._ids)
        self.session.on_frame(json.dumps({"id": id_, "type": type_, **fields}))
        return id_

    def op(self, cart: str, kind: str, op_id: str | None = None, **fields: Any) -> int:
        op_id = op_id or f"{self.client}:{next(self._n)}"
        return self.say("cart.op", cart=cart, op_id=op_id, op={"kind": kind, **fields})

    def rename(self, cart: str, name: str, op_id: str | None = None) -> int:
        return self.op(cart, "rename", op_id, name=name)

    def answered(self, id_: int) -> Message | None:
        return next((frame for frame in self.frames if frame.get("id") == id_), None)

    async def reply(self, id_: int) -> Message:
        return await eventually(lambda: self.answered(id_), what=f"a reply to {id_}")

    async def ask(self, type_: str, **fields: Any) -> Message:
        return await self.reply(self.say(type_, **fields))

    async def create(self) -> str:
        reply = await self.ask("cart.create", name="Stage")
        assert reply["type"] == "ok", reply
        return str(reply["cart"])

    def revs(self) -> list[int]:
        """Revs as they came: by pushes, and by the `ok`s of ops."""
        revs: list[int] = []
        for frame in self.frames:
            if frame["type"] == "cart.ops":
                revs += [op["rev"] for op in frame["ops"]]
            elif frame["type"] == "ok" and "op" in frame:
                revs.append(frame["rev"])
        return revs

    async def has_rev(self, rev: int) -> None:
        """Wait until an op of this rev has come."""
        await eventually(lambda: rev in self.revs(), what=f"rev {rev}")


def set_commit_timeout(hub: Hub, limit_s: float) -> None:
    """Whatever is asked of any room from now on has so long.

    A test sets a short limit when all is ready: what it does before isn't in a hurry.
    """
    hub.services.timing = replace(hub.services.timing, commit_timeout_s=limit_s)
    for room in hub.open_rooms():
        room._watching = False  # it looks at the times as seldom as they were long


@contextmanager
def hurried(hub: Hub, cart: str, limit_s: float = 0.1) -> Iterator[None]:
    """What is asked of the cart's room meanwhile has so long; what was before, and will be, longer.

    Wait in it for the answers of those that are to run out of time.
    """
    services, room = hub.services, hub.room(cart)
    assert room is not None
    patient = services.timing
    services.timing = replace(patient, commit_timeout_s=limit_s)
    room._watching = False  # it looks at the times as seldom as they were long
    try:
        yield
    finally:
        services.timing = patient


async def turns(count: int = 20) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)
