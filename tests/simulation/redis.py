"""A Redis server, spoken to by the real redis-py over simulated connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.simulation.edge import Edge
from tests.simulation.loop import ACTOR, WALL_START_MS
from tests.simulation.redis_keys import Keys, Refusal, Reply, read_id

LATENCY_S: Final = 0.001
SLOW_S: Final = 1.5
ORDER_S: Final = 1e-7
"""Lies between two messages of one connection: timers of one time have no order."""

Waiter = Callable[[], bool]


class RedisServer:
    """`away`: nobody can connect, and who is connected is cut off."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.keys = Keys(lambda: WALL_START_MS + int(edge.now * 1000))
        self.rng = random.Random(edge.rng.random())
        self.sessions: dict[Connection, None] = {}
        self._away = False

    async def connect(self, factory: Callable[[], asyncio.Protocol], host: str) -> Connection:
        """As `loop.create_connection` does. Raises ConnectionRefusedError."""
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.edge.later(self.edge.latency_s(LATENCY_S), _resolve, arrived)
        await arrived
        if self._away or self.edge.faults.strikes("redis: connection refused"):
            raise ConnectionRefusedError(111, f"{host} refuses")
        actor = ACTOR.get()
        connection = Connection(self, factory(), actor.name if actor else "nobody")
        self.sessions[connection] = None
        return connection

    @property
    def away(self) -> bool:
        return self._away

    @away.setter
    def away(self, away: bool) -> None:
        self._away = away
        if away:
            for session in list(self.sessions):
                session.cut()

    def lose_ends(self) -> None:
        """Each inbox loses some of its latest entries, as when Redis restarts."""
        for stream in self.keys.streams():
            del stream.entries[len(stream.entries) - self.rng.randint(0, 3) :]

    def trim(self) -> None:
        """Each inbox loses some of its oldest entries."""
        for stream in self.keys.streams():
            del stream.entries[: self.rng.randint(0, 3)]

    def wake(self) -> None:
        """Something was appended: serve the blocking reads that it is for."""
        for session in list(self.sessions):
            session.serve_reader()


class Connection(asyncio.Transport):
    """One connection, both its ends. Commands are answered in their order."""

    def __init__(self, server: RedisServer, protocol: asyncio.Protocol, owner: str) -> None:
        super().__init__()
        self._server = server
        self._edge = server.edge
        self._protocol: Any = protocol
        self._owner = owner
        self._unread = b""
        self._due = 0.0
        self._closed = False
        self._lost = False
        self._reader: tuple[str, tuple[int, int], int] | None = None
        self._reads = 0
        protocol.connection_made(self)

    # The client's end

    def write(self, data: Any) -> None:
        if self._closed:
            return
        self._unread += bytes(data)
        for command in self._commands():
            self._send(command)

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Not needed: answers are short."""

    def resume_reading(self) -> None:
        """Not needed: answers are short."""

    def _commands(self) -> Iterator[list[bytes]]:
        """The whole commands (RESP arrays of bulk strings) that have been written."""
        while self._unread:
            head, *rest = self._unread.split(b"\r\n", 1)
            command, left = [], rest[0] if rest else b""
            for _ in range(int(head[1:])):
                size, _, left = left.partition(b"\r\n")
                length = int(size[1:])
                command.append(left[:length])
                left = left[length + 2 :]
            self._unread = left
            yield command

    def _send(self, command: list[bytes]) -> None:
        edge = self._edge
        fault = None
        if command[0] not in (b"CLIENT", b"SCRIPT"):
            fault = edge.faults.one_of(
                "redis: request lost",
                "redis: answer lost",
                "redis: error",
                "redis: slow",
                "redis: silent",
            )
        there_s = edge.latency_s(LATENCY_S)
        if fault == "redis: slow":
            there_s += SLOW_S * edge.rng.random()
        self._due = max(self._due + ORDER_S, edge.now + there_s)
        edge.later(self._due - edge.now, self._run, command, fault)

    # The server's end

    def cut(self) -> None:
        """The connection is reset; what was on its way is lost."""
        self._lost = True
        self._end(ConnectionResetError(104, "reset"))

    def _run(self, command: list[bytes], fault: str | None) -> None:
        if self._lost:
            return
        how = (fault or "").removeprefix("redis: ")
        if how == "request lost":
            self.cut()
            return
        shown = b" ".join(command[:2]).decode()[:16]
        self._edge.trace.note(self._owner, f"redis {shown} [{fault or ''}]")
        if how == "error":
            self._reply(Refusal("LOADING Redis is loading the dataset in memory"))
            return
        if command[0].upper() == b"XREAD":
            self._read(command)
            return
        reply = self._server.keys.run(command)
        if command[0] == b"XADD":
            self._server.wake()
        if how == "answer lost":
            self.cut()
        elif how != "silent":
            self._reply(reply)

    def _read(self, command: list[bytes]) -> None:
        """XREAD COUNT n [BLOCK ms] STREAMS key position."""
        words = [word.upper() for word in command]
        count = int(command[words.index(b"COUNT") + 1])
        key, position = command[-2].decode(), read_id(command[-1])
        reply = self._server.keys.read(key, position, count)
        if reply is not None or b"BLOCK" not in words:
            self._reply(reply)
            return
        if self._closed:
            return
        self._reader = (key, position, count)
        self._reads += 1
        block_s = int(command[words.index(b"BLOCK") + 1]) / 1000
        self._edge.later(block_s, self._give_up, self._reads)

    def serve_reader(self) -> None:
        if self._reader is not None:
            reply = self._server.keys.read(*self._reader)
            if reply is not None:
                self._reader = None
                self._reply(reply)

    def _give_up(self, number: int) -> None:
        if self._reader is not None and self._reads == number:
            self._reader = None
            self._reply(None)

    def _reply(self, reply: Reply) -> None:
        data = _encode(reply)
        self._due = max(self._due + ORDER_S, self._edge.now + self._edge.latency_s(LATENCY_S))
        self._edge.later(self._due - self._edge.now, self._receive, data)

    def _receive(self, data: bytes) -> None:
        if not self._closed:
            self._protocol.data_received(data)

    def _end(self, error: Exception | None) -> None:
        if self._closed:
            return
        self._closed = True
        self._reader = None
        self._server.sessions.pop(self, None)
        self._edge.later(0.0, self._protocol.connection_lost, error)


def _encode(reply: Reply) -> bytes:
    """RESP2."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, Refusal):
        return f"-{reply}\r\n".encode()
    if isinstance(reply, str):
        return f"+{reply}\r\n".encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n%b" % (len(reply), b"".join(map(_encode, reply)))


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
