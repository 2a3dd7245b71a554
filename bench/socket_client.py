"""A WebSocket client for load: one asyncio protocol a socket, cheaper than what it measures.

Frames go out with a mask of zeros, which RFC 6455 allows on the wire and which costs nothing, so
this is for load on servers that the bench itself has started and nothing else. Those send whole
frames only.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from typing import cast

OnFrame = Callable[[bytes], None]
MASK = b"\x00\x00\x00\x00"
TEXT, BINARY, CLOSE = 1, 2, 8
WHOLE = 0x80
GOING_AWAY = struct.pack("!H", 1001)


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole frame, masked with zeros."""
    size, kind = len(payload), WHOLE | opcode
    if size < 126:
        return bytes((kind, 0x80 | size)) + MASK + payload
    if size < 65_536:
        return struct.pack("!BBH", kind, 0xFE, size) + MASK + payload
    return struct.pack("!BBQ", kind, 0xFF, size) + MASK + payload


class LoadSocket(asyncio.Protocol):
    """One connection. `on_frame(payload)` is called for each text or binary frame."""

    def __init__(self, host: str, path: str, on_frame: OnFrame) -> None:
        self.on_frame = on_frame
        self.close_code: int | None = None
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._host = host
        self._path = path
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: cartroom.v1\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed during the upgrade"))
        if not self.closed.done():
            self.closed.set_result(None)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send a frame. Only once it is open."""
        self._transport.write(client_frame(payload, opcode))  # type: ignore[union-attr]

    def cut(self) -> None:
        """Drop the connection, as a phone does that loses its network."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection, without the closing handshake."""
        if self._transport is not None:
            self._transport.close()

    async def leave(self) -> None:
        """Close as browsers do, and wait for the end; cut it when that takes too long."""
        assert self._transport is not None
        self._transport.write(client_frame(GOING_AWAY, CLOSE))
        try:
            await asyncio.wait_for(asyncio.shield(self.closed), 5)
        except TimeoutError:
            self.cut()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        if not self._upgraded:
            data = self._upgrade(data)
        at, end = 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, start = data[start] << 8 | data[start + 1], at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            stop = start + size
            if stop > end:
                break
            opcode = data[at] & 0x0F
            if opcode in (TEXT, BINARY):
                self.on_frame(data[start:stop])
            elif opcode == CLOSE:
                self._on_close(data[start:stop])
            at = stop
        if at < end:
            self._buffer = data[at:]

    def _upgrade(self, data: bytes) -> bytes:
        """Take the answer to the upgrade; returns what follows it."""
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._buffer = data
            return b""
        if not head.startswith(b"HTTP/1.1 101"):
            status = head.split(b"\r\n", 1)[0].decode(errors="replace")
            self.opened.set_exception(ConnectionError(status))
            self.cut()
            return b""
        self._upgraded = True
        self.opened.set_result(None)
        return rest

    def _on_close(self, payload: bytes) -> None:
        self.close_code = int.from_bytes(payload[:2], "big")
        assert self._transport is not None
        self._transport.close()


async def connect(host: str, port: int, path: str, on_frame: OnFrame) -> LoadSocket:
    """An open socket. Raises ConnectionError when the server refuses it."""
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(
        lambda: LoadSocket(f"{host}:{port}", path, on_frame), host, port
    )
    await socket.opened
    return socket
