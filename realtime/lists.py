"""`cart.list`: the carts a user is in, the latest changed first."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from realtime.errors import CartroomError
from realtime.limits import CARTS_PER_USER_MAX, LIST_PAGE
from realtime.wire import rfc3339
from storage.memberships import Membership

if TYPE_CHECKING:
    from realtime.hub import Hub

SUMMARIES_MAX = 1_000

Summary = dict[str, Any]


async def carts_of(hub: Hub, user: str, cursor: str | None) -> dict[str, Any]:
    """A page of summaries: `{carts, cursor?}`. Raises `bad_request` for a cursor not of ours."""
    after = None if cursor is None else _decode_cursor(cursor)
    found = await hub.services.memberships.of_user(user, CARTS_PER_USER_MAX)
    summaries = await _summaries(hub, [membership.cart for membership in found])
    # A cart so new that it has no snapshot has no place in the order before it is opened.
    unknown = [membership.cart for membership in found if membership.cart not in summaries]
    summaries = await _refresh(hub, unknown, summaries)
    rows = [
        (summary["at"], membership.cart, membership)
        for membership in found
        if (summary := summaries.get(membership.cart)) and summary["status"] != "deleted"
    ]
    rows.sort(reverse=True, key=lambda row: (row[0], row[1]))
    if after is not None:
        rows = [row for row in rows if (row[0], row[1]) < after]
    page = rows[:LIST_PAGE]
    fresh = await _refresh(hub, [cart for _, cart, _ in page], summaries)
    answer: dict[str, Any] = {
        "carts": [_row(membership, fresh[membership.cart]) for _, _, membership in page]
    }
    if len(rows) > LIST_PAGE:
        answer["cursor"] = _encode_cursor(page[-1][0], page[-1][1])
    return answer


def _row(membership: Membership, summary: Summary) -> dict[str, Any]:
    return {
        "cart": membership.cart,
        "name": summary["name"],
        "role": membership.role,
        "rev": summary["rev"],
        "updated_at": rfc3339(summary["at"]),
        "line_count": summary["line_count"],
    }


async def _summaries(hub: Hub, carts: list[str]) -> dict[str, Summary]:
    """Of the rooms that are open here, and the stored snapshots of the others."""
    summaries: dict[str, Summary] = {}
    stored: list[str] = []
    for cart in carts:
        room = hub.room(cart)
        if room is not None and room.committed.exists:
            state = room.committed
            summaries[cart] = {
                "name": state.name,
                "rev": state.rev,
                "at": state.at,
                "line_count": state.line_count,
                "status": state.status,
            }
        else:
            stored.append(cart)
    for start in range(0, len(stored), SUMMARIES_MAX):
        summaries |= await hub.services.carts.summaries(stored[start : start + SUMMARIES_MAX])
    return summaries


async def _refresh(hub: Hub, carts: list[str], summaries: dict[str, Summary]) -> dict[str, Summary]:
    """The summaries, with those of `carts` renewed that the log has left behind.

    A snapshot trails its cart while that is open, and after a crash until the cart is opened.
    """
    heads = [(cart, summaries[cart]["rev"] if cart in summaries else 0) for cart in carts]
    moved = sorted(await hub.services.log.moved(heads))
    for cart in moved:
        try:
            await hub.acquire(cart)
        except CartroomError:
            continue  # one cart that can't be opened doesn't keep the others from view
        hub.release(cart)
    return {**summaries, **await _summaries(hub, moved)}


def _encode_cursor(at: int, cart: str) -> str:
    return base64.urlsafe_b64encode(f"{at}:{cart}".encode()).decode()


def _decode_cursor(cursor: str) -> tuple[int, str]:
    try:
        at, _, cart = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        return int(at), cart
    except (ValueError, binascii.Error, UnicodeError):
        raise CartroomError("bad_request", "`cursor` is not one that a list gave you.") from None
