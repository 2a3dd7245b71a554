"""A STORE STUB: acknowledges inserts into `cart_ops` after 2 ms and keeps nothing of them.

It shows the service's own ceiling, not a store's. Everything else goes through to the real server
behind it, as bytes. Never run a service on it that anybody uses: what it acknowledged is gone.

    python -m bench.store_stub --upstream 127.0.0.1:27017 --port 27018 --delay-ms 2
"""

from __future__ import annotations

import argparse
import asyncio
import struct
from functools import partial
from typing import cast

import bson

from server.lifecycle import run

HEADER = struct.Struct("<iiii")
SIZE = struct.Struct("<i")
OP_MSG = 2013
INSERT = b"\x02insert\x00\x09\x00\x00\x00cart_ops\x00"
INSERT_WITHIN = 64
"""The command's name is the first field of a message's body."""
REPLY = b"\x00\x00\x00\x00\x00" + bson.encode({"ok": 1.0, "n": 0})
COUNT_AT = REPLY.index(b"n\x00", 5) + 2


def count_documents(message: bytes) -> int:
    """Documents in an OP_MSG insert: those of its document sequence, or of its body."""
    position, count = 20, 0
    while position < len(message):
        kind = message[position]
        end = position + 1 + SIZE.unpack_from(message, position + 1)[0]
        if kind == 1:
            at = message.index(b"\x00", position + 5) + 1
            while at < end:
                at += SIZE.unpack_from(message, at)[0]
                count += 1
        else:
            count += len(bson.decode(message[position + 1 : end]).get("documents", ()))
        position = end
    return count


def acknowledgement(message: bytes) -> bytes:
    """The reply of a store that has taken all of an insert's documents."""
    request = HEADER.unpack_from(message)[1]
    body = bytearray(REPLY)
    SIZE.pack_into(body, COUNT_AT, count_documents(message))
    return HEADER.pack(16 + len(body), 1, request, OP_MSG) + bytes(body)


class Upstream(asyncio.Protocol):
    """The connection to the real server; its bytes go to the client as they come."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()


class Client(asyncio.Protocol):
    """A driver's connection. It has one request under way at a time, so replies need no queue."""

    def __init__(self, upstream: tuple[str, int], delay_s: float) -> None:
        self._upstream_address = upstream
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._upstream: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            upstream, _ = await self._loop.create_connection(
                partial(Upstream, self), *self._upstream_address
            )
        except OSError:
            self.close()
            return
        self._upstream = upstream
        if self._transport is None or self._transport.is_closing():
            self._upstream.close()
            return
        self._take_messages()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._upstream is not None:
            self._take_messages()

    def _take_messages(self) -> None:
        buffer = self._buffer
        while len(buffer) >= 16:
            size = SIZE.unpack_from(buffer)[0]
            if len(buffer) < size:
                return
            message = bytes(buffer[:size])
            del buffer[:size]
            if INSERT in message[20 : 20 + INSERT_WITHIN]:
                self._loop.call_later(self._delay_s, self.write, acknowledgement(message))
            else:
                assert self._upstream is not None
                self._upstream.write(message)

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upstream is not None:
            self._upstream.close()


async def serve(upstream: tuple[str, int], port: int, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(upstream, delay_s), "127.0.0.1", port)
    print(f"Listening at 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upstream", default="127.0.0.1:27017", help="host:port of the real one")
    parser.add_argument("--port", type=int, default=27018, help="0 takes a free one")
    parser.add_argument("--delay-ms", type=float, default=2.0)
    args = parser.parse_args()
    host, _, port = args.upstream.rpartition(":")
    run(serve((host, int(port)), args.port, args.delay_ms / 1000))


if __name__ == "__main__":
    main()
