"""Requests as clients send them: one frozen struct a type, unknown keys refused.

`decode` turns a frame into one of them, or raises a `BadMessage` that says what was wrong and
carries the request's id where that could be read.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from commerce.accounts.policy import Action
from realtime.errors import CartroomError
from realtime.limits import (
    EMAIL_MAX,
    HISTORY_DEFAULT,
    HISTORY_MAX,
    ID_MAX,
    N_MAX,
    NOTIFICATIONS_PAGE,
    NOTIFICATIONS_PAGE_MAX,
    REQUEST_ID_MAX,
)
from realtime.ops import AnyOp, Currency, Name

_UUID: Final = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

RequestId = (
    Annotated[int, Meta(ge=-(2**53), le=2**53)] | Annotated[str, Meta(max_length=REQUEST_ID_MAX)]
)
CartId = Annotated[str, Meta(min_length=1, max_length=ID_MAX)]
# `\\Z` and not `$`, which would let a line feed follow.
ClientId = Annotated[str, Meta(pattern=rf"^{_UUID}\Z")]
OpId = Annotated[str, Meta(pattern=rf"^{_UUID}:[1-9][0-9]{{0,15}}\Z")]
Token = Annotated[str, Meta(max_length=4_096)]
Email = Annotated[str, Meta(min_length=3, max_length=EMAIL_MAX)]
Rev = Annotated[int, Meta(ge=0, le=N_MAX)]
Scalar = (
    Annotated[str, Meta(max_length=1_024)]
    | Annotated[int, Meta(ge=-N_MAX, le=N_MAX)]
    | float
    | bool
    | None
)


class Request(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """Base of all requests."""

    id: RequestId


class Hello(Request, frozen=True, tag="hello"):
    client: ClientId
    token: Token | None = None


class Ping(Request, frozen=True, tag="ping"):
    pass


class AuthRenew(Request, frozen=True, tag="auth.renew"):
    token: Token | None = None


class CartCreate(Request, frozen=True, tag="cart.create"):
    name: Name | None = None
    currency: Currency | None = None
    op_id: OpId | None = None


class CartList(Request, frozen=True, tag="cart.list"):
    cursor: Annotated[str, Meta(max_length=200)] | None = None


class CartJoin(Request, frozen=True, tag="cart.join"):
    cart: CartId
    rev: Rev | None = None


class CartLeave(Request, frozen=True, tag="cart.leave"):
    cart: CartId


class CartOp(Request, frozen=True, tag="cart.op"):
    cart: CartId
    op_id: OpId
    op: AnyOp


class CartHistory(Request, frozen=True, tag="cart.history"):
    cart: CartId
    before: Annotated[int, Meta(ge=1, le=N_MAX)] | None = None
    limit: Annotated[int, Meta(ge=1, le=HISTORY_MAX)] | None = HISTORY_DEFAULT


class CartMute(Request, frozen=True, tag="cart.mute"):
    cart: CartId
    muted: bool


class CartInvite(Request, frozen=True, tag="cart.invite"):
    cart: CartId
    email: Email
    role: Literal["viewer", "editor"]


class CartInvitations(Request, frozen=True, tag="cart.invitations"):
    cart: CartId


class CartUninvite(Request, frozen=True, tag="cart.uninvite"):
    cart: CartId
    invitation: Annotated[str, Meta(min_length=1, max_length=ID_MAX)]


class InvitationAccept(Request, frozen=True, tag="invitation.accept"):
    token: Annotated[str, Meta(max_length=200)]


class PresenceSet(Request, frozen=True, tag="presence.set"):
    cart: CartId
    data: dict[Annotated[str, Meta(max_length=64)], Scalar]


class NotificationsList(Request, frozen=True, tag="notifications.list"):
    limit: Annotated[int, Meta(ge=1, le=NOTIFICATIONS_PAGE_MAX)] | None = NOTIFICATIONS_PAGE
    cursor: Annotated[str, Meta(max_length=200)] | None = None


class NotificationsRead(Request, frozen=True, tag="notifications.read"):
    ids: Annotated[tuple[CartId, ...], Meta(max_length=NOTIFICATIONS_PAGE_MAX)] | None = None


AnyRequest = (
    Hello
    | Ping
    | AuthRenew
    | CartCreate
    | CartList
    | CartJoin
    | CartLeave
    | CartOp
    | CartHistory
    | CartMute
    | CartInvite
    | CartInvitations
    | CartUninvite
    | InvitationAccept
    | PresenceSet
    | NotificationsList
    | NotificationsRead
)

REQUEST_TYPES: Final[tuple[type[Request], ...]] = get_args(AnyRequest)

ACTIONS: Final[dict[type[Request], Action]] = {
    Hello: Action.CONNECT,
    Ping: Action.CONNECT,
    AuthRenew: Action.CONNECT,
    CartCreate: Action.SHOP,
    CartList: Action.SHOP,
    CartJoin: Action.SHOP,
    CartLeave: Action.SHOP,
    CartOp: Action.SHOP,
    CartHistory: Action.SHOP,
    CartMute: Action.SHOP,
    CartInvite: Action.INVITE,
    CartInvitations: Action.INVITE,
    CartUninvite: Action.INVITE,
    InvitationAccept: Action.INVITE,
    PresenceSet: Action.SHOP,
    NotificationsList: Action.SHOP,
    NotificationsRead: Action.SHOP,
}
"""What the policy is asked about each. What a cart's own roles say comes on top."""

_SMALL_OP_ID: Final = 36 + 1 + 15
"""Characters of an op_id whose number has 15 digits, which is below 2^53 in any case."""

_decoder: Final[msgspec.json.Decoder[AnyRequest]] = msgspec.json.Decoder(AnyRequest)


class _Envelope(msgspec.Struct):
    id: RequestId | None = None


_envelope: Final = msgspec.json.Decoder(_Envelope)


class BadMessage(CartroomError):  # noqa: N818 - it is a reply, like its base
    """A frame that is no request of ours. `request_id` is None where it couldn't be read."""

    def __init__(self, request_id: Any, message: str) -> None:
        super().__init__("bad_request", message)
        self.request_id = request_id


def decode(frame: str | bytes) -> AnyRequest:
    """Read a request. Raises BadMessage."""
    try:
        request = _decoder.decode(frame)
    except RecursionError:
        raise BadMessage(None, "The message is nested too deeply.") from None
    except msgspec.ValidationError as error:
        raise BadMessage(_request_id(frame), f"{error}.") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        request_id = _lenient_id(frame)
        hint = "" if request_id is None else ", or has half a character (a lone surrogate)"
        raise BadMessage(request_id, f"This is not JSON{hint}: {error}.") from None
    if isinstance(request, (CartOp, CartCreate)) and len(request.op_id or "") > _SMALL_OP_ID:
        split_op_id(request.op_id or "", request.id)
    return request


def _request_id(frame: str | bytes) -> Any:
    try:
        return _envelope.decode(frame).id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _lenient_id(frame: str | bytes) -> Any:
    """The id of what others take for JSON and we don't.

    Clients cut texts in the middle of a character. Without the id theirs would wait for ever.
    """
    try:
        request_id = msgspec.convert(json.loads(frame), _Envelope).id
        msgspec.json.encode(request_id)
    except (msgspec.ValidationError, ValueError, RecursionError):
        return None
    return request_id


def split_op_id(op_id: str, request_id: Any = None) -> tuple[str, int]:
    """The client and number of an op_id. Raises BadMessage for a number out of range."""
    client, _, number = op_id.rpartition(":")
    n = int(number)
    if n > N_MAX:
        raise BadMessage(request_id, "The number in `op_id` must be below 2^53.")
    return client, n
