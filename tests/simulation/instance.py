"""An instance: production code in one actor's context, and the door to it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from prometheus_client import CollectorRegistry
from pymongo.errors import AutoReconnect
from redis.asyncio import Redis

from commerce.accounts.principal import Principal, of_service
from commerce.accounts.service import Accounts
from commerce.catalog.service import Catalog
from realtime.acting import perform
from realtime.errors import CartroomError
from realtime.hub import Hub
from realtime.ops import Op
from realtime.session import Identify, Session
from server.live import live_rooms
from server.settings import Settings
from storage.mongo import Database
from storage.products import Products
from storage.users import Users
from tests.simulation.driver import SimDatabase
from tests.simulation.edge import Edge
from tests.simulation.loop import Actor, SimClock
from tests.simulation.network import SimSocket, SimTransport, Socket
from tests.simulation.store import Store

SETTINGS: Final = Settings(
    data=Path("unused"),
    commit_timeout_s=1.0,
    catch_up_every_s=1.0,
    snapshot_every_s=0.5,
    room_idle_s=0.5,
    lease_s=3.0,
    heartbeat_s=3.0,
    drain_s=2.0,
)
COUNTERS: Final = ("races_lost", "outcomes_unknown", "ops_committed", "fell_behind")
SLOW_READER_S: Final = 2.0
PAUSE_POLL_S: Final = 0.05
STORE_LATENCY_S: Final = 0.003
PATIENCE_S: Final = 2.0
"""With what the service does of itself."""


class Instance:
    """A place where one instance runs, life after life."""

    def __init__(self, edge: Edge, store: Store, number: int) -> None:
        self.edge = edge
        self.store = store
        self.url = self.name = f"i{number}"
        self.hub: Hub | None = None
        self.sockets: dict[Socket, None] = {}
        self.counts: Counter[str] = Counter()
        self._rng = random.Random(edge.rng.random())
        self._lives = 0
        self._actor = Actor(edge.loop, "nobody")
        self._clock: SimClock | None = None
        self._registry = CollectorRegistry()
        self._stopping = asyncio.Event()

    # Life

    def start(self) -> None:
        self._lives += 1
        self.name = f"{self.url}.{self._lives}"
        self._actor = Actor(self.edge.loop, self.name)
        self._stopping = asyncio.Event()
        self.edge.trace.note(self.name, "starts")
        loop = self.edge.loop
        loop.create_task(self._live(), name=self.name, context=self._actor.context)

    async def _live(self) -> None:
        self._clock = clock = SimClock(self.edge.loop, random.Random(self._rng.random()))
        database = cast(Database, SimDatabase(self.store, self))
        nobody = cast(Any, None)
        stopping = self._stopping
        async with live_rooms(
            SETTINGS,
            database=database,
            redis=Redis(host="redis"),
            accounts=Accounts(Users(database), nobody, monotonic=clock.monotonic),
            access=self,
            catalog=Catalog(Products(database), clock.monotonic),
            registry=self._registry,
            clock=clock,
        ) as hub:
            services = hub.services
            services.timing = replace(services.timing, slow_reader_s=SLOW_READER_S)
            self.hub = hub
            await stopping.wait()
            await hub.drain(SETTINGS.drain_s)
            self.count()
            self.hub = None
        self.edge.trace.note(self.name, "has stopped")
        self.edge.later(0.2, self.start)

    def crash(self) -> None:
        """As by SIGKILL; it starts again after a while."""
        if self._actor.dead or self._stopping.is_set():
            return
        self.edge.trace.note(self.name, "crashes")
        self.count()
        self._actor.dead = True
        self.hub = None
        for socket in self.sockets:
            # The machine may have gone with it: then nobody resets the connection.
            socket.drop(client_told=self._rng.random() < 0.7, server_told=False)
        self.sockets.clear()
        self.edge.later(0.05 + 2 * self._rng.random(), self.start)

    def freeze(self, duration_s: float) -> None:
        if not (self._actor.dead or self._actor.frozen):
            self.edge.trace.note(self.name, f"freezes for {duration_s:.3f} s")
            self._actor.frozen = True
            self.edge.later(duration_s, self._thaw, self._actor)

    def _thaw(self, actor: Actor) -> None:
        if actor.frozen:
            self.edge.trace.note(actor.name, "thaws")
            self.edge.loop.thaw(actor)

    def drain(self) -> None:
        if self.hub is not None and not self._actor.frozen:
            self.edge.trace.note(self.name, "is asked to stop")
            self._stopping.set()

    def jump(self, ms: int) -> None:
        if self._clock is not None:
            self.edge.trace.note(self.name, f"wall clock jumps by {ms} ms")
            self._clock.offset_ms += ms

    def heal(self) -> None:
        self._thaw(self._actor)

    def count(self) -> None:
        """Add up what this life of it has counted."""
        for name in COUNTERS:
            value = self._registry.get_sample_value(f"cartroom_{name}_total")
            self.counts[name] += int(value or 0)
        self._registry = CollectorRegistry()

    def act(self, cart: str, user: str, op_id: str, op: Op) -> None:
        """Have the service make an op for a user. It may fail, and die with the instance."""
        if self.hub is not None:
            doing = _perform(self.hub, cart, user, op_id, op)
            context = self._actor.context.copy()
            self.edge.loop.create_task(doing, name="act", context=context)

    def sign_out(self, principal: Principal) -> None:
        """Tell everybody that this session has ended, unless we are down."""
        if self.hub is not None:
            announce, context = self.hub.sign_ins.session_ended, self._actor.context.copy()
            self.edge.loop.call_soon(announce, principal.session, principal.user, context=context)

    # Who is signed in, as the store has it

    async def ended(self, principals: Iterable[Principal]) -> set[str]:
        sessions = [one.session for one in principals]
        await self._asked_of_the_store()
        return {one for one in sessions if one in self.store.signed_out}

    async def identify(self, token: str | None) -> Principal:
        assert token is not None
        principal = principal_of(token)
        await self._asked_of_the_store()
        if token in self.store.signed_out:
            raise CartroomError("unauthorized", "Signed out.")
        return principal

    async def _asked_of_the_store(self) -> None:
        await asyncio.sleep(self.edge.latency_s(STORE_LATENCY_S))
        if self.store.away:
            raise AutoReconnect("away")

    # The door

    async def connect(self, client: str) -> SimSocket:
        """A client's new connection. Raises ConnectionRefusedError."""
        if self.hub is None or self.hub.draining:
            await asyncio.sleep(self.edge.latency_s(0.005))
            raise ConnectionRefusedError(f"{self.url} is down")
        socket = Socket(self.edge, client, self.name)
        self.sockets[socket] = None
        loop = self.edge.loop
        context = self._actor.context.copy()
        serving = _serve(self.hub, socket, self.identify)
        loop.create_task(serving, name="socket", context=context)
        return SimSocket(socket)


async def _perform(hub: Hub, cart: str, user: str, op_id: str, op: Op) -> None:
    with contextlib.suppress(CartroomError):
        await perform(hub, cart, user=user, op_id=op_id, op=op, patience_s=PATIENCE_S)


async def _serve(hub: Hub, socket: Socket, identify: Identify) -> None:
    """What `handlers.socket` does with a connection."""
    transport = SimTransport(socket)
    session = Session(hub, transport, identify, hub.services.clock.token()[:12])
    hub.add_session(session)
    greeted = False
    try:
        while isinstance(frame := await socket.up.came.get(), str):
            if greeted:
                session.on_frame(frame)
            else:
                greeted = await session.greet(frame)
                if not greeted:
                    break
            while session.should_pause and not socket.up.cut:  # noqa: ASYNC110
                await asyncio.sleep(PAUSE_POLL_S)
    finally:
        transport.finish()
        session.on_closed()
        hub.remove_session(session)


def principal_of(token: str) -> Principal:
    """Tokens are `<user>/<device>.<sign-in>`."""
    return replace(of_service(token.partition("/")[0], token), session=token)
