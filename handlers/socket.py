"""`GET /ws`: the upgrade, and the pump between a WebSocket and its session."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from commerce.accounts.service import InvalidTokenError
from handlers import keys
from realtime import errors
from realtime.errors import CartroomError
from realtime.session import Identity, Session
from realtime.tasks import Tasks

SUBPROTOCOL: Final = "cartroom.v1"
CLOSE_TIMEOUT_S: Final = 3.0
PAUSE_POLL_S: Final = 0.05

log = logging.getLogger(__name__)


async def upgrade(request: web.Request) -> web.StreamResponse:
    """Check where the request comes from, and turn it into a socket session."""
    _check_origin(request)
    _check_subprotocol(request)
    hub = request.app[keys.HUB]
    if hub.draining:
        raise CartroomError("unavailable", "This server is shutting down; reconnect.")
    limits = hub.services.limits
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        timeout=CLOSE_TIMEOUT_S,
        # Compression halves throughput and takes six times the memory a socket.
        compress=False,
        # aiohttp refuses what reaches its number; ours is the largest that passes.
        max_msg_size=limits.frame_bytes + 1,
    )
    await socket.prepare(request)
    transport = SocketTransport(request, socket, hub.services.tasks)
    accounts = request.app[keys.ACCOUNTS]

    def authenticate(token: str) -> Identity:
        try:
            claims = accounts.authenticate(token)
        except InvalidTokenError as error:
            raise CartroomError("unauthorized", f"{error}.") from error
        return Identity(claims.user, claims.expires_at)

    session = Session(hub, transport, authenticate, hub.services.clock.token()[:12])
    hub.add_session(session)
    log.info("Socket opened", extra={"conn": session.conn})
    try:
        await _pump(socket, session)
    finally:
        session.on_closed()
        hub.remove_session(session)
        log.info("Socket closed", extra={"conn": session.conn, "code": socket.close_code})
    return socket


async def _pump(socket: web.WebSocketResponse, session: Session) -> None:
    """Hand the session each frame, until the socket ends."""
    greeted = False
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            if greeted:
                session.on_frame(message.data)
            else:
                greeted = await session.greet(message.data)
                if not greeted:
                    break
        elif message.type is WSMsgType.BINARY:
            session.close(errors.UNSUPPORTED_DATA)
        while session.should_pause and not socket.closed:  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(PAUSE_POLL_S)
    await _finish(socket)


async def _finish(socket: web.WebSocketResponse) -> None:
    """Read on until the closing handshake is over; what still comes in is of no use."""
    if not socket.closed:
        async for _ in socket:
            pass


class SocketTransport:
    """A session's connection. Frames are written whole and at once; nobody waits for them.

    A server's frames are unmasked and we send no compressed ones, so a text frame is a short head
    and its payload (RFC 6455, section 5.2). Writing it to the transport ourselves spares a
    coroutine a frame, and a wait that only the slow reader should have. aiohttp writes its own
    frames (pong, close) whole to the same transport.
    """

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, tasks: Tasks) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("The client went away during the upgrade")
        self._transport: Any = transport
        self._socket = socket
        self._tasks = tasks
        self._closing = False

    def send(self, frame: bytes) -> None:
        if self._closing or self._transport.is_closing():
            return
        self._transport.write(_text_frame_head(len(frame)) + frame)

    def backlog(self) -> int:
        return self._transport.get_write_buffer_size()  # type: ignore[no-any-return]

    def close(self, code: int, reason: str) -> None:
        if not self._closing:
            self._closing = True
            self._tasks.start(self._close(code, reason), "close socket")

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._socket.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionError):
            self.abort()

    def abort(self) -> None:
        self._transport.abort()


def _text_frame_head(length: int) -> bytes:
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return struct.pack("!BBH", 0x81, 126, length)
    return struct.pack("!BBQ", 0x81, 127, length)


def _check_origin(request: web.Request) -> None:
    """Refuse browsers that show somebody else's page. Other clients send no Origin."""
    origin = request.headers.get("Origin")
    if origin is None or origin.lower() in request.app[keys.ALLOWED_ORIGINS]:
        return
    if urlsplit(origin).netloc.lower() == request.host.lower():
        return
    raise CartroomError(
        "forbidden", "Pages of this origin may not connect; see CARTROOM_ALLOWED_ORIGINS."
    )


def _check_subprotocol(request: web.Request) -> None:
    """A client that names subprotocols must name ours; one that names none speaks ours."""
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered is None:
        return
    if SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
        raise CartroomError("bad_request", f"This server speaks the subprotocol {SUBPROTOCOL}.")
