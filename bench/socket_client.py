"""A WebSocket client for load: one asyncio protocol a socket, cheaper than what it measures.

Frames go out with a mask of zeros, which RFC 6455 allows on the wire and which costs nothing, so
this is for load on servers that the bench itself has started and nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from typing import cast

OnFrame = Callable[["LoadSocket", bytes], None]
MASK = b"\x00\x00\x00\x00"
TEXT, BINARY, CLOSE = 1, 2, 8


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + MASK + payload


class LoadSocket(asyncio.Protocol):
    """One connection. `on_frame(socket, payload)` is called for each text or binary frame."""

    def __init__(self, host: str, path: str, on_frame: OnFrame) -> None:
        self.on_frame = on_frame
        self.frames = 0
        self.bytes = 0
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
        for future in (self.opened, self.closed):
            if not future.done():
                future.set_result(None)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        assert self._transport is not None
        self._transport.write(client_frame(payload, opcode))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._upgraded:
            head, found, buffer = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(head.split(b"\r\n", 1)[0].decode())
            self._upgraded = True
            self.opened.set_result(None)
        self._buffer = self._take_frames(buffer)

    def _take_frames(self, buffer: bytes) -> bytes:
        at, end = 0, len(buffer)
        while end - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if start + size > end:
                break
            opcode = buffer[at] & 0x0F
            self.frames += 1
            self.bytes += size
            if opcode in (TEXT, BINARY):
                self.on_frame(self, buffer[start : start + size])
            elif opcode == CLOSE:
                self.close_code = int.from_bytes(buffer[start : start + 2], "big")
            at = start + size
        return buffer[at:]


async def connect(host: str, port: int, path: str, on_frame: OnFrame) -> LoadSocket:
    """An open socket. Raises ConnectionError when the server refuses it."""
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(
        lambda: LoadSocket(f"{host}:{port}", path, on_frame), host, port
    )
    await socket.opened
    return socket
