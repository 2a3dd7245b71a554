"""`cart.list`: the carts a user is in, the latest changed first."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from realtime.errors import CartroomError
from realtime.limits import CARTS_PER_USER_MAX, LIST_PAGE
from realtime.state import CartState, NewerFormatError
from realtime.wire import FORMER_MEMBER
from storage.memberships import Membership
from storage.times import rfc3339

if TYPE_CHECKING:
    from realtime.hub import Hub

PLACES_MAX = 1_000

log = logging.getLogger(__name__)

Summary = dict[str, Any]


async def carts_of(hub: Hub, user: str, cursor: str | None) -> dict[str, Any]:
    """A page of summaries: `{carts, cursor?}`. Raises `bad_request` for a cursor not of ours."""
    after = None if cursor is None else _decode_cursor(cursor)
    found = await hub.services.memberships.of_user(user, CARTS_PER_USER_MAX)
    carts = [membership.cart for membership in found]
    # Most people's carts make one page: all that it shows is read at once.
    known = await _summaries(hub, carts) if len(carts) <= LIST_PAGE else {}
    places = dict(known) if known else await _places(hub, carts)
    # A cart so new that it has no snapshot has no place in the order before it is opened.
    unknown = [cart for cart in carts if cart not in places]
    await _open_moved(hub, dict.fromkeys(unknown, 0))
    places |= await _places(hub, unknown)
    rows = [
        (place["at"], membership.cart, membership)
        for membership in found
        if (place := places.get(membership.cart)) and place["status"] != "deleted"
    ]
    rows.sort(reverse=True, key=lambda row: (row[0], row[1]))
    if after is not None:
        rows = [row for row in rows if (row[0], row[1]) < after]
    page = rows[:LIST_PAGE]
    answer: dict[str, Any] = {"carts": await _rows(hub, user, [one for _, _, one in page], known)}
    if len(rows) > LIST_PAGE:
        answer["cursor"] = _encode_cursor(page[-1][0], page[-1][1])
    return answer


async def _rows(
    hub: Hub, user: str, page: list[Membership], known: dict[str, Summary]
) -> list[dict[str, Any]]:
    carts = [membership.cart for membership in page]
    summaries = {cart: known[cart] for cart in carts if cart in known}
    summaries |= await _summaries(hub, [cart for cart in carts if cart not in known])
    moved = await _open_moved(hub, {cart: one["rev"] for cart, one in summaries.items()})
    summaries |= await _summaries(hub, moved)
    muted = await hub.inboxes.muted_by(user, carts)
    users = {one["user"] for each in summaries.values() for one in each["summary"]["members"]}
    names = await hub.services.directory.names(users)
    return [
        _row(membership, summaries[membership.cart], names, membership.cart in muted)
        for membership in page
        if membership.cart in summaries
    ]


def _row(
    membership: Membership, stored: Summary, names: Mapping[str, str], muted: bool
) -> dict[str, Any]:
    summary = stored["summary"]
    return {
        "cart": membership.cart,
        "name": stored["name"],
        "role": membership.role,
        "rev": stored["rev"],
        "updated_at": rfc3339(stored["at"]),
        "muted": muted,
        "line_count": stored["line_count"],
        "pieces": summary["pieces"],
        "total": summary["total"],
        "currency": stored["currency"],
        "member_count": summary["member_count"],
        "members": [
            {**member, "name": names.get(member["user"], FORMER_MEMBER)}
            for member in summary["members"]
        ],
    }


def _open_rooms(hub: Hub, carts: Iterable[str]) -> dict[str, CartState]:
    rooms = {cart: hub.room(cart) for cart in carts}
    return {cart: one.committed for cart, one in rooms.items() if one and one.committed.exists}


async def _places(hub: Hub, carts: list[str]) -> dict[str, Summary]:
    """What orders the list: rev, time and status, of rooms that are open here or as stored."""
    states = _open_rooms(hub, carts)
    places: dict[str, Summary] = {
        cart: {"rev": state.rev, "at": state.at, "status": state.status}
        for cart, state in states.items()
    }
    stored = [cart for cart in carts if cart not in states]
    for start in range(0, len(stored), PLACES_MAX):
        places |= await hub.services.carts.places(stored[start : start + PLACES_MAX])
    return places


async def _summaries(hub: Hub, carts: list[str]) -> dict[str, Summary]:
    """Of rooms that are open here, and of the stored snapshots of the others; one page."""
    states = _open_rooms(hub, carts)
    found = await hub.services.carts.summaries([cart for cart in carts if cart not in states])
    for cart, stored in list(found.items()):
        if stored.get("summary", {}).get("rev") != stored["rev"]:
            state = await _summarize(hub, cart)
            if state is None:
                del found[cart]
            else:
                states[cart] = state
    return found | {cart: state.headline() for cart, state in states.items()}


async def _summarize(hub: Hub, cart: str) -> CartState | None:
    """The stored state of a cart that an earlier version left without a summary: it gets one.

    None where a later version has written it since.
    """
    document = await hub.services.carts.load(cart)
    try:
        state = None if document is None else CartState.from_document(document)
    except NewerFormatError as error:
        log.warning("Not listed: %s", error, extra={"cart": cart})
        return None
    if state is not None:
        await hub.services.carts.add_summary(cart, state.summary())
    return state


async def _open_moved(hub: Hub, heads: dict[str, int]) -> list[str]:
    """Open those of the carts, given with their revs, that the log is ahead of; name them.

    A snapshot trails its cart while that is open, and after a crash until the cart is opened.
    """
    moved = sorted(await hub.services.log.moved(list(heads.items())))
    for cart in moved:
        try:
            await hub.acquire(cart)
        except CartroomError:
            continue  # one cart that can't be opened doesn't keep the others from view
        hub.release(cart)
    return moved


def _encode_cursor(at: int, cart: str) -> str:
    return base64.urlsafe_b64encode(f"{at}:{cart}".encode()).decode()


def _decode_cursor(cursor: str) -> tuple[int, str]:
    try:
        at, _, cart = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        return int(at), cart
    except (ValueError, binascii.Error, UnicodeError):
        raise CartroomError("bad_request", "`cursor` is not one that a list gave you.") from None
