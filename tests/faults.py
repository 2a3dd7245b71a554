"""A TCP proxy between the service and a store, which harms chosen messages at a chosen point.

It reads the service's requests message by message, so that a fault hits exactly the commit it is
meant for: before the store gets any of it, when it has got half, or when it has all of it and
only the answer is lost; or when nobody waits for it any more. It can also hold a message back, and
be away altogether.
"""

from __future__ import annotations

import asyncio
import enum
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from tests.helpers import eventually

Match = Callable[[bytes], bool]
CHUNK_BYTES = 65_536


class Fault(enum.Enum):
    """Where on its way a message meets the end of its connection."""

    BEFORE = "before"
    MIDDLE = "in the middle"
    AFTER = "after"
    LATE = "long before it arrives"
    """Its sender sees the end at once; the store gets it when another such message goes by."""


def inserts_into(collection: str) -> Match:
    return _names(b"insert", collection)


def updates_of(collection: str) -> Match:
    return _names(b"update", collection)


def _names(command: bytes, collection: str) -> Match:
    """Matches the MongoDB command on a collection: the first field of its BSON."""
    name = collection.encode() + b"\0"
    field_ = b"\x02" + command + b"\0" + struct.pack("<i", len(name)) + name
    return lambda message: field_ in message


is_commit = inserts_into("cart_ops")


@dataclass(eq=False)
class Hold:
    """Keeps messages that match from going on, until released."""

    match: Match
    held: int = 0
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        self.held += 1
        await self._released.wait()

    async def reached(self, count: int = 1) -> None:
        """Wait until so many messages are, or were, held."""
        await eventually(lambda: self.held >= count, what=f"{count} messages held")


@dataclass(eq=False)
class _Strike:
    fault: Fault
    match: Match
    left: int
    every: int
    seen: int = 0
    overtaken: asyncio.Event = field(default_factory=asyncio.Event)
    """For what it makes late: another message that matches has gone by."""

    def hits(self, message: bytes) -> bool:
        if not self.left or not self.match(message):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.left -= 1
        return True


class FaultProxy:
    """Stands before the server of `url`. Clients use `self.url`.

    `framed` is for MongoDB, whose messages say their length; else a message is what one read
    brings.
    """

    def __init__(self, url: str, *, framed: bool = True) -> None:
        self._upstream = urlsplit(url)
        self._framed = framed
        self._port = 0
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._strikes: deque[_Strike] = deque()
        self._holds: list[Hold] = []
        self.struck: Counter[Fault] = Counter()
        self.late = 0
        """Messages whose sender was cut off, and which wait to be overtaken."""
        self.answered_late = 0
        """Messages that the store has answered after their sender was cut off."""

    @property
    def url(self) -> str:
        return urlunsplit(self._upstream._replace(netloc=f"127.0.0.1:{self._port}"))

    async def up(self) -> None:
        """Take connections, on the same port as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Cut all connections and refuse new ones."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for link in list(self._links):
            link.cut()
        while self._links:
            await asyncio.wait([link.task for link in self._links])
        await server.wait_closed()

    def strike(
        self, fault: Fault, match: Match = is_commit, times: int = 1, every: int = 1
    ) -> None:
        """Let every `every`-th message that matches meet the fault, `times` times."""
        self._strikes.append(_Strike(fault, match, times, every))

    def calm(self) -> None:
        """Forget the faults that have met nobody yet, and let go what is held."""
        self._strikes.clear()
        holds, self._holds = self._holds, []
        for hold in holds:
            hold.release()

    def hold(self, match: Match = is_commit) -> Hold:
        """Hold back every message that matches, from now on until released."""
        hold = Hold(match)
        self._holds.append(hold)
        return hold

    async def meet(self, message: bytes) -> _Strike | None:
        """Wait as long as the message is held; what it meets then."""
        for hold in list(self._holds):
            if hold.match(message) and not hold._released.is_set():
                await hold.wait()
        for strike in self._strikes:
            if strike.hits(message):
                self.struck[strike.fault] += 1
                return strike
        return None

    @property
    def strikes_left(self) -> int:
        """How many messages are still to meet a fault."""
        return sum(strike.left for strike in self._strikes)

    def relent(self) -> None:
        """No more faults; what is held goes on."""
        self._strikes.clear()
        for hold in self._holds:
            hold.release()
        self._holds.clear()

    def cut_off(self) -> None:
        """Cut all connections on the service's side. What is held goes on when it is released."""
        for link in self._links:
            link.cut_off()

    def goes_by(self, message: bytes) -> None:
        """It is on its way to the store: now comes what is to come after it."""
        for strike in self._strikes:
            if strike.match(message):
                strike.overtaken.set()
                strike.overtaken = asyncio.Event()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()  # it was let in before, and comes to nobody
            return
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run(self._upstream.hostname or "127.0.0.1", self._upstream.port or 0)
        finally:
            self._links.discard(link)

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """The next message; empty at the end."""
        if not self._framed:
            return await reader.read(CHUNK_BYTES)
        try:
            head = await reader.readexactly(4)
            return head + await reader.readexactly(struct.unpack("<i", head)[0] - 4)
        except asyncio.IncompleteReadError:
            return b""


class _Link:
    """One connection through the proxy."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._near = (reader, writer)
        self._writers = [writer]
        self._loses_answer = False
        self._answered = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None
        self.task = task

    async def run(self, host: str, port: int) -> None:
        try:
            far = await asyncio.open_connection(host, port)
            self._writers.append(far[1])
            there = asyncio.create_task(self._requests(far[1]))
            back = asyncio.create_task(self._answers(far[0]))
            # Whichever side ends, both end.
            _, rest = await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        except OSError:
            pass  # the server is away; so are we
        except asyncio.CancelledError:
            pass  # the loop closes
        finally:
            self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def cut_off(self) -> None:
        self._near[1].transport.abort()

    @property
    def _is_cut_off(self) -> bool:
        return self._near[0].at_eof() or self._near[1].is_closing()

    async def _requests(self, far: asyncio.StreamWriter) -> None:
        while message := await self._proxy.read(self._near[0]):
            strike = await self._proxy.meet(message)
            fault = None if strike is None else strike.fault
            if fault is Fault.BEFORE:
                return
            if fault is Fault.MIDDLE:
                far.write(message[: len(message) // 2])
                await far.drain()
                return
            if strike is not None and fault is Fault.LATE:
                await self._be_late(strike)
            self._loses_answer = fault is Fault.AFTER
            self._answered.clear()
            far.write(message)
            await far.drain()
            if self._is_cut_off:
                await self._answered.wait()
                self._proxy.answered_late += 1
                return
            self._proxy.goes_by(message)

    async def _be_late(self, strike: _Strike) -> None:
        self.cut_off()
        self._proxy.late += 1
        try:
            await strike.overtaken.wait()
        finally:
            self._proxy.late -= 1

    async def _answers(self, far: asyncio.StreamReader) -> None:
        while message := await self._proxy.read(far):
            self._answered.set()
            if self._loses_answer:
                return
            if not self._is_cut_off:
                self._near[1].write(message)
                await self._near[1].drain()


@asynccontextmanager
async def proxy_of(url: str, *, framed: bool = True) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(url, framed=framed)
    await proxy.up()
    try:
        yield proxy
    finally:
        await proxy.down()
