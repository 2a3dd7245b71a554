"""The sequential specification: what an op may do to a cart, and when it may be refused.

Written from `protocol.md` alone, on `tests.mirror`, and shares no code with the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.mirror import Mirror, both_notes

Message = dict[str, Any]

RANK: Final = {"viewer": 1, "editor": 2, "owner": 3}
OWNERS_KINDS: Final = ("share", "unshare", "delete")
SERVICES_KINDS: Final = ("merge", "depart")
"""No client may send these. They concern a member, whatever their role."""
NOTE_MAX: Final = 2_000
LIMITS: Final = {"lines": 1_000, "members": 250, "pieces": 100_000, "items": 200}
QTY_MAX: Final = 100_000
JUDGED: Final = frozenset(
    ("bad_request", "forbidden", "not_found", "out_of_stock", "limit_exceeded", "unknown_sku")
)
"""Refusals that the specification has an opinion on. `conflict` is about numbers, not states."""


@dataclass(frozen=True)
class Facts:
    """What is known of the world outside the cart. What is not known is allowed.

    `available` by sku: None is untracked. `unsold` are skus that can't be had in this cart,
    `strangers` users who don't exist.
    """

    available: Mapping[str, int | None] = field(default_factory=dict)
    unsold: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)

    def lacks(self, sku: str, pieces: int) -> bool:
        available = self.available.get(sku)
        return available is not None and pieces > available

    def granting(self, error: Message, people: set[str], known: frozenset[str]) -> Facts:
        """These facts, and what a refusal says beyond them.

        `known` are skus of whose stock all is known, `people` users who do exist.
        """
        available, unsold, strangers = dict(self.available), set(self.unsold), set(self.strangers)
        for one in (error, *(result for result in error.get("results") or () if result)):
            sku = one.get("sku")
            if sku is not None and sku not in known:
                if one["code"] == "unknown_sku":
                    unsold.add(sku)
                elif "available" in one:
                    available[sku] = one["available"]
            if one.get("user") is not None and one["user"] not in people:
                strangers.add(one["user"])
        return Facts(available, frozenset(unsold), frozenset(strangers), self.limits)


def access(cart: Mirror, user: str, op: Message) -> str | None:
    """The code with which this user's op must be refused for who they are; None if it mustn't."""
    if op["kind"] in SERVICES_KINDS:
        return None if op["user"] in cart.members else "not_found"
    role = cart.members.get(user)
    if role is None or cart.deleted:
        return "not_found"
    needed = "owner" if op["kind"] in OWNERS_KINDS else "editor"
    if op["kind"] == "unshare" and op["user"] == user:
        needed = "viewer"
    return "forbidden" if RANK[role] < RANK[needed] else None


def refusals(cart: Mirror, user: str, op: Message, facts: Facts) -> set[str]:
    """The codes with which an op that is no `add` may be refused; empty if it must be accepted."""
    found = {"bad_request"} if malformed(op) else set()
    denied = access(cart, user, op)
    if denied is not None:
        return {*found, denied}
    kind = op["kind"]
    if kind in ("change_quantity", "set_quantity"):
        return found | _of_quantity(cart, op, facts)
    if kind in ("save_for_later", "move_to_cart"):
        return found | _of_move(cart, op, facts)
    if kind == "remove" or (kind == "note" and op.get("line") is not None):
        return found if _line(cart, op["line"]) else {*found, "not_found"}
    if kind == "share":
        return found | _of_share(cart, op, facts)
    if kind == "unshare":
        role = cart.members.get(op["user"])
        found |= {"not_found"} if role is None else set()
        found |= {"forbidden"} if role == "owner" else set()
    return found


def malformed(op: Message) -> bool:
    """Whether the content is at fault, whatever the state."""
    kind = op["kind"]
    if kind == "add":
        quantities = [item["qty"] for item in op["items"]]
        return not quantities or not all(1 <= qty <= QTY_MAX for qty in quantities)
    if kind == "change_quantity":
        return bool(op["by"] == 0) or abs(op["by"]) > QTY_MAX
    if kind == "set_quantity":
        return not 1 <= op["qty"] <= QTY_MAX
    if kind == "rename":
        return not op["name"].strip() or len(op["name"]) > 200
    if kind == "note":
        return len(op["text"]) > NOTE_MAX
    if kind == "share":
        users = [grant["user"] for grant in op["users"]]
        return not users or len(set(users)) < len(users)
    return False


def _line(cart: Mirror, line: str) -> Message | None:
    return cart.lines.get(line) or cart.saved.get(line)


def _of_quantity(cart: Mirror, op: Message, facts: Facts) -> set[str]:
    line = cart.lines.get(op["line"])
    if line is None:
        return {"not_found"}
    by = op["by"] if op["kind"] == "change_quantity" else op["qty"] - line["qty"]
    found = set()
    if not 1 <= line["qty"] + by <= facts.limits["pieces"]:
        found.add("limit_exceeded")
    return found | _of_raise(cart, line["sku"], by, facts)


def _of_raise(cart: Mirror, sku: str, by: int, facts: Facts) -> set[str]:
    found = set()
    if by > 0 and facts.lacks(sku, cart.pieces(sku) + by):
        found.add("out_of_stock")
    if by > 0 and sku in facts.unsold:
        found.add("unknown_sku")
    return found


def _of_move(cart: Mirror, op: Message, facts: Facts) -> set[str]:
    if _line(cart, op["line"]) is None:
        return {"not_found"}
    source, target = shelves(cart, op["kind"])
    line = source.get(op["line"])
    if line is None:
        return set()
    twin = twin_of(line, target)
    found = set()
    if twin is not None and twin["qty"] + line["qty"] > facts.limits["pieces"]:
        found.add("limit_exceeded")
    if op["kind"] == "move_to_cart":
        found |= _of_raise(cart, line["sku"], line["qty"], facts)
    return found


def _of_share(cart: Mirror, op: Message, facts: Facts) -> set[str]:
    users = {grant["user"] for grant in op["users"]}
    found = set()
    if len(op["users"]) > facts.limits["items"]:
        found.add("limit_exceeded")
    if len(cart.members.keys() | users) > facts.limits["members"]:
        found.add("limit_exceeded")
    if users & facts.strangers:
        found.add("not_found")
    if any(cart.members.get(user) == "owner" for user in users):
        found.add("forbidden")
    return found


def shelves(cart: Mirror, kind: str) -> tuple[dict[str, Message], dict[str, Message]]:
    """Where a move takes a line from, and where to."""
    both = (cart.lines, cart.saved)
    return both if kind == "save_for_later" else (both[1], both[0])


def twin_of(line: Message, shelf: dict[str, Message]) -> Message | None:
    key = (line["sku"], line["for"])
    return next((one for one in shelf.values() if (one["sku"], one["for"]) == key), None)


def effect_of(cart: Mirror, op: Message) -> Message:
    """What an accepted op that is no `add` does to the state, as its effect says it."""
    effect = {key: value for key, value in op.items() if value is not None}
    if op["kind"] in ("save_for_later", "move_to_cart"):
        source, target = shelves(cart, op["kind"])
        line = source.get(op["line"])
        twin = twin_of(line, target) if line else None
        if twin is not None:
            effect["into"] = twin["line"]
    return effect


def service_effect_of(cart: Mirror, told: Message, limits: Mapping[str, int]) -> Message:
    """What an op of the service has to do to the state, given whom it says it is about."""
    user = told["user"]
    if told["kind"] == "merge":
        return _merge_of(cart, user, told["into"], limits)
    others = [one for one in cart.members if one != user]
    effect = {"kind": "depart", "user": user}
    if cart.members[user] == "owner":
        # Members are in the order of their coming, and the first of the highest are taken.
        effect["successor"] = max(others, key=lambda one: RANK[cart.members[one]], default="")
    return effect


def _merge_of(cart: Mirror, user: str, into: str, limits: Mapping[str, int]) -> Message:
    lines = []
    for shelf in (cart.lines, cart.saved):
        for line in [one for one in shelf.values() if one["for"] == user]:
            twin = twin_of({**line, "for": into}, shelf)
            if twin is None:
                lines.append({"line": line["line"]})
            elif twin["qty"] + line["qty"] <= limits["pieces"] and (
                len(both_notes(twin, line)) <= NOTE_MAX
            ):
                lines.append({"line": line["line"], "into": twin["line"]})
    roles = [cart.members[one] for one in (user, into) if one in cart.members]
    role = max(roles, key=RANK.__getitem__)
    return {"kind": "merge", "user": user, "into": into, "role": role, "lines": lines}


class Adding:
    """The items of one `add`, one after the other."""

    def __init__(self, cart: Mirror, user: str, facts: Facts) -> None:
        self._cart = cart
        self._user = user
        self._facts = facts
        self._pieces: dict[str, int] = {}
        self._lines = {(one["sku"], one["for"]): dict(one) for one in cart.lines.values()}
        self._count = len(cart.lines) + len(cart.saved)

    def refusals(self, item: Message) -> set[str]:
        """The codes with which the next item may be refused."""
        sku, member = item["sku"], item.get("for") or self._user
        limits, found = self._facts.limits, set()
        if member not in self._cart.members:
            found.add("not_found")
        if sku in self._facts.unsold:
            found.add("unknown_sku")
        pieces = self._pieces.get(sku, self._cart.pieces(sku))
        if self._facts.lacks(sku, pieces + item["qty"]):
            found.add("out_of_stock")
        line = self._lines.get((sku, member))
        if (line["qty"] if line else 0) + item["qty"] > limits["pieces"]:
            found.add("limit_exceeded")
        if line is None and self._count >= limits["lines"]:
            found.add("limit_exceeded")
        return found

    def take(self, item: Message, line_id: str | None = None) -> Message:
        """Put the item into the cart; returns its line. `line_id` is for a new one."""
        sku, member = item["sku"], item.get("for") or self._user
        line = self._lines.get((sku, member))
        if line is None:
            line = self._lines[(sku, member)] = {"line": line_id, "qty": 0}
            self._count += 1
        line["qty"] += item["qty"]
        self._pieces[sku] = self._pieces.get(sku, self._cart.pieces(sku)) + item["qty"]
        return line


def add_refused_rightly(cart: Mirror, user: str, op: Message, error: Message, facts: Facts) -> bool:
    """Whether the refusal of an `add` was right on this state."""
    if malformed(op) and error["code"] == "bad_request":
        return True
    denied = access(cart, user, op)
    if denied is not None:
        return bool(error["code"] == denied)
    if len(op["items"]) > facts.limits["items"]:
        return bool(error["code"] == "limit_exceeded")
    results = error.get("results")
    if results is None or len(results) != len(op["items"]):
        return False
    adding, codes = Adding(cart, user, facts), []
    for item, result in zip(op["items"], results, strict=True):
        possible = adding.refusals(item)
        if result is None:
            if possible:
                return False
            adding.take(item)
        elif result.get("code") not in possible:
            return False
        else:
            codes.append(result["code"])
    all_refused = len(codes) == len(results)
    return bool(codes) and codes[0] == error["code"] and (all_refused or not op.get("partial"))


def refused_rightly(cart: Mirror, user: str, op: Message, error: Message, facts: Facts) -> bool:
    """Whether the specification allows this refusal on this state."""
    if error["code"] not in JUDGED:
        return True
    if op["kind"] == "add":
        return add_refused_rightly(cart, user, op, error, facts)
    return error["code"] in refusals(cart, user, op, facts)


def wrong_with_add(
    cart: Mirror,
    user: str,
    op: Message,
    effect: Message,
    results: list[Message | None] | None,
    facts: Facts,
) -> str | None:
    """What is wrong with an `add` that took effect, None if nothing is.

    Without results it is not known which items of a partial one were refused.
    """
    adding = Adding(cart, user, facts)
    taken = list(effect["items"])
    if results is not None and len(results) != len(op["items"]):
        return "its results are not parallel to its items"
    for index, item in enumerate(op["items"]):
        result = results[index] if results is not None else None
        possible = adding.refusals(item)
        if result is not None and "code" in result:
            if not op.get("partial"):
                return f"item {index} was refused, but the op is not partial"
            if result["code"] in JUDGED and result["code"] not in possible:
                return f"item {index} was refused without reason: {result}"
            continue
        if results is None and op.get("partial") and not (taken and _fits(item, taken[0], user)):
            continue
        if not taken or not _fits(item, taken[0], user):
            return f"item {index} is missing in what took effect"
        if possible:
            return f"item {index} had to be refused: {', '.join(sorted(possible))}"
        wrong = _wrong_line(cart, adding, item, taken.pop(0), result)
        if wrong:
            return f"item {index}: {wrong}"
    return f"more took effect than was asked: {taken}" if taken else None


def _fits(item: Message, taken: Message, user: str) -> bool:
    asked = (item["sku"], item["qty"], item.get("for") or user)
    return asked == (taken["sku"], taken["qty"], taken["for"])


def _wrong_line(
    cart: Mirror, adding: Adding, item: Message, taken: Message, result: Message | None
) -> str | None:
    line = adding.take(item, taken["line"])
    if line["line"] != taken["line"]:
        return f"it belongs to line {line['line']}, not {taken['line']}"
    known = _line(cart, taken["line"])
    if known is not None and (known["sku"], known["for"]) != (taken["sku"], taken["for"]):
        return f"line {taken['line']} is another one"
    if known is not None and taken["line"] not in cart.lines:
        return f"line {taken['line']} is saved for later"
    if result is not None and result != {"line": line["line"], "qty": item["qty"]}:
        return f"{item['qty']} pieces were added, told was {result}"
    return None
