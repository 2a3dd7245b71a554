"""A client whose every read is asked for, to the byte: one that doesn't keep up, on purpose.

Built on the protocol of `websockets` without its reading, so that nothing is taken from the
kernel which the test didn't ask for.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import uuid
from typing import Any
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.client import WAIT_S, Account, Door
from tests.mirror import Mirror

Message = dict[str, Any]
CHUNK_BYTES = 262_144
RCVBUF_BYTES = 4_096


class SlowReader:
    """One user's device with one cart, which it knows by `mirror` as far as it has read.

    What comes in is held against the contract as it comes: ops without a gap, states that don't
    go back.
    """

    def __init__(self, door: Door, account: Account, cart: str) -> None:
        self.account = account
        self.cart = cart
        self.client = str(uuid.uuid4())
        self.mirror: Mirror | None = None
        self.messages: list[Message] = []
        """What was read, in order, of this connection."""
        self.states = 0
        """Fresh states that were pushed, over all connections."""
        self.connections = 0
        self.bytes_read = 0
        self.ended = False
        """The server has ended this connection."""
        self._url = door.ws_url
        self._ids = itertools.count(1)
        self._socket: socket.socket
        self._protocol: ClientProtocol

    @property
    def close_code(self) -> int | None:
        return self._protocol.close_code

    async def open(self) -> None:
        """Connect, say hello and join, resuming if there is something to resume from."""
        self.messages, self.ended = [], False
        self.connections += 1
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RCVBUF_BYTES)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        address = urlsplit(self._url)
        await asyncio.get_running_loop().sock_connect(
            self._socket, (address.hostname, address.port)
        )
        self._protocol = ClientProtocol(
            parse_uri(self._url), subprotocols=[Subprotocol("cartroom.v1")], max_size=None
        )
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        await self.read_until(lambda: self._protocol.state is State.OPEN)
        await self.ask("hello", client=self.client, token=self.account.token)
        rev = {} if self.mirror is None else {"rev": self.mirror.rev}
        await self.ask("cart.join", cart=self.cart, **rev)

    def close(self) -> None:
        self._socket.close()

    # Sending

    async def say(self, type_: str, **fields: Any) -> int:
        """Send a request and read nothing; returns its id."""
        id_ = next(self._ids)
        self._protocol.send_text(json.dumps({"id": id_, "type": type_, **fields}).encode())
        await self._flush()
        return id_

    async def ask(self, type_: str, **fields: Any) -> Message:
        """Send a request and read until its reply, which must be no error."""
        id_ = await self.say(type_, **fields)
        await self.read_until(lambda: self.answered(id_) is not None)
        reply = self.answered(id_)
        assert reply is not None
        assert reply["type"] != "error", reply
        return reply

    def answered(self, id_: int) -> Message | None:
        return next((one for one in self.messages if one.get("id") == id_), None)

    def count(self, key: str) -> int:
        """How many messages with this key were read."""
        return sum(key in message for message in self.messages)

    async def _flush(self) -> None:
        async with asyncio.timeout(WAIT_S):
            for data in self._protocol.data_to_send():
                await asyncio.get_running_loop().sock_sendall(self._socket, data)

    # Reading

    def read(self, count: int) -> int:
        """Read at most so many bytes, of those that are there; returns how many it were."""
        try:
            data = self._socket.recv(count)
        except BlockingIOError:
            return 0
        except ConnectionError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self.ended = True
        self.bytes_read += len(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._take(json.loads(bytes(event.data)))
        return len(data)

    async def read_until(self, done: Any) -> None:
        """Read as fast as it comes until `done()` is true; fails when that takes too long."""
        # A window of a few bytes would make TCP itself slow.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK_BYTES)
        async with asyncio.timeout(3 * WAIT_S):
            while not done():
                if self.ended:
                    raise ConnectionResetError("The server has ended the connection")
                if not self.read(CHUNK_BYTES):
                    await self._readable()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        loop.add_reader(self._socket, lambda: readable.done() or readable.set_result(None))
        try:
            await readable
        finally:
            loop.remove_reader(self._socket)

    async def catch_up(self, rev: int) -> None:
        """Read again, as fast as it comes, until `rev` is there; reconnect where we were cut."""
        while self.mirror is None or self.mirror.rev < rev:
            try:
                await self.read_until(lambda: self.mirror is not None and self.mirror.rev >= rev)
            except ConnectionResetError:
                self.close()
                await self.open()

    def _take(self, message: Message) -> None:
        self.messages.append(message)
        if message.get("cart") != self.cart:
            return
        if "state" in message:
            if message["type"] == "cart.state":
                self.states += 1
            fresh = Mirror.of_state(message["rev"], message["state"])
            assert self.mirror is None or fresh.rev >= self.mirror.rev
            self.mirror = fresh
        for op in message.get("ops", ()):
            assert self.mirror is not None
            self.mirror.apply(op["rev"], op["by"], op["op"])
