"""Who is there, what is sold, and the carts that the cases and the exploration start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from commerce.catalog.product import ProductFacts
from realtime import ops
from realtime.judge import Context, judge, skus_touched
from realtime.limits import NOTE_MAX, Limits
from realtime.reducer import Effect, Entry, Results, apply
from realtime.state import CartState

LIMITS: Final = Limits(lines=8, members=5, pieces=40, items=4)

OWNER: Final = "usr_ana"
EDITOR: Final = "usr_bea"
VIEWER: Final = "usr_cem"
GUEST: Final = "usr_guest"
OUTSIDER: Final = "usr_dan"
"""Has an account, and is a member of no cart."""
NOBODY: Final = "usr_none"
"""Has none."""

NAMES: Final = {
    OWNER: "Ana",
    EDITOR: "Bea",
    VIEWER: "Çem 🧺",
    GUEST: "Guest",
    OUTSIDER: "Dan",
    "usr_eve": "Eve",
}

PRODUCTS: Final = {
    one.sku: one
    for one in (
        ProductFacts("APPLE", "Apple", 50, "EUR", 12),
        ProductFacts("BREAD", "Rye bread", 420, "EUR", None),
        ProductFacts("CIDER", "Cider", 750, "GBP", 5),
        ProductFacts("NUT", "Nut", 1, "EUR", 0),
        ProductFacts("PLUM", "Plum", 40, "EUR", 35),
    )
}
NO_PRODUCT: Final = "NONE"
FORMERLY: Final = {
    **PRODUCTS,
    # Dearer since; and no longer sold.
    "APPLE": ProductFacts("APPLE", "Green apple", 45, "EUR", None),
    "LAMP": ProductFacts("LAMP", "Lamp", 2_999, "EUR", None),
}
"""The catalog of when the carts were filled."""


def judged(
    state: CartState,
    user: str,
    op: ops.Op,
    limits: Limits,
    catalog: dict[str, ProductFacts] = PRODUCTS,
) -> tuple[Effect, Results | None]:
    """Effect and results of the op. Raises CartroomError."""
    facts = {sku: catalog.get(sku) for sku in skus_touched(state, op)}
    judgement = judge(state, op, Context(user, facts, frozenset(NAMES), limits))
    return judgement.effect, judgement.results


def apply_effect(state: CartState, user: str, effect: Effect) -> None:
    rev = state.rev + 1
    apply(state, Entry(rev, None, user, 1_700_000_000_000 + rev, effect, "h"))


def build(*steps: tuple[str, dict[str, Any]]) -> CartState:
    """The cart that the steps make, each a user and an op."""
    state = CartState("crt_1")
    for user, op in steps:
        effect, _ = judged(state, user, msgspec.convert(op, _OPS[op["kind"]]), _LARGE, FORMERLY)
        apply_effect(state, user, effect)
    return state


def _all(base: type[ops.Op]) -> list[type[ops.Op]]:
    """The kinds below `base`, whether clients send them or the service makes them."""
    found = [one for child in base.__subclasses__() for one in _all(child)]
    return found or [base]


OPS: Final = tuple(_all(ops.Op))
_OPS: Final = {ops.kind_of(one): one for one in OPS}
_LARGE: Final = Limits()

_CREATE = (OWNER, {"kind": "create", "name": "Picnic", "currency": "EUR"})
_SHARE = (
    OWNER,
    {
        "kind": "share",
        "users": [
            {"user": EDITOR, "role": "editor"},
            {"user": VIEWER, "role": "viewer"},
            {"user": GUEST, "role": "editor"},
        ],
    },
)


def _add(user: str, sku: str, qty: int, **more: str) -> tuple[str, dict[str, Any]]:
    return user, {"kind": "add", "items": [{"sku": sku, "qty": qty, **more}]}


def _save(line: str) -> tuple[str, dict[str, Any]]:
    return OWNER, {"kind": "save_for_later", "line": line}


def _note(line: str, text: str) -> tuple[str, dict[str, Any]]:
    return OWNER, {"kind": "note", "line": line, "text": text}


_PICNIC = (
    _CREATE,
    _SHARE,
    _add(OWNER, "BREAD", 2),  # lin_3_0, saved
    _note("lin_3_0", "sliced"),
    _save("lin_3_0"),
    _add(OWNER, "APPLE", 3),  # lin_6_0
    _add(EDITOR, "APPLE", 4),  # lin_7_0
    _add(OWNER, "BREAD", 1),  # lin_8_0, as one that is saved
    _add(OWNER, "LAMP", 2),  # lin_9_0
    _add(EDITOR, "PLUM", 5),  # lin_10_0, saved
    _note("lin_10_0", "ripe ones 🍑"),
    _save("lin_10_0"),
)
_HEAVY = (
    _CREATE,
    _SHARE,
    _add(OWNER, "BREAD", 30),  # lin_3_0, saved
    _save("lin_3_0"),
    _add(OWNER, "BREAD", 20),  # lin_5_0
    _add(OWNER, "APPLE", 11),  # lin_6_0, saved
    _save("lin_6_0"),
    _add(EDITOR, "APPLE", 10),  # lin_8_0
    _add(OWNER, "LAMP", 1),  # lin_9_0, saved
    _save("lin_9_0"),
)
_GUESTS = (
    _CREATE,
    _SHARE,
    _add(GUEST, "BREAD", 30),  # lin_3_0
    _add(GUEST, "APPLE", 2),  # lin_4_0
    _add(GUEST, "PLUM", 3),  # lin_5_0
    _add(EDITOR, "BREAD", 20),  # lin_6_0
    _add(EDITOR, "APPLE", 1),  # lin_7_0
    _add(GUEST, "LAMP", 1),  # lin_8_0
    _add(EDITOR, "LAMP", 1),  # lin_9_0
    _note("lin_4_0", "red"),
    _note("lin_7_0", "green"),
    _note("lin_8_0", "x" * NOTE_MAX),
    _note("lin_9_0", "y"),
    _save("lin_5_0"),
)

CARTS: Final[dict[str, Callable[[], CartState]]] = {
    "none": build,
    "new": lambda: build(_CREATE),
    "picnic": lambda: build(*_PICNIC),
    # Eight lines, one of them saved, and five members: no more of either.
    "full": lambda: build(
        _CREATE,
        _SHARE,
        (OWNER, {"kind": "share", "users": [{"user": "usr_eve", "role": "editor"}]}),
        *(_add(OWNER, "PLUM", 2, **{"for": user}) for user in (OWNER, EDITOR, VIEWER, GUEST)),
        *(_add(OWNER, "BREAD", 1, **{"for": user}) for user in (OWNER, EDITOR, VIEWER, GUEST)),
        _save("lin_7_0"),
    ),
    "heavy": lambda: build(*_HEAVY),
    "of a guest": lambda: build(*_GUESTS),
    "inherited": lambda: build(
        _CREATE,
        _SHARE,
        _add(GUEST, "PLUM", 2),
        (OWNER, {"kind": "unshare", "user": EDITOR}),
        (OWNER, {"kind": "share", "users": [{"user": EDITOR, "role": "editor"}]}),
    ),
    "deleted": lambda: build(_CREATE, _add(OWNER, "PLUM", 2), (OWNER, {"kind": "delete"})),
}
