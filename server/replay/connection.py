"""One WebSocket to the server: requests with their replies, pushes, the rate allowed."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import WSMsgType

from realtime.errors import CLOSE_CODES
from realtime.limits import Limits
from server.replay.frames import Frame, decode, encode

SUBPROTOCOL: Final = "cartroom.v1"
FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""Larger than any state a cart can have."""
REPLY_TIMEOUT_S: Final = 30.0
RATE_SHARE: Final = 0.9
"""The share of the rate allowed that we use: frames bunch up on their way."""
PING_SHARE: Final = 0.5
"""How often we ping, as a share of `heartbeat_s`."""
CLOSE_TIMEOUT_S: Final = 2.0

_FATAL: Final = frozenset(code.code for code in CLOSE_CODES if 4500 <= code.code < 5000)


class ConnectionLostError(Exception):
    """The connection ended before the reply came: what was sent may have been done or not."""


class RefusedError(Exception):
    """The server answered with an error. `temporary`: nothing was done, send it again."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"{frame.code}: {frame.message}")
        self.temporary = frame.temporary
        self.retry_after_s = frame.retry_after_s


class ServerUnusableError(Exception):
    """There is no going on with this server. The message says why."""


class _Rate:
    """A bucket of `burst` tokens, refilled at `per_s`: who finds it empty waits."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._loop = asyncio.get_running_loop()
        self._tokens = burst
        self._at = self._loop.time()

    async def take(self) -> None:
        now = self._loop.time()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s) - 1
        self._at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._per_s)


class Connection:
    """A socket that said hello. `on_push(frame)` hears of pushes as they come.

    Made by `open_connection`; afterwards `limits` and `user` hold.
    """

    def __init__(
        self, ws: aiohttp.ClientWebSocketResponse[bool], on_push: Callable[[Frame], None]
    ) -> None:
        self._ws = ws
        self._on_push = on_push
        self._ids = itertools.count(1)
        self._pending: dict[int, tuple[asyncio.Future[Frame], Callable[[Frame], object]]] = {}
        self._rate: _Rate | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.lost = False
        self.retry_after_s = 0.0
        self.fatal: ServerUnusableError | None = None
        self.limits = Limits()

    async def hello(self, client: str, token: str) -> None:
        """Introduce ourselves. Raises ConnectionLostError, RefusedError."""
        self._tasks.append(asyncio.create_task(self._read()))
        welcome = await self.request("hello", {"client": client, "token": token})
        self.limits = welcome.limits or self.limits
        per_s, burst = self.limits.ops_per_s * RATE_SHARE, self.limits.ops_burst * RATE_SHARE
        self._rate = _Rate(per_s, burst)
        self._tasks.append(asyncio.create_task(self._beat(welcome.heartbeat_s * PING_SHARE)))

    async def request(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        on_sent: Callable[[], object] = lambda: None,
        on_ok: Callable[[Frame], object] = lambda frame: None,
    ) -> Frame:
        """Send a request and return its `ok`.

        `on_sent` is called when it was handed to the system, `on_ok` with the reply between the
        frames that came before and after it. Raises RefusedError, and ConnectionLostError when no
        reply came.
        """
        if self._rate is not None:
            await self._rate.take()
        if self.lost:
            raise ConnectionLostError
        number = next(self._ids)
        reply: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[number] = (reply, on_ok)
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                await self._ws.send_frame(
                    encode({"id": number, "type": kind, **fields}), WSMsgType.TEXT
                )
                on_sent()
                frame = await reply
        except TimeoutError:
            self.cut()
            raise ConnectionLostError from None
        except (aiohttp.ClientError, ConnectionError):
            self._end()
            raise ConnectionLostError from None
        finally:
            self._pending.pop(number, None)
            reply.cancel()
        if frame.type == "error":
            raise RefusedError(frame)
        return frame

    def cut(self) -> None:
        """Lose the connection, without a word to the server."""
        self._end()
        # What we get here is a view of the transport's socket that can't shut down by itself.
        ours = self._ws.get_extra_info("socket")
        if ours is None or ours.fileno() < 0:
            return
        with socket.socket(fileno=os.dup(ours.fileno())) as same, suppress(OSError):
            same.shutdown(socket.SHUT_RDWR)  # fails only when the connection is gone already

    async def close(self) -> None:
        """End it properly."""
        self._end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._ws.close()

    def _end(self) -> None:
        """Nothing comes any more: those who wait learn of it."""
        self.lost = True
        for reply, _ in self._pending.values():
            if not reply.done():
                reply.set_exception(ConnectionLostError())
                reply.exception()  # whoever waited may have given up: that's no error

    async def _read(self) -> None:
        try:
            while True:
                message = await self._ws.receive()
                if message.type is not WSMsgType.TEXT:
                    break
                if not self.lost:
                    self._on_frame(decode(message.data))
            if self._ws.close_code in _FATAL:
                self.fatal = ServerUnusableError(
                    f"The server closed the connection with {self._ws.close_code}: {message.extra}"
                )
        except msgspec.MsgspecError as error:
            self.fatal = ServerUnusableError(f"The server sent what is no frame: {error}")
        finally:
            self._end()

    def _on_frame(self, frame: Frame) -> None:
        if frame.id is None:
            if frame.type == "goodbye":
                self.retry_after_s = frame.retry_after_s
            self._on_push(frame)
            return
        reply, on_ok = self._pending.get(frame.id, (None, None))
        if reply is None or on_ok is None or reply.done():
            return
        if frame.type != "error":
            on_ok(frame)
        reply.set_result(frame)

    async def _beat(self, every_s: float) -> None:
        """Show that we are alive."""
        with suppress(ConnectionLostError):
            while not self.lost:
                await asyncio.sleep(every_s)
                await self.request("ping", {})


async def open_connection(
    session: aiohttp.ClientSession,
    url: str,
    client: str,
    token: str,
    on_push: Callable[[Frame], None],
) -> Connection:
    """Connect and say hello.

    Raises ConnectionLostError where trying again may help, ServerUnusableError where it won't.
    """
    try:
        ws = await session.ws_connect(
            url,
            protocols=(SUBPROTOCOL,),
            max_msg_size=FRAME_BYTES_MAX,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
        )
    except aiohttp.WSServerHandshakeError as error:
        if error.status >= 500 or error.status == 429:
            raise ConnectionLostError from error
        raise ServerUnusableError(
            f"{url} answers {error.status} and opens no socket: {error.message}"
        ) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ConnectionLostError(f"{url}: {error}") from error
    connection = Connection(ws, on_push)
    try:
        await connection.hello(client, token)
    except RefusedError as error:
        await connection.close()
        if error.temporary:
            raise ConnectionLostError from error
        raise ServerUnusableError(
            f"{url} refuses us: {error} The members of a replay are accounts in the stores that"
            " this command's settings name; run it with the settings of that server."
        ) from error
    except ConnectionLostError:
        await connection.close()
        if connection.fatal is not None:
            raise connection.fatal from None
        raise
    return connection
