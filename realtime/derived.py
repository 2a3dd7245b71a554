"""What is derived from a cart's log, beside its state."""

from __future__ import annotations

from collections.abc import Iterable

from realtime.reducer import MEMBERSHIP_KINDS, Entry
from realtime.state import CartState
from storage.memberships import Membership


def memberships_changed(
    entries: Iterable[Entry], after: CartState, members: Iterable[str]
) -> list[Membership]:
    """The membership documents that these entries make out of date, in the order to write them in.

    Who is out comes last. Whoever completes a merge or a deletion after a crash looks for carts
    that the user is still in: those whose documents were not all written must be among them.
    `members` are those before the entries, `after` is the state that they lead to.
    """
    revs: dict[str, int] = {}
    for entry in entries:
        effect = entry.op
        if effect["kind"] not in MEMBERSHIP_KINDS:
            continue
        match effect["kind"]:
            case "create":
                revs[entry.by] = entry.rev
            case "share":
                revs.update((grant["user"], entry.rev) for grant in effect["users"])
            case "unshare":
                revs[effect["user"]] = entry.rev
            case "delete":
                revs = dict.fromkeys([*members, *revs], entry.rev)
            case "merge":
                revs.update(dict.fromkeys((effect["user"], effect["into"]), entry.rev))
            case "depart":
                named = (effect["user"], effect.get("successor"))
                revs.update((user, entry.rev) for user in named if user is not None)
    changed = [Membership(user, after.cart, after.role(user), rev) for user, rev in revs.items()]
    return sorted(changed, key=lambda one: one.role is None)


def users_named(entries: Iterable[Entry]) -> set[str]:
    """The users whose names these entries' effects are told with: see `wire.with_names`."""
    users: set[str] = set()
    for entry in entries:
        if entry.op["kind"] == "share":
            users.update(grant["user"] for grant in entry.op["users"])
        elif entry.op["kind"] == "merge":
            users.add(entry.op["into"])
    return users


def users_gone(entries: Iterable[Entry]) -> set[str]:
    """The users who after these entries are nobody any more, here or elsewhere."""
    return {entry.op["user"] for entry in entries if entry.op["kind"] in ("merge", "depart")}
