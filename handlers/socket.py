"""`GET /ws`: the upgrade, and the pump between a WebSocket and its session."""

from __future__ import annotations

import asyncio
import logging
import struct
from functools import partial
from typing import Any, Final

from aiohttp import WSMsgType, web

from commerce.accounts.errors import InvalidTokenError
from commerce.accounts.principal import Principal
from commerce.limits import rules
from handlers import keys
from handlers.limiting import take_or_refuse
from handlers.origins import check_origin
from handlers.requests import browser_principal
from realtime import errors
from realtime.errors import CartroomError
from realtime.session import Session

SUBPROTOCOL: Final = "cartroom.v1"
CLOSE_TIMEOUT_S: Final = 3.0
PAUSE_POLL_S: Final = 0.05
CLIENT_WENT_AWAY: Final = 499

_ENDS: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)

# First bytes of unfragmented frames.
_TEXT: Final = 0x81
_CLOSE: Final = 0x88

_COUNTED: Final = web.RequestKey("counted", bool)
"""The socket has been counted to its account."""

log = logging.getLogger(__name__)


async def upgrade(request: web.Request) -> web.StreamResponse:
    """Check where the request comes from, and turn it into a socket session."""
    check_origin(request)
    _check_subprotocol(request)
    hub = request.app[keys.HUB]
    if hub.draining:
        raise CartroomError("unavailable", "This server is shutting down; reconnect.")
    limits = hub.services.limits
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        timeout=CLOSE_TIMEOUT_S,
        # Who closes first decides how: see `SocketTransport.close`.
        autoclose=False,
        # Compression halves throughput and takes six times the memory a socket.
        compress=False,
        # aiohttp refuses what reaches its number; ours is the largest that passes.
        max_msg_size=limits.frame_bytes + 1,
    )
    try:
        await socket.prepare(request)
        transport = SocketTransport(request)
    except ConnectionError:
        return web.Response(status=CLIENT_WENT_AWAY)  # for the log; nobody reads it
    conn = hub.services.clock.token()[:12]
    session = Session(hub, transport, partial(_identify, request), conn)
    hub.add_session(session)
    log.info("Socket opened", extra={"conn": session.conn})
    try:
        await _pump(socket, session)
    finally:
        transport.finish()
        session.on_closed()
        hub.remove_session(session)
        log.info("Socket closed", extra={"conn": session.conn, "code": socket.close_code})
    return socket


async def _identify(request: web.Request, token: str | None) -> Principal:
    """As `realtime.session.Identify` says. `request` is the one that opened the socket."""
    if token is None:
        principal = await browser_principal(request)
        if principal is None:
            raise CartroomError("unauthorized", "Send an access token, or sign in by the page.")
    else:
        try:
            principal = await request.app[keys.SESSIONS].identify_token(token)
        except InvalidTokenError as error:
            raise CartroomError("unauthorized", f"{error}.") from error
    if _COUNTED not in request:  # else it renews its token
        request[_COUNTED] = True
        await take_or_refuse(request.app[keys.LIMITS], rules.ACCOUNT_SOCKETS, principal.user)
    return principal


async def _pump(socket: web.WebSocketResponse, session: Session) -> None:
    """Hand the session each frame, until the socket ends."""
    greeted = False
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.TEXT:
            if greeted:
                session.on_frame(message.data)
            else:
                greeted = await session.greet(message.data)
                if not greeted:
                    break
        elif message.type in _ENDS:
            if message.type is WSMsgType.CLOSE:
                session.on_farewell()
            return
        elif message.type is WSMsgType.BINARY:
            session.close(errors.UNSUPPORTED_DATA)
            break
        while session.should_pause and not socket.closed:  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(PAUSE_POLL_S)
    await _finish(socket)


async def _finish(socket: web.WebSocketResponse) -> None:
    """Read on until the closing handshake is over; what still comes in is of no use."""
    async for _ in socket:
        pass


class SocketTransport:
    """A session's connection. Frames are written whole and at once; nobody waits for them.

    A server's frames are unmasked and we send no compressed ones, so a text frame is a short head
    and its payload (RFC 6455, section 5.2). Writing it to the transport ourselves spares a
    coroutine a frame, and a wait that only the slow reader should have. aiohttp writes its own
    frames (pong, the answer to a close) whole to the same transport.
    """

    def __init__(self, request: web.Request) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("The client went away during the upgrade")
        self._transport: Any = transport
        self._closing: asyncio.TimerHandle | None = None

    def send(self, *frames: bytes) -> None:
        if self._closing is not None or self._transport.is_closing():
            return
        if len(frames) == 1:
            self._transport.write(_text(frames[0]))
        else:
            self._transport.write(b"".join([_text(frame) for frame in frames]))

    def backlog(self) -> int:
        return self._transport.get_write_buffer_size()  # type: ignore[no-any-return]

    def close(self, code: int, reason: str) -> None:
        """Send a close frame; whoever reads the socket goes on until the peer has answered it.

        Closed at once, TCP would answer what the peer is still sending with a reset, and that
        would take our code along.
        """
        if self._closing is None:
            payload = struct.pack("!H", code) + reason.encode()
            if not self._transport.is_closing():
                self._transport.write(_head(_CLOSE, len(payload)) + payload)
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(CLOSE_TIMEOUT_S, self.abort)

    def finish(self) -> None:
        """Nobody reads the socket any more. A close of ours needs no answer of aiohttp's."""
        if self._closing is not None:
            self._closing.cancel()
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class _Text:
    """The text frame made last. A push goes to one socket after the other; it is made once."""

    payload = b""
    framed = b""


def _text(payload: bytes) -> bytes:
    if payload is not _Text.payload:
        _Text.payload = payload
        _Text.framed = _head(_TEXT, len(payload)) + payload
    return _Text.framed


def _head(kind: int, length: int) -> bytes:
    if length < 126:
        return bytes((kind, length))
    if length < 65_536:
        return struct.pack("!BBH", kind, 126, length)
    return struct.pack("!BBQ", kind, 127, length)


def _check_subprotocol(request: web.Request) -> None:
    """A client that names subprotocols must name ours; one that names none speaks ours."""
    offered = request.headers.get("Sec-WebSocket-Protocol")
    if offered is None:
        return
    if SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
        raise CartroomError("bad_request", f"This server speaks the subprotocol {SUBPROTOCOL}.")
