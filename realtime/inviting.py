"""Invitations over the socket: who may make them, and what accepting one does to the cart.

Accepting lets the addressee in by an op in the name of who invited. Its op_id is made from the
invitation: however often it is tried, and wherever it stopped, it has one effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commerce.accounts.errors import AccountsError, NotSignedInError
from commerce.accounts.policy import CART_RANK
from commerce.invitations import errors as refusals
from commerce.invitations.service import Inviting
from realtime import wire
from realtime.acting import deed_id, perform
from realtime.errors import CartroomError
from realtime.messages import CartInvitations, CartInvite, CartUninvite
from realtime.ops import Admit
from realtime.state import CartState
from storage.invitations import Invitation
from storage.times import rfc3339

if TYPE_CHECKING:
    from realtime.hub import Hub
    from realtime.lane import Lane
    from realtime.room import Room


REFUSALS = (refusals.InvitationError, AccountsError)


def refused(error: refusals.InvitationError | AccountsError) -> CartroomError:
    """The refusal as it goes onto the wire."""
    message = str(error)
    match error:
        case NotSignedInError():
            return CartroomError("unauthorized", f"{message}.")
        case AccountsError():
            return CartroomError("forbidden", f"{message}.")
        case refusals.NotAnAddressError():
            return CartroomError("bad_request", message)
        case refusals.TooManyInvitationsError():
            return CartroomError("limit_exceeded", message)
        case refusals.TooFastError():
            return CartroomError(
                "rate_limited", message, retry_after_s=round(error.retry_after_s, 3)
            )
        case _:
            return CartroomError("not_found", message)


def _book(hub: Hub) -> Inviting:
    inviting = hub.services.inviting
    if inviting is None:
        raise CartroomError("unavailable", "Nobody can be invited here.")
    return inviting


# About one cart, in its lane


async def _check_owner(lane: Lane, room: Room) -> None:
    """Raise `not_found` or `forbidden` for who doesn't own the cart, by its latest state."""
    session = lane.session
    await session.hub.ensure_fresh(room)
    role = room.check_reader(session.user)
    if role != "owner":
        raise CartroomError("forbidden", f"This needs the role owner; yours is {role}.")


async def invite(lane: Lane, room: Room, request: CartInvite) -> list[bytes]:
    await _check_owner(lane, room)
    try:
        invitation = await _book(lane.session.hub).invite(
            lane.session.user, room.cart, room.committed.name, request.email, request.role
        )
    except REFUSALS as error:
        raise refused(error) from None
    return [wire.ok(request.id, invitation=invitation.id)]


async def invitations(lane: Lane, room: Room, request: CartInvitations) -> list[bytes]:
    await _check_owner(lane, room)
    pending = await _book(lane.session.hub).pending(room.cart)
    room.check_reader(lane.session.user)
    return [wire.ok(request.id, invitations=[_row(one) for one in pending])]


def _row(invitation: Invitation) -> dict[str, Any]:
    return {
        "invitation": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "created_at": rfc3339(invitation.created_at),
        "expires_at": rfc3339(invitation.expires_at),
    }


async def uninvite(lane: Lane, room: Room, request: CartUninvite) -> list[bytes]:
    await _check_owner(lane, room)
    try:
        await _book(lane.session.hub).take_back(room.cart, request.invitation)
    except refusals.ComingInError as error:
        raise CartroomError("unavailable", str(error)) from None
    except REFUSALS as error:
        raise refused(error) from None
    return [wire.ok(request.id)]


# Accepting


async def accept(hub: Hub, user: str, token: str) -> dict[str, Any]:
    """Let `user` in by the invitation that the token opens: `{cart, role}`.

    Raises `not_found` for an invitation that isn't (for) theirs or has become void, `forbidden`
    for who has no confirmed address, and what refuses the op.
    """
    book = _book(hub)
    try:
        invitation = await book.show(user, token)
        room = await hub.acquire(invitation.cart)
        try:
            await hub.ensure_fresh(room)
            if invitation.accepted_by is None:
                if await book.begin(invitation):
                    await _come_in(hub, room, invitation, user)
                else:  # gone, or accepted on another device
                    invitation = await book.show(user, token)
            if room.committed.role(user) is None:
                await hub.look_again(room)  # that may have been on another instance
            role = room.committed.role(user)
        finally:
            hub.release(invitation.cart)
        await book.accepted(invitation, user)
        if role is None:
            raise refusals.NoInvitationError  # let in, and taken out again since
    except REFUSALS as error:
        raise refused(error) from None
    return {"cart": invitation.cart, "role": role}


async def _come_in(hub: Hub, room: Room, invitation: Invitation, user: str) -> None:
    """Give the user the role, by an invitation that nobody takes back meanwhile.

    Raises NoInvitationError for one that is void, and what refuses the op.
    """
    book = _book(hub)
    try:
        entered = await _enter(hub, room, invitation, user)
    except CartroomError as error:
        if not error.temporary:  # else it may take effect yet
            await book.give_up(invitation)
        raise
    if not entered:
        await book.void(invitation)
        raise refusals.NoInvitationError


async def _enter(hub: Hub, room: Room, invitation: Invitation, user: str) -> bool:
    """Give the user the role. False when the invitation is void: the inviter owns no cart here."""
    if _has_role(room.committed, user, invitation.role):
        return True
    if not _is_owner(room.committed, invitation.by):
        await hub.look_again(room)
        if not _is_owner(room.committed, invitation.by):
            return False
    try:
        await perform(
            hub,
            room.cart,
            user=invitation.by,
            op_id=deed_id("invitation", invitation.id, invitation.hash, user),
            op=Admit(user=user, role="editor" if invitation.role == "editor" else "viewer"),
        )
    except CartroomError as error:
        if _has_role(room.committed, user, invitation.role):
            return True
        if error.code in ("not_found", "forbidden"):
            return False
        raise
    return True


def _is_owner(state: CartState, user: str) -> bool:
    return state.status != "deleted" and state.role(user) == "owner"


def _has_role(state: CartState, user: str, role: str) -> bool:
    held = state.role(user)
    return state.status != "deleted" and held is not None and CART_RANK[held] >= CART_RANK[role]
