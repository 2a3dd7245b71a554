"""The cases: an op on a cart of the world, or a refusal that is put on record there.

Each kind has its plain successes, what is peculiar about it, and each refusal that it can meet.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from realtime.errors import CartroomError
from realtime.limits import ID_MAX, NAME_MAX, NOTE_MAX, SKU_MAX, Limits
from realtime.reducer import REFUSE
from realtime.state import CartState
from tests.vectors.world import (
    CARTS,
    EDITOR,
    GUEST,
    LIMITS,
    NO_PRODUCT,
    NOBODY,
    OUTSIDER,
    OWNER,
    VIEWER,
)


@dataclass(frozen=True, eq=False)
class Case:
    """`op` by `user`, in JSON, as a client sends it or as the service makes it, on `state`.

    States are shared: they aren't to be changed.
    """

    name: str
    state: CartState
    user: str
    op: dict[str, Any] | None = None
    by_service: bool = False
    refusal: CartroomError | None = None
    limits: Limits = LIMITS

    @property
    def kind(self) -> str:
        return REFUSE if self.op is None else str(self.op.get("kind"))


@functools.cache
def _cart(name: str) -> CartState:
    return CARTS[name]()


def _by(user: str, on: str, kind: str, cases: dict[str, dict[str, Any]]) -> Iterator[Case]:
    for name, fields in cases.items():
        yield Case(name, _cart(on), user, {"kind": kind, **fields})


def _made(on: str, kind: str, cases: dict[str, dict[str, Any]]) -> Iterator[Case]:
    for name, fields in cases.items():
        user = fields.get("into") or fields.get("user") or OWNER
        by = OWNER if kind == "admit" else user
        yield Case(name, _cart(on), by, {"kind": kind, **fields}, by_service=True)


def _who_may_not(kind: str, fields: dict[str, Any], *, editors: bool = True) -> Iterator[Case]:
    """Those whom each kind refuses, whatever it is about."""
    op = {"kind": kind, **fields}
    yield Case("a viewer may not", _cart("picnic"), VIEWER, op)
    if not editors:
        yield Case("an editor may not", _cart("picnic"), EDITOR, op)
    yield Case("who is no member finds no cart", _cart("picnic"), OUTSIDER, op)
    yield Case("nobody finds a deleted cart", _cart("deleted"), OWNER, op)
    yield Case(
        "a field that the kind doesn't have", _cart("picnic"), OWNER, {**op, "colour": "red"}
    )
    yield Case(
        "its form is looked at before who asks", _cart("deleted"), NOBODY, {**op, "colour": 1}
    )


def _item(sku: str, qty: Any, **more: Any) -> dict[str, Any]:
    return {"sku": sku, "qty": qty, **more}


def _add() -> Iterator[Case]:
    mixed = [_item("PLUM", 2), _item(NO_PRODUCT, 1), _item("NUT", 1), _item("APPLE", 1)]
    yield from _who_may_not("add", {"items": [_item("PLUM", 1)]})
    yield from _by(
        EDITOR,
        "picnic",
        "add",
        {
            "a line that is there, at today's name and price": {"items": [_item("APPLE", 5)]},
            "for somebody else": {"items": [_item("BREAD", 1, **{"for": OWNER})]},
            "for nobody in particular": {"items": [_item("BREAD", 1, **{"for": None})]},
            "for a viewer": {"items": [_item("PLUM", 1, **{"for": VIEWER})]},
            "the same sku twice in one op": {
                "items": [_item("BREAD", 1), _item("BREAD", 2), _item("BREAD", 3)]
            },
            "two new lines": {"items": [_item("PLUM", 1), _item("BREAD", 2)]},
            "a new line, whatever is saved for later": {"items": [_item("PLUM", 2)]},
            "what can be had of several": {"items": mixed, "partial": True},
            "all of several that can be had": {"items": [_item("PLUM", 1)], "partial": True},
            "as many new lines as there is place for": {
                "items": [
                    _item("PLUM", 1),
                    _item("BREAD", 1),
                    _item("PLUM", 2, **{"for": OWNER}),
                    _item("PLUM", 3),
                ],
                "partial": True,
            },
            "none of several, where one fails": {"items": mixed},
            "none of several, in other words": {"items": mixed, "partial": None},
            "none of several, where all fail": {"items": mixed[1:3], "partial": True},
            "stock is that of the sku's lines together": {"items": [_item("APPLE", 6)]},
            "stock counts what the op itself adds": {
                "items": [_item("APPLE", 3), _item("APPLE", 3, **{"for": OWNER})],
                "partial": True,
            },
            "nothing is left": {"items": [_item("NUT", 1)]},
            "no such product": {"items": [_item(NO_PRODUCT, 1)]},
            "a product of another currency": {"items": [_item("CIDER", 1)]},
            "for who is no member": {"items": [_item("PLUM", 1, **{"for": OUTSIDER})]},
            "more pieces than a line holds": {"items": [_item("BREAD", 41)]},
            "more pieces than a line holds, in two items": {
                "items": [_item("BREAD", 40), _item("BREAD", 1)]
            },
            "more items than an op takes": {"items": [_item("BREAD", 1)] * 5},
            "no items": {"items": []},
            "items that are none": {"items": [3]},
            "items that are not a list": {"items": {"sku": "PLUM", "qty": 1}},
            "an item without sku": {"items": [{"qty": 1}]},
            "an empty sku": {"items": [_item("", 1)]},
            "a long sku": {"items": [_item("x" * (SKU_MAX + 1), 1)]},
            "no pieces": {"items": [_item("PLUM", 1), _item("PLUM", 0)]},
            "too many pieces for any line": {"items": [_item("PLUM", 100_001)]},
            "half a piece": {"items": [_item("PLUM", 0.5)]},
            "pieces in words": {"items": [_item("PLUM", "two")]},
            "for a number": {"items": [_item("PLUM", 1, **{"for": 3})]},
            "partial or so": {"items": [_item("PLUM", 1)], "partial": 1},
        },
    )
    yield from _by(
        GUEST,
        "full",
        "add",
        {
            "a line that is there, in a full cart": {"items": [_item("BREAD", 1)]},
            "a new line in a full cart": {"items": [_item("APPLE", 1)]},
            "a saved one's sku in a full cart": {"items": [_item("PLUM", 1)]},
        },
    )


def _quantities() -> Iterator[Case]:
    yield from _who_may_not("change_quantity", {"line": "lin_6_0", "by": 1})
    yield from _who_may_not("set_quantity", {"line": "lin_6_0", "qty": 1})
    yield from _by(
        EDITOR,
        "picnic",
        "change_quantity",
        {
            "more": {"line": "lin_6_0", "by": 5},
            "fewer": {"line": "lin_7_0", "by": -3},
            "fewer of what is sold no more": {"line": "lin_9_0", "by": -1},
            "untracked stock": {"line": "lin_8_0", "by": 39},
            "no change": {"line": "lin_6_0", "by": 0},
            "more than there is": {"line": "lin_6_0", "by": 6},
            "more of what is sold no more": {"line": "lin_9_0", "by": 1},
            "none left": {"line": "lin_6_0", "by": -3},
            "more than a line holds": {"line": "lin_8_0", "by": 40},
            "a line that isn't there": {"line": "lin_99_0", "by": 1},
            "a saved line": {"line": "lin_3_0", "by": 1},
            "no number": {"line": "lin_6_0"},
            "a number beyond any": {"line": "lin_6_0", "by": -100_001},
            "a number in words": {"line": "lin_6_0", "by": "one"},
            "a line without a name": {"line": "", "by": 1},
        },
    )
    yield from _by(
        EDITOR,
        "picnic",
        "set_quantity",
        {
            "more": {"line": "lin_6_0", "qty": 8},
            "fewer": {"line": "lin_7_0", "qty": 1},
            "as many of what is sold no more": {"line": "lin_9_0", "qty": 2},
            "untracked stock": {"line": "lin_8_0", "qty": 40},
            "more than there is": {"line": "lin_6_0", "qty": 9},
            "more of what is sold no more": {"line": "lin_9_0", "qty": 3},
            "more than a line holds": {"line": "lin_8_0", "qty": 41},
            "a line that isn't there": {"line": "lin_99_0", "qty": 1},
            "a saved line": {"line": "lin_3_0", "qty": 1},
            "none": {"line": "lin_6_0", "qty": 0},
            "a fraction": {"line": "lin_6_0", "qty": 1.5},
            "a number too large for an integer": {"line": "lin_6_0", "qty": 1e30},
            "no line": {"qty": 1},
            "true is no number": {"line": "lin_6_0", "qty": True},
        },
    )


def _lines() -> Iterator[Case]:
    for kind in ("remove", "save_for_later", "move_to_cart"):
        yield from _who_may_not(kind, {"line": "lin_6_0"})
        yield from _by(
            EDITOR,
            "picnic",
            kind,
            {
                "a line of the cart": {"line": "lin_6_0"},
                "a saved line": {"line": "lin_10_0"},
                "a line of the cart that is sold no more": {"line": "lin_9_0"},
                "a saved line that has a twin in the cart": {"line": "lin_3_0"},
                "a line of the cart that has a saved twin": {"line": "lin_8_0"},
                "a line that isn't there": {"line": "lin_99_0"},
                "no line": {},
                "a line by number": {"line": 6},
                "a long name of a line": {"line": "l" * (ID_MAX + 1)},
            },
        )
        yield from _by(
            GUEST,
            "full",
            kind,
            {
                "a line of a sku that others have saved": {"line": "lin_4_0"},
                "a saved line of a sku that others have in the cart": {"line": "lin_7_0"},
            },
        )
    yield from _by(
        OWNER, "heavy", "save_for_later", {"two lines too large for one": {"line": "lin_5_0"}}
    )
    yield from _by(
        OWNER,
        "heavy",
        "move_to_cart",
        {
            "two lines too large for one": {"line": "lin_3_0"},
            "more than there is": {"line": "lin_6_0"},
            "what is sold no more": {"line": "lin_9_0"},
        },
    )
    yield from _who_may_not("clear", {})
    yield Case("a cart with lines", _cart("picnic"), EDITOR, {"kind": "clear"})
    yield Case("an empty cart", _cart("new"), OWNER, {"kind": "clear"})


def _texts() -> Iterator[Case]:
    yield from _who_may_not("rename", {"name": "Feast"})
    yield from _by(
        EDITOR,
        "picnic",
        "rename",
        {
            "another name": {"name": "Picnic on Sunday"},
            "the same name": {"name": "Picnic"},
            "all sorts of characters": {"name": " Ünïcode 🧺\n\u2028\u0000'\"\\ "},
            "characters that take two places": {"name": "🧺" * NAME_MAX},
            "a visible one that others take for space": {"name": "\ufeff"},
            "an empty name": {"name": ""},
            "nothing visible": {"name": " \t\n\u00a0\u3000\u001c\u0085"},
            "a long name": {"name": "🧺" * (NAME_MAX + 1)},
            "half a character": {"name": "cut \ud83e"},
            "no name": {},
            "a name that is null": {"name": None},
        },
    )
    yield from _who_may_not("note", {"text": "soon"})
    yield from _by(
        EDITOR,
        "picnic",
        "note",
        {
            "the cart's": {"text": "bring cups\nand plates"},
            "the cart's, in other words": {"text": "bring cups", "line": None},
            "a line's": {"text": "red ones", "line": "lin_6_0"},
            "a saved line's": {"text": "thick slices", "line": "lin_3_0"},
            "a line's taken away": {"text": "", "line": "lin_10_0"},
            "a long one": {"text": "x" * NOTE_MAX, "line": "lin_6_0"},
            "one too long": {"text": "x" * (NOTE_MAX + 1), "line": "lin_6_0"},
            "a line that isn't there": {"text": "x", "line": "lin_99_0"},
            "no text": {"line": "lin_6_0"},
            "a line that is no name": {"text": "x", "line": ["lin_6_0"]},
        },
    )


def _grant(user: Any, role: Any = "editor") -> dict[str, Any]:
    return {"user": user, "role": role}


def _members() -> Iterator[Case]:
    yield from _who_may_not("share", {"users": [_grant(OUTSIDER)]}, editors=False)
    yield from _by(
        OWNER,
        "picnic",
        "share",
        {
            "somebody new": {"users": [_grant(OUTSIDER, "viewer")]},
            "a role that goes up": {"users": [_grant(VIEWER, "editor")]},
            "a role that goes down": {"users": [_grant(EDITOR, "viewer")]},
            "the same role": {"users": [_grant(EDITOR)]},
            "several, old and new": {"users": [_grant(VIEWER), _grant(OUTSIDER), _grant(GUEST)]},
            "the owner": {"users": [_grant(OUTSIDER), _grant(OWNER)]},
            "who has no account": {"users": [_grant(OUTSIDER), _grant(NOBODY)]},
            "more members than a cart has": {"users": [_grant(OUTSIDER), _grant("usr_eve")]},
            "more than an op takes": {"users": [_grant(f"usr_{one}") for one in range(5)]},
            "somebody twice": {"users": [_grant(EDITOR), _grant(EDITOR, "viewer")]},
            "nobody": {"users": []},
            "a second owner": {"users": [_grant(OUTSIDER, "owner")]},
            "no role": {"users": [{"user": OUTSIDER}]},
            "a role that is none": {"users": [_grant(OUTSIDER, 3)]},
            "more than it takes of a user": {"users": [{**_grant(OUTSIDER), "name": "Dan"}]},
        },
    )
    yield from _by(
        OWNER, "full", "share", {"a member, where there is no place": {"users": [_grant(VIEWER)]}}
    )
    yield from _who_may_not("unshare", {"user": GUEST}, editors=False)
    yield from _by(
        OWNER,
        "picnic",
        "unshare",
        {
            "an editor, whose lines stay": {"user": EDITOR},
            "a viewer": {"user": VIEWER},
            "the owner": {"user": OWNER},
            "who is no member": {"user": OUTSIDER},
            "nobody": {"user": None},
        },
    )
    yield Case("a viewer leaves", _cart("picnic"), VIEWER, {"kind": "unshare", "user": VIEWER})
    yield Case("an editor leaves", _cart("picnic"), EDITOR, {"kind": "unshare", "user": EDITOR})
    yield from _who_may_not("delete", {}, editors=False)
    yield Case("a cart with lines and members", _cart("picnic"), OWNER, {"kind": "delete"})
    yield Case("an empty cart", _cart("new"), OWNER, {"kind": "delete"})


def _of_the_service() -> Iterator[Case]:
    yield from _made(
        "none",
        "create",
        {
            "a cart": {"name": "Picnic", "currency": "EUR"},
            "a cart of another currency": {"name": "掃除 🧹", "currency": "JPY"},
        },
    )
    yield from _made("new", "create", {"twice": {"name": "Picnic", "currency": "EUR"}})
    yield from _made(
        "picnic",
        "admit",
        {
            "somebody new": _grant(OUTSIDER, "viewer"),
            "a viewer as editor": _grant(VIEWER, "editor"),
            "an editor stays one": _grant(EDITOR, "viewer"),
            "the owner": _grant(OWNER, "editor"),
            "who has no account": _grant(NOBODY),
        },
    )
    yield from _made("full", "admit", {"one too many": _grant(OUTSIDER)})
    yield from _made("deleted", "admit", {"to a cart that is gone": _grant(OUTSIDER)})
    yield from _made(
        "of a guest",
        "merge",
        {
            "a guest into a member": {"user": GUEST, "into": EDITOR},
            "a guest into a viewer, who gets the higher role": {"user": GUEST, "into": VIEWER},
            "a guest into who is new here": {"user": GUEST, "into": OUTSIDER},
            "the owner, into a viewer": {"user": OWNER, "into": VIEWER},
            "into oneself": {"user": GUEST, "into": GUEST},
            "into nobody": {"user": GUEST, "into": NOBODY},
            "who is no member": {"user": OUTSIDER, "into": EDITOR},
        },
    )
    yield from _made(
        "deleted", "merge", {"in a cart that is gone": {"user": OWNER, "into": EDITOR}}
    )
    yield from _made("picnic", "depart", {"an editor": {"user": EDITOR}})
    yield from _made("picnic", "depart", {"the owner, an editor succeeds": {"user": OWNER}})
    yield from _made("inherited", "depart", {"the longest in succeeds": {"user": OWNER}})
    yield from _made("new", "depart", {"nobody is left": {"user": OWNER}})
    yield from _made("picnic", "depart", {"who is no member": {"user": OUTSIDER}})
    for kind, fields in (
        ("create", {"name": "Picnic", "currency": "EUR"}),
        ("admit", _grant(OUTSIDER)),
        ("merge", {"user": GUEST, "into": OWNER}),
        ("depart", {"user": OWNER}),
        (REFUSE, {"code": "forbidden", "message": "No."}),
    ):
        yield Case("not for clients", _cart("picnic"), OWNER, {"kind": kind, **fields})


def _refusals() -> Iterator[Case]:
    gone = CartroomError("not_found", "There is no line lin_99_0 in this cart.")
    yield Case("a plain one", _cart("picnic"), EDITOR, refusal=gone)
    stock = {"sku": "NUT", "available": 0}
    few = CartroomError("out_of_stock", "Only 0 of Nut can be had.", **stock, results=[None])
    yield Case("one with more to tell", _cart("picnic"), EDITOR, refusal=few)


CASES: Final = (
    *_add(),
    *_quantities(),
    *_lines(),
    *_texts(),
    *_members(),
    *_of_the_service(),
    *_refusals(),
)
