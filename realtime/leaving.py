"""What becomes of a cart when a user is gone for good: a guest merged, an account deleted.

Pure, like `judge`, whose part this is.
"""

from __future__ import annotations

from typing import Any

from commerce.accounts.policy import CART_RANK
from realtime.limits import NOTE_MAX, Limits
from realtime.reducer import Effect, joined_note
from realtime.state import CartState, Shelf


def merge_effect(state: CartState, user: str, into: str, limits: Limits) -> Effect:
    """`into` takes over the lines of `user`, a member, and keeps the higher role of the two.

    `lines` says what becomes of each line: it is `into`'s, or was summed into the line `into`. A
    line whose sum or whose note would be beyond the limits is not among them: it stays as it is,
    so that no piece and no word is lost.
    """
    roles = [role for role in (state.role(user), state.role(into)) if role is not None]
    lines: list[dict[str, Any]] = []
    for shelf in (state.shelf, state.saved):
        lines += _taken_over(shelf, user, into, limits)
    return {
        "kind": "merge",
        "user": user,
        "into": into,
        "role": max(roles, key=CART_RANK.__getitem__),
        "lines": lines,
    }


def _taken_over(shelf: Shelf, user: str, into: str, limits: Limits) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for line in shelf.lines.values():
        if line.member != user:
            continue
        twin = shelf.find(line.sku, into)
        if twin is None:
            lines.append({"line": line.line})
        elif twin.qty + line.qty <= limits.pieces and len(joined_note(twin, line)) <= NOTE_MAX:
            lines.append({"line": line.line, "into": twin.line})
    return lines


def depart_effect(state: CartState, user: str) -> Effect:
    """`user`, a member, leaves. Lines for them stay; an owner's role goes to a `successor`.

    That is the member with the highest role, among those the one who is in the longest. Where
    nobody is left, the cart is deleted.
    """
    others = [member for member in state.members.values() if member.user != user]
    if not others:
        return {"kind": "delete"}
    effect: Effect = {"kind": "depart", "user": user}
    if state.role(user) == "owner":
        heir = min(others, key=lambda member: (-CART_RANK[member.role], member.since))
        effect["successor"] = heir.user
    return effect
