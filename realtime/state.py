"""A cart's state: what replaying its log makes, and what a snapshot stores.

Pure: no clock, no network, no store. Lines and members are immutable and shared between copies,
so copying a state costs a few dict copies, whatever the texts in it.
"""

from __future__ import annotations

import heapq
from typing import Any, Final

import msgspec

from realtime.limits import LIST_MEMBERS

FORMAT: Final = 3
"""Version of ops and snapshots. Raise it with any change of what the reducer makes of a log.

2: refusals on record (`refuse`), and since when members are in. 3: `merge` and `depart`.
"""


class Line(msgspec.Struct, frozen=True):
    """`qty` pieces of a sku for one member. `unit_price` in minor units of the cart's currency."""

    line: str
    sku: str
    name: str
    unit_price: int
    qty: int
    member: str = msgspec.field(name="for")
    note: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What makes two adds meet in one line."""
        return (self.sku, self.member)


class Member(msgspec.Struct, frozen=True):
    """A user's role, the rev that gave it, and the rev since which they are in without a break.

    `since` is 0 where a snapshot of format 1 didn't tell.
    """

    user: str
    role: str
    rev: int
    since: int = 0


class Shelf:
    """Lines in the order of their making, found by id or by (sku, member)."""

    __slots__ = ("by_key", "lines", "pieces", "pieces_by_sku", "subtotal")

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.by_key: dict[tuple[str, str], str] = {}
        self.pieces_by_sku: dict[str, int] = {}
        self.pieces = 0
        self.subtotal = 0

    def copy(self) -> Shelf:
        other = Shelf.__new__(Shelf)
        other.lines = self.lines.copy()
        other.by_key = self.by_key.copy()
        other.pieces_by_sku = self.pieces_by_sku.copy()
        other.pieces = self.pieces
        other.subtotal = self.subtotal
        return other

    def find(self, sku: str, member: str) -> Line | None:
        line = self.by_key.get((sku, member))
        return None if line is None else self.lines[line]

    def put(self, line: Line) -> None:
        """Insert `line`, or replace the one of the same id in its place."""
        old = self.lines.get(line.line)
        if old is not None:
            self._count(old, -1)
            if old.member != line.member:
                del self.by_key[old.key]
        self.lines[line.line] = line
        self.by_key[line.key] = line.line
        self._count(line, 1)

    def take(self, line: str) -> Line:
        """Remove and return a line. Raises KeyError when it isn't here."""
        taken = self.lines.pop(line)
        del self.by_key[taken.key]
        self._count(taken, -1)
        return taken

    def _count(self, line: Line, sign: int) -> None:
        self.pieces += sign * line.qty
        self.subtotal += sign * line.qty * line.unit_price
        left = self.pieces_by_sku.get(line.sku, 0) + sign * line.qty
        if left:
            self.pieces_by_sku[line.sku] = left
        else:
            self.pieces_by_sku.pop(line.sku, None)


class CartState:
    """Everything that a cart's log amounts to at `rev`. Changed only by `reducer.apply`.

    `clients` maps a user to the last number and its rev of each of its clients; `evicted` maps
    a user to the highest rev of a client that had to make room there. `forgotten` is that of users
    who are in neither any more.
    """

    __slots__ = (
        "at",
        "cart",
        "clients",
        "currency",
        "evicted",
        "forgotten",
        "members",
        "name",
        "note",
        "rev",
        "saved",
        "shelf",
        "status",
    )

    def __init__(self, cart: str) -> None:
        self.cart = cart
        self.rev = 0
        self.at = 0
        self.name = ""
        self.note = ""
        self.currency = ""
        self.status = "open"
        self.shelf = Shelf()
        self.saved = Shelf()
        self.members: dict[str, Member] = {}
        self.clients: dict[str, dict[str, tuple[int, int]]] = {}
        self.evicted: dict[str, int] = {}
        self.forgotten = 0

    @property
    def exists(self) -> bool:
        return self.rev > 0

    @property
    def line_count(self) -> int:
        return len(self.shelf.lines) + len(self.saved.lines)

    def copy(self) -> CartState:
        other = CartState.__new__(CartState)
        other.cart = self.cart
        other.rev = self.rev
        other.at = self.at
        other.name = self.name
        other.note = self.note
        other.currency = self.currency
        other.status = self.status
        other.shelf = self.shelf.copy()
        other.saved = self.saved.copy()
        other.members = self.members.copy()
        # The inner dicts are replaced, never changed: see reducer.remember_client.
        other.clients = self.clients.copy()
        other.evicted = self.evicted.copy()
        other.forgotten = self.forgotten
        return other

    def role(self, user: str) -> str | None:
        member = self.members.get(user)
        return None if member is None else member.role

    def last_n(self, user: str, client: str) -> tuple[int, int]:
        """The last number of a client and its rev; (0, 0) when none is remembered."""
        clients = self.clients.get(user)
        return (0, 0) if clients is None else clients.get(client, (0, 0))

    def evicted_rev(self, user: str) -> int:
        """Up to where the log may have ops of clients of this user that aren't remembered."""
        if user in self.clients:
            return self.evicted.get(user, 0)
        return self.evicted.get(user, self.forgotten)

    def summary(self) -> dict[str, Any]:
        """What a list of carts shows beside the name, `{rev, members, member_count, …}`.

        `members` are the first few, `{user, role}`: the owner, then who is in the longest. `total`
        is in minor units of the currency, `pieces` and it without what is saved.
        """
        first = heapq.nsmallest(
            LIST_MEMBERS,
            self.members.values(),
            key=lambda member: (member.role != "owner", member.since),
        )
        return {
            "rev": self.rev,
            "members": [{"user": member.user, "role": member.role} for member in first],
            "member_count": len(self.members),
            "pieces": self.shelf.pieces,
            "total": self.shelf.subtotal,
        }

    def headline(self) -> dict[str, Any]:
        """What a list shows of the cart: the part of the snapshot that is read for it."""
        return {
            "rev": self.rev,
            "at": self.at,
            "name": self.name,
            "currency": self.currency,
            "status": self.status,
            "line_count": self.line_count,
            "summary": self.summary(),
        }

    def to_document(self) -> dict[str, Any]:
        """The snapshot, as it is stored. `from_document` takes it back."""
        return {
            "_id": self.cart,
            "v": FORMAT,
            **self.headline(),
            "note": self.note,
            "lines": [msgspec.to_builtins(line) for line in self.shelf.lines.values()],
            "saved": [msgspec.to_builtins(line) for line in self.saved.lines.values()],
            "members": [msgspec.to_builtins(member) for member in self.members.values()],
            "clients": [
                {"user": user, "client": client, "n": n, "rev": rev}
                for user, clients in self.clients.items()
                for client, (n, rev) in clients.items()
            ],
            "evicted": [{"user": user, "rev": rev} for user, rev in self.evicted.items()],
            "forgotten": self.forgotten,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> CartState:
        """Raises NewerFormatError for a snapshot of a later version of this program."""
        check_format(document)
        state = cls(document["_id"])
        for name in ("rev", "at", "name", "note", "currency", "status"):
            setattr(state, name, document[name])
        for shelf, lines in ((state.shelf, document["lines"]), (state.saved, document["saved"])):
            for line in lines:
                shelf.put(msgspec.convert(line, Line))
        for member in document["members"]:
            state.members[member["user"]] = msgspec.convert(member, Member)
        for mark in document["clients"]:
            state.clients.setdefault(mark["user"], {})[mark["client"]] = (mark["n"], mark["rev"])
        state.evicted = {mark["user"]: mark["rev"] for mark in document["evicted"]}
        state.forgotten = document.get("forgotten", 0)  # not told in format 1
        return state


class NewerFormatError(Exception):
    """A document was written by a later version, whose reducer this one must not guess."""


def check_format(document: dict[str, Any]) -> None:
    if document["v"] > FORMAT:
        raise NewerFormatError(f"{document['_id']} has format {document['v']}, known is {FORMAT}")
