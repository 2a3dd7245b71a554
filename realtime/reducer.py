"""The op reducer: plays entries of the log onto a cart's state. Pure and total.

An *effect* is what took effect of an op: a plain dict with a `kind`, made by `judge.judge`, which
goes as it is into the log and onto the wire. Any change of what an effect does raises
`state.FORMAT`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from realtime.limits import (
    CLIENTS_PER_USER_MAX,
    REMOVED_EVICTED_MAX,
    REMOVED_REMEMBERED_MAX,
)
from realtime.state import CartState, Line, Member, Shelf

Effect = dict[str, Any]
Results = list[dict[str, Any] | None]

MEMBERSHIP_KINDS: Final = frozenset({"create", "share", "unshare", "delete", "merge", "depart"})
"""Effects that change who is in the cart."""

REFUSE: Final = "refuse"
"""The kind of an entry that records a final refusal: it uses the op's number, and no more."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One op as the log holds it, with its rev, which the log gives by position.

    `at` is in milliseconds since the epoch. `hash` tells the content of the op as it was sent.
    """

    rev: int
    op_id: str | None
    by: str
    at: int
    op: Effect
    hash: str
    results: Results | None = None


def apply(state: CartState, entry: Entry) -> None:
    """Play `entry`, which must be the next one, onto `state`, in place."""
    if entry.rev != state.rev + 1:
        raise AssertionError(f"{state.cart}: entry {entry.rev} can't follow rev {state.rev}")
    _APPLIERS[entry.op["kind"]](state, entry)
    state.rev = entry.rev
    state.at = entry.at
    if entry.op_id is not None:
        client, _, n = entry.op_id.rpartition(":")
        remember_client(state, entry.by, client, int(n), entry.rev)


def remember_client(state: CartState, user: str, client: str, n: int, rev: int) -> None:
    """Note a client's last number; the one with the oldest rev makes room for it."""
    if user not in state.clients and state.forgotten:
        state.evicted[user] = state.evicted_rev(user)
    clients = {**state.clients.get(user, {}), client: (n, rev)}
    if len(clients) > CLIENTS_PER_USER_MAX:
        oldest = min(clients, key=lambda name: clients[name][1])
        state.evicted[user] = max(clients.pop(oldest)[1], state.evicted.get(user, 0))
    state.clients[user] = clients


def forget_removed(state: CartState) -> None:
    """Keep what is remembered of removed members within bounds; the log knows the rest."""
    remembered = {
        user: max(rev for _, rev in clients.values())
        for user, clients in state.clients.items()
        if user not in state.members
    }
    for user in sorted(remembered, key=remembered.__getitem__)[:-REMOVED_REMEMBERED_MAX]:
        del state.clients[user]
        state.evicted[user] = max(remembered[user], state.evicted.get(user, 0))
    evicted = [
        user for user in state.evicted if user not in state.members and user not in state.clients
    ]
    evicted.sort(key=state.evicted.__getitem__)
    for user in evicted[:-REMOVED_EVICTED_MAX]:
        state.forgotten = max(state.forgotten, state.evicted.pop(user))


def _apply_refuse(_state: CartState, _entry: Entry) -> None:
    """Nothing took effect."""


def _apply_create(state: CartState, entry: Entry) -> None:
    state.name = entry.op["name"]
    state.currency = entry.op["currency"]
    state.members[entry.by] = Member(entry.by, "owner", entry.rev, entry.rev)


def _apply_add(state: CartState, entry: Entry) -> None:
    for item in entry.op["items"]:
        old = state.shelf.lines.get(item["line"])
        state.shelf.put(
            Line(
                line=item["line"],
                sku=item["sku"],
                name=item["name"],
                unit_price=item["unit_price"],
                qty=item["qty"] + (old.qty if old else 0),
                member=item["for"],
                note=old.note if old else "",
            )
        )


def _apply_change_quantity(state: CartState, entry: Entry) -> None:
    line = state.shelf.lines[entry.op["line"]]
    state.shelf.put(msgspec.structs.replace(line, qty=line.qty + entry.op["by"]))


def _apply_set_quantity(state: CartState, entry: Entry) -> None:
    line = state.shelf.lines[entry.op["line"]]
    state.shelf.put(msgspec.structs.replace(line, qty=entry.op["qty"]))


def _apply_remove(state: CartState, entry: Entry) -> None:
    shelf = state.shelf if entry.op["line"] in state.shelf.lines else state.saved
    shelf.take(entry.op["line"])


def _apply_clear(state: CartState, _entry: Entry) -> None:
    state.shelf = Shelf()


def _apply_rename(state: CartState, entry: Entry) -> None:
    state.name = entry.op["name"]


def _apply_note(state: CartState, entry: Entry) -> None:
    line = entry.op.get("line")
    if line is None:
        state.note = entry.op["text"]
        return
    shelf = state.shelf if line in state.shelf.lines else state.saved
    shelf.put(msgspec.structs.replace(shelf.lines[line], note=entry.op["text"]))


def _apply_save_for_later(state: CartState, entry: Entry) -> None:
    _apply_move(state.shelf, state.saved, entry.op)


def _apply_move_to_cart(state: CartState, entry: Entry) -> None:
    _apply_move(state.saved, state.shelf, entry.op)


def _apply_move(source: Shelf, target: Shelf, effect: Effect) -> None:
    if effect["line"] not in source.lines:
        return  # it was there already: an op without effect
    line = source.take(effect["line"])
    into = effect.get("into")
    if into is None:
        target.put(line)
        return
    twin = target.lines[into]
    target.put(msgspec.structs.replace(twin, qty=twin.qty + line.qty, note=twin.note or line.note))


def _apply_share(state: CartState, entry: Entry) -> None:
    for grant in entry.op["users"]:
        user = grant["user"]
        before = state.members.get(user)
        since = entry.rev if before is None else before.since
        state.members[user] = Member(user, grant["role"], entry.rev, since)


def _apply_unshare(state: CartState, entry: Entry) -> None:
    del state.members[entry.op["user"]]
    forget_removed(state)


def _apply_merge(state: CartState, entry: Entry) -> None:
    effect = entry.op
    user, into = effect["user"], effect["into"]
    for moved in effect["lines"]:
        shelf = state.shelf if moved["line"] in state.shelf.lines else state.saved
        if "into" not in moved:
            shelf.put(msgspec.structs.replace(shelf.lines[moved["line"]], member=into))
            continue
        line = shelf.take(moved["line"])
        twin = shelf.lines[moved["into"]]
        note = joined_note(twin, line)
        shelf.put(msgspec.structs.replace(twin, qty=twin.qty + line.qty, note=note))
    known = state.members.get(into)
    since = entry.rev if known is None else known.since
    state.members[into] = Member(into, effect["role"], entry.rev, since)
    del state.members[user]
    forget_removed(state)


def joined_note(line: Line, merged: Line) -> str:
    """The note of a line that another is merged into: both, each once."""
    return "\n".join(dict.fromkeys(note for note in (line.note, merged.note) if note))


def _apply_depart(state: CartState, entry: Entry) -> None:
    successor = entry.op.get("successor")
    if successor is not None:
        since = state.members[successor].since
        state.members[successor] = Member(successor, "owner", entry.rev, since)
    del state.members[entry.op["user"]]
    forget_removed(state)


def _apply_delete(state: CartState, _entry: Entry) -> None:
    state.status = "deleted"
    state.members = {}


_APPLIERS: dict[str, Callable[[CartState, Entry], None]] = {
    "create": _apply_create,
    "add": _apply_add,
    "change_quantity": _apply_change_quantity,
    "set_quantity": _apply_set_quantity,
    "remove": _apply_remove,
    "clear": _apply_clear,
    "rename": _apply_rename,
    "note": _apply_note,
    "save_for_later": _apply_save_for_later,
    "move_to_cart": _apply_move_to_cart,
    "share": _apply_share,
    "unshare": _apply_unshare,
    "delete": _apply_delete,
    "merge": _apply_merge,
    "depart": _apply_depart,
    REFUSE: _apply_refuse,
}
