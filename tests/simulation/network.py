"""Sockets between shoppers and instances: messages in order, each with a time on its way.

Either end may learn late or never that the other is gone; a client may stop reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from websockets.exceptions import ConnectionClosedError

from tests.simulation.edge import Edge

LATENCY_S: Final = 0.004
ORDER_S: Final = 1e-7
"""Lies between two messages of one direction: timers of one time have no order."""
CLOSE_TIMEOUT_S: Final = 3.0
SWELL: Final = 128
"""A byte that a slow client has not read counts this much: small carts stand for large ones."""

FAULTS: Final = (
    "network: dropped with this message lost",
    "network: dropped after this message",
    "network: half open, client unaware",
    "network: half open, server unaware",
    "network: delayed",
)

Frame = str | bytes | None
"""None: the other end has closed or is gone."""


class Way:
    """One direction of a socket. Ends with None, or silently."""

    def __init__(self, edge: Edge, name: str) -> None:
        self._edge = edge
        self._name = name
        self._due = 0.0
        self._slow_until = 0.0
        self.came: asyncio.Queue[Frame] = asyncio.Queue()
        self.cut = False
        self.unread = 0

    def send(self, frame: Frame, extra_s: float = 0.0) -> None:
        if self.cut:
            return
        edge = self._edge
        due = edge.now + edge.latency_s(LATENCY_S) + extra_s
        self._due = max(self._due + ORDER_S, self._slow_until, due)
        size = 0
        if frame is not None and edge.now < self._slow_until:
            size = SWELL * len(frame)
            self.unread += size
        edge.later(self._due - edge.now, self._arrive, frame, size)

    @property
    def was_slow(self) -> bool:
        """Whether its reader has ever let the sender wait."""
        return self._slow_until > 0

    def slow_down(self, duration_s: float) -> None:
        """What is sent from now on is read only after a while."""
        self._slow_until = max(self._slow_until, self._edge.now + duration_s)

    def end(self, *, told: bool) -> None:
        """Lose what is on its way, and all that follows. The reader learns of it if `told`."""
        if self.cut:
            return
        self.cut = True
        self.unread = 0
        if told:
            self._edge.later(self._edge.latency_s(LATENCY_S), self.came.put_nowait, None)

    def _arrive(self, frame: Frame, size: int) -> None:
        if self.cut:
            return
        self.unread -= size
        if frame is None:
            self.cut = True
            self._edge.trace.note(self._name, "end")
        else:
            text = frame if isinstance(frame, str) else frame.decode()
            self._edge.trace.note(self._name, text)
        self.came.put_nowait(frame)


class Socket:
    """A connection with its two ways; `up` is the client's to the instance."""

    def __init__(self, edge: Edge, client: str, instance: str) -> None:
        self.edge = edge
        self.up = Way(edge, f"{client}>{instance}")
        self.down = Way(edge, f"{client}<{instance}")

    def send(self, way: Way, frame: Frame) -> None:
        """Put a frame on its way, and let chance have its say."""
        edge = self.edge
        if way is self.down and edge.faults.strikes("network: client reads slowly"):
            way.slow_down(5 * edge.rng.random() ** 2)
        fault = edge.faults.one_of(*FAULTS)
        if fault is not None and not way.cut:
            edge.trace.note("network", fault)
        match (fault or "").removeprefix("network: "):
            case "dropped with this message lost":
                self.drop()
            case "dropped after this message":
                way.send(frame)
                edge.later(LATENCY_S * 3 * edge.rng.random(), self.drop)
            case "half open, client unaware":
                self.drop(client_told=False)
            case "half open, server unaware":
                self.drop(server_told=False)
            case "delayed":
                way.send(frame, 1.5 * edge.rng.random())
            case _:
                way.send(frame)

    def drop(self, *, client_told: bool = True, server_told: bool = True) -> None:
        self.up.end(told=server_told)
        self.down.end(told=client_told)


class SimTransport:
    """An instance's end: what `handlers.socket.SocketTransport` is to a session."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._closing = False

    def send(self, *frames: bytes) -> None:
        if not self._closing:
            for frame in frames:
                self._socket.send(self._socket.down, frame)

    def backlog(self) -> int:
        return self._socket.down.unread

    def close(self, code: int, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        self._socket.edge.trace.note("instance", f"closes {code} {reason}")
        self._socket.send(self._socket.down, None)
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def finish(self) -> None:
        """Nobody reads the socket any more."""
        self._socket.down.send(None)

    def abort(self) -> None:
        self._socket.drop()


class _Cord:
    """Stands for the transport that a client pulls to cut its connection."""

    def __init__(self, abort: Callable[[], None]) -> None:
        self.abort = abort


class SimSocket:
    """A client's end: what a shopper uses of a connection of `websockets`."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._ended = False
        self.transport = _Cord(self._abort)

    @property
    def reads_slowly(self) -> bool:
        return self._socket.down.was_slow

    async def send(self, text: str) -> None:
        if self._ended:
            raise ConnectionClosedError(None, None)
        self._socket.send(self._socket.up, text)

    async def recv(self) -> str:
        frame = None if self._ended else await self._socket.down.came.get()
        if frame is None:
            self._ended = True
            self._socket.up.send(None)
            raise ConnectionClosedError(None, None)
        return frame if isinstance(frame, str) else frame.decode()

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            yield await self.recv()

    async def close(self) -> None:
        self._socket.up.send(None)
        self._ended = True
        self._socket.down.came.put_nowait(None)

    def _abort(self) -> None:
        self._ended = True
        self._socket.drop()
        self._socket.down.came.put_nowait(None)
