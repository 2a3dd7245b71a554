"""A socket session: one connected client, from `hello` to the close.

It decodes frames, keeps the rate, and hands requests to lanes, one a cart. It is the rooms' `Peer`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol

from pymongo.errors import PyMongoError

from commerce.accounts import policy
from commerce.accounts.errors import NotAllowedError
from commerce.accounts.principal import Principal, of_service
from commerce.accounts.security import Event, note
from realtime import errors, inviting, lists, wire
from realtime.commands import cart_id
from realtime.errors import CartroomError, CloseCode
from realtime.lane import Lane
from realtime.limits import (
    BEHIND_POLL_S,
    FLOOD_REFUSALS_MAX,
    HELLO_BYTES_MAX,
    PUSH_BACKLOG_LOW_BYTES,
    PUSH_BACKLOG_MAX_BYTES,
    READ_BACKLOG_MAX_BYTES,
    READS_AT_ONCE,
)
from realtime.messages import (
    ACTIONS,
    AuthRenew,
    BadMessage,
    CartCreate,
    CartHistory,
    CartInvitations,
    CartInvite,
    CartJoin,
    CartLeave,
    CartList,
    CartMute,
    CartOp,
    CartUninvite,
    Hello,
    InvitationAccept,
    NotificationsList,
    NotificationsRead,
    Ping,
    PresenceSet,
    Request,
    decode,
)
from realtime.ports import Transport
from realtime.rates import TokenBucket

if TYPE_CHECKING:
    from realtime.hub import Hub

log = logging.getLogger(__name__)


NOBODY: Final = of_service("")


class Identify(Protocol):
    """Says who bears an access token; without one, whose browser opened the socket.

    Asks the store each time. Raises `unauthorized` for what opens no door, and PyMongoError.
    """

    async def __call__(self, token: str | None) -> Principal: ...


class Session:
    """One socket. The door calls `on_frame` for each text frame, and `on_closed` at the end."""

    def __init__(self, hub: Hub, transport: Transport, identify: Identify, conn: str) -> None:
        self.hub = hub
        self.conn = conn
        """Names this connection in the logs."""
        self.user = ""
        self.name = ""
        self.principal = NOBODY
        """Who speaks through it, by which sign-in."""
        self.client = ""
        self.roaming = True
        """The client may have left ops at another instance."""
        self.lanes: dict[str, Lane] = {}
        self.owed = 0
        """Requests without an answer yet."""
        self.under_way = 0
        """Ops that rooms have not answered yet; also when the socket is gone."""
        self.closed = False
        self.revoked = False
        self.reads = asyncio.Semaphore(READS_AT_ONCE)
        """Whoever makes an answer that may be large holds it."""
        self._ended = False
        self.clock = hub.services.clock
        self._transport = transport
        self._identify = identify
        self._opened_s = self.heard_s = self.clock.monotonic()
        """`heard_s`: when the last frame came."""
        limits = hub.services.limits
        self._bucket = TokenBucket(limits.ops_per_s, limits.ops_burst, self._opened_s)
        self._refusals = 0
        self._held: list[bytes] | None = None
        self._behind: dict[str, float] = {}
        """Carts whose pushes are skipped, and since when."""

    # From the door

    async def greet(self, frame: str) -> bool:
        """Handle the first frame, which must be a valid `hello`. False when it was not."""
        self.heard_s = self.clock.monotonic()
        try:
            request = self._read_hello(frame)
            await self._admit(request)
            welcome = await self._welcome(request)
        except BadMessage as error:
            self.send(self.error_frame(error.request_id, error))
            self.close(errors.HELLO_REQUIRED)
            return False
        except _Refused as refused:
            self.send(self.error_frame(refused.request_id, refused.error))
            self.close(refused.close)
            return False
        if self._ended:
            return False  # signed out meanwhile
        self.send(welcome)
        return True

    def _read_hello(self, frame: str) -> Hello:
        if len(frame) > HELLO_BYTES_MAX:
            raise BadMessage(None, "A `hello` is not that long.")
        request = decode(frame)
        if not isinstance(request, Hello):
            error = CartroomError("unauthorized", "Say `hello` first.")
            raise _Refused(request.id, error, errors.HELLO_REQUIRED)
        return request

    async def _admit(self, request: Hello) -> None:
        """Learn who it is."""
        try:
            principal = await self._identify(request.token)
            self.hub.sign_ins.admit(self, principal)
        except CartroomError as error:
            close = errors.TRY_LATER if error.temporary else errors.UNAUTHORIZED
            raise _Refused(request.id, error, close) from error
        except PyMongoError as error:
            raise _Refused(request.id, errors.store_silent(), errors.TRY_LATER) from error
        self.user = principal.user
        looked_up = {principal.user: principal.name}
        latest = self.hub.services.new_names.over(looked_up, self.clock.monotonic())
        self.name = latest[principal.user]
        self.client = request.client

    async def _welcome(self, request: Hello) -> bytes:
        services = self.hub.services
        self.roaming = await services.bus.greeted(self.user, self.client)
        return wire.encode(
            {
                "id": request.id,
                "type": "welcome",
                "user": {"id": self.user, "name": self.name},
                "expires_at": wire.moment(self.principal.expires_at),
                "heartbeat_s": services.timing.heartbeat_s,
                "limits": services.limits,
            }
        )

    def on_frame(self, frame: str) -> None:
        """Handle a text frame after `hello`."""
        if self._ended:
            return  # closing; nothing after that counts
        now_s = self.heard_s = self.clock.monotonic()
        wait_s = self._bucket.take(now_s)
        try:
            request = decode(frame)
        except BadMessage as error:
            self.send(self.error_frame(error.request_id, error))
            if wait_s:
                self._refuse_rate(None, wait_s)
            return
        if wait_s:
            self._refuse_rate(request, wait_s)
            return
        if self._bucket.rested:
            self._refusals = 0
        self._dispatch(request)

    def _dispatch(self, request: Request) -> None:
        services = self.hub.services
        services.metrics.requests.counts[type(request).__name__] += 1
        try:
            if self.hub.draining and not isinstance(request, Ping):
                raise CartroomError("unavailable", "This server is shutting down; reconnect.")
            if self.owed >= services.limits.in_flight:
                raise CartroomError(
                    "rate_limited", "Too many requests wait for an answer.", retry_after_s=1.0
                )
            self._check_policy(request)
            HANDLERS[type(request)](self, request)
        except Exception as error:
            self.send(self.failure_frame(request, error))

    def _check_policy(self, request: Request) -> None:
        action = ACTIONS[type(request)]
        try:
            policy.check_group(action, self.principal)
        except NotAllowedError as error:
            note(Event.REFUSED, self.user, action=action.value, group=self.principal.group)
            raise CartroomError("forbidden", f"{error}.") from None

    def _refuse_rate(self, request: Request | None, wait_s: float) -> None:
        self._refusals += 1
        if self._refusals > FLOOD_REFUSALS_MAX:
            self.close(errors.FLOOD)
            return
        if request is not None:
            error = CartroomError(
                "rate_limited",
                "You send too fast; wait.",
                retry_after_s=math.ceil(wait_s * 1_000) / 1_000,  # never 0
            )
            self.send(self.error_frame(request.id, error))

    @property
    def should_pause(self) -> bool:
        """True while the client doesn't read what we sent: read no more from it."""
        return self._transport.backlog() > READ_BACKLOG_MAX_BYTES

    async def until_read(self) -> bool:
        """Wait until the client has read most of what we sent. False when it is gone instead."""
        while self.should_pause and not self.closed:
            await self.clock.sleep(BEHIND_POLL_S)
        return not self.closed

    def on_farewell(self) -> None:
        """The client closes the connection: so it was there to the end."""
        self.heard_s = self.clock.monotonic()

    def on_closed(self) -> None:
        """The socket is gone."""
        self.closed = True
        for lane in list(self.lanes.values()):
            lane.close()

    # Requests

    def _ping(self, request: Ping) -> None:
        self.send(wire.encode({"id": request.id, "type": "pong"}))

    def _hello_again(self, _request: Hello) -> None:
        raise CartroomError("bad_request", "You have said `hello` already.")

    def _auth_renew(self, request: AuthRenew) -> None:
        self.owed += 1
        self.hub.services.tasks.start(self._renew(request), f"renew {self.conn}")

    async def _renew(self, request: AuthRenew) -> None:
        """Go on under another sign-in of the same user; if that fails, under the present one."""
        try:
            principal = await self._identify(request.token)
            if principal.user != self.user:
                raise CartroomError("forbidden", "This token is somebody else's.")
            if self.closed:
                return
            self.hub.sign_ins.admit(self, principal)
            frame = wire.ok(request.id, expires_at=wire.moment(principal.expires_at))
        except Exception as error:
            frame = self.failure_frame(request, error)
        finally:
            self.owed -= 1
        self.send(frame)

    def _cart_list(self, request: CartList) -> None:
        self._answer_later(request, lists.carts_of(self.hub, self.user, request.cursor))

    def _invitation_accept(self, request: InvitationAccept) -> None:
        self._answer_later(request, inviting.accept(self.hub, self.user, request.token))

    def _notifications_list(self, request: NotificationsList) -> None:
        inboxes = self.hub.inboxes
        self._answer_later(request, inboxes.listed(self.user, request.limit, request.cursor))

    def _notifications_read(self, request: NotificationsRead) -> None:
        self._answer_later(request, self.hub.inboxes.read(self.user, request.ids))

    def _answer_later(self, request: Request, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Answer with the fields that `work` comes to. It is about no one cart."""
        self.owed += 1
        name = f"{request.__struct_config__.tag} {self.conn}"
        self.hub.services.tasks.start(self._answer(request, work), name)

    async def _answer(self, request: Request, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        try:
            frame = wire.ok(request.id, **await work)
        except Exception as error:
            frame = self.failure_frame(request, error)
        finally:
            self.owed -= 1
        self.send(frame)

    def _cart_create(self, request: CartCreate) -> None:
        self._lane(cart_id(self.user, request.op_id, self.clock.token())).submit(request)

    def _about_cart(
        self,
        request: CartJoin
        | CartLeave
        | CartOp
        | CartHistory
        | CartMute
        | CartInvite
        | CartInvitations
        | CartUninvite
        | PresenceSet,
    ) -> None:
        self._lane(request.cart).submit(request)

    def _lane(self, cart: str) -> Lane:
        lane = self.lanes.get(cart)
        if lane is None:
            lane = self.lanes[cart] = Lane(self, cart)
        return lane

    def end_lane(self, lane: Lane) -> None:
        if self.lanes.get(lane.cart) is lane:
            del self.lanes[lane.cart]
            if lane.room is not None:
                self.hub.release(lane.cart)

    # The rooms' peer

    def send(self, frame: bytes) -> None:
        if self._held is None:
            self._transport.send(frame)
        else:
            self._held.append(frame)

    def hold(self) -> None:
        self._held = []

    def release(self) -> None:
        frames, self._held = self._held, None
        if frames:
            self._transport.send(*frames)

    def error_frame(self, request_id: Any, error: CartroomError) -> bytes:
        self.hub.services.metrics.errors.labels(error.code).inc()
        return wire.error(request_id, error)

    def failure_frame(self, request: Request, error: Exception, **where: Any) -> bytes:
        """The reply to a request that raised. Text of unexpected errors goes to the log only."""
        if isinstance(error, PyMongoError):
            error = errors.store_silent()
        elif not isinstance(error, CartroomError):
            log.error("A request failed", exc_info=error, extra={"conn": self.conn, **where})
            error = errors.our_fault()
        return self.error_frame(request.id, error)

    def backlog(self) -> int:
        return self._transport.backlog()

    def fell_behind(self, cart: str) -> None:
        self._behind[cart] = self.clock.monotonic()
        self.hub.fell_behind(self)

    def gone(self, cart: str) -> None:
        lane = self.lanes.get(cart)
        if lane is not None:
            lane.left()

    # What ends it from outside

    def push(self, frame: bytes) -> None:
        """Send what is for its user, unless it doesn't read what it was sent."""
        if self._transport.backlog() <= PUSH_BACKLOG_MAX_BYTES:
            self.send(frame)

    def op_ended(self) -> None:
        """A room has answered an op."""
        self.under_way -= 1
        if self.closed and not self.under_way:
            self.hub.sign_ins.discard(self)

    def sign_out(self) -> None:
        """What it speaks for has ended; rooms have refused what waited."""
        if not self.closed:
            self.close(errors.SIGNED_OUT)
            self.on_closed()

    # Upkeep, called by the hub

    def check_time(self, now_s: float, wall_s: float) -> None:
        """Close a socket that is silent, or whose token has ended."""
        timing = self.hub.services.timing
        if not self.user:
            if now_s - self._opened_s > timing.hello_timeout_s:
                self.close(errors.HELLO_TIMEOUT)
        elif now_s - self.heard_s > 2 * timing.heartbeat_s:
            self.close(errors.HEARTBEAT_MISSED)
        elif wall_s >= self.principal.expires_at:
            self.close(errors.TOKEN_ENDED)

    def try_to_catch_up(self, now_s: float) -> bool:
        """Give a socket that reads again its fresh states. False when nothing is left to do."""
        while self._behind and not self.closed:
            cart, since_s = next(iter(self._behind.items()))
            if self._transport.backlog() > PUSH_BACKLOG_LOW_BYTES:
                if now_s - since_s > self.hub.services.timing.slow_reader_s:
                    self.close(errors.SLOW_READER)
                    self._transport.abort()
                    return False
                return True
            del self._behind[cart]
            room = self.hub.room(cart)
            if room is not None:
                room.audience.caught_up(self)
                if self in room.audience.subscriptions:
                    self.send(room.presence.frame())
        return False

    def goodbye(self, code: CloseCode, retry_after_s: float) -> None:
        """Tell the client to come back later, and close."""
        self.send(
            wire.push(
                "goodbye",
                code=code.code,
                reason=code.name,
                retry_after_s=round(retry_after_s, 3),
            )
        )
        self.close(code)

    def close(self, code: CloseCode) -> None:
        if not self._ended:
            self._ended = True
            self.hub.services.metrics.closes.labels(code.name).inc()
            log.info("Closing: %s", code.name, extra={"conn": self.conn})
            self.release()
            self._transport.close(code.code, code.name)


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, request_id: Any, error: CartroomError, close: CloseCode) -> None:
        self.request_id = request_id
        self.error = error
        self.close = close


# A new message type is a line here, and a struct and an action in `messages`.
HANDLERS: Final[dict[type[Request], Callable[[Session, Any], None]]] = {
    Hello: Session._hello_again,
    Ping: Session._ping,
    AuthRenew: Session._auth_renew,
    CartCreate: Session._cart_create,
    CartList: Session._cart_list,
    CartJoin: Session._about_cart,
    CartLeave: Session._about_cart,
    CartOp: Session._about_cart,
    CartHistory: Session._about_cart,
    CartMute: Session._about_cart,
    CartInvite: Session._about_cart,
    CartInvitations: Session._about_cart,
    CartUninvite: Session._about_cart,
    InvitationAccept: Session._invitation_accept,
    PresenceSet: Session._about_cart,
    NotificationsList: Session._notifications_list,
    NotificationsRead: Session._notifications_read,
}
