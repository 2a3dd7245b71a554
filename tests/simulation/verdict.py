"""What must hold when everybody has come to rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bson

from storage.oplog import first_rev
from tests.checker import Violation, check
from tests.client import Message
from tests.history import History
from tests.mirror import Mirror
from tests.shopping import PLENTY, SCARCE
from tests.simulation.shopping import REFUSED, SETUP_CLIENT, SimShopper, forgets_clients
from tests.simulation.store import Store
from tests.verdict import check_roles, replayed

VIOLATIONS_SHOWN = 3
REFUSE = "refuse"
"""An op of this kind says that its op_id was refused for good."""
DEEDS = ("merge", "depart", "delete")
"""Only the service makes ops of these kinds; shoppers delete nothing."""


def log_of(store: Store, cart: str) -> list[Message]:
    """The cart's ops in their order, with their revs."""
    documents = [bson.decode(raw) for raw in store.rows("cart_ops").values()]
    documents = sorted((one for one in documents if one["cart"] == cart), key=first_rev)
    for document in documents:
        assert document["_id"] == f"{cart}:{first_rev(document)}"
    return [
        {"rev": first_rev(document) + index, **op}
        for document in documents
        for index, op in enumerate(document["ops"])
    ]


def judge(store: Store, shoppers: Sequence[SimShopper], history: History) -> None:
    """Raise AssertionError for whatever breaks a promise."""
    created = _check_creations(store, shoppers)
    logs: dict[str, list[Message]] = {}
    snapshots: dict[str, Message] = {}
    for cart in dict.fromkeys(cart for shopper in shoppers for cart in shopper.carts):
        involved = [shopper for shopper in shoppers if cart in shopper.carts]
        ops = logs[cart] = log_of(store, cart)
        _check_order(ops)
        _check_promises(cart, ops, involved, created)
        check_roles(ops)
        truth = replayed(ops)
        _check_views(cart, truth, involved)
        _check_derived(store, cart, ops, truth)
        snapshots[cart] = bson.decode(store.rows("carts")[cart])
    found = check(history, logs, snapshots, products=[SCARCE, *PLENTY])
    violations = [one for one in found if not _is_excused(one)]
    assert not violations, "\n".join(map(str, violations[:VIOLATIONS_SHOWN]))


def _is_excused(violation: Violation) -> bool:
    """Whether it is a join that told `n` 0 because the cart has forgotten the client."""
    messages = [record.message or {} for record in violation.records]
    return forgets_clients() and any("role" in one and one.get("n") == 0 for one in messages)


def _check_creations(store: Store, shoppers: Sequence[SimShopper]) -> set[str]:
    """Each answered creation has made one cart. Returns the op_ids of all creations."""
    made: dict[str, list[str]] = {}
    for raw in store.rows("cart_ops").values():
        document = bson.decode(raw)
        if first_rev(document) == 1:
            made.setdefault(document["ops"][0]["op_id"], []).append(document["cart"])
    for shopper in shoppers:
        for n, cart in shopper.creations.items():
            expected = [] if cart == REFUSED else [cart]
            assert made.get(shopper.op_id(n), []) == expected, (n, cart, made)
    return set(made)


def _check_order(ops: list[Message]) -> None:
    assert [op["rev"] for op in ops] == list(range(1, len(ops) + 1))
    times = [op["at"] for op in ops]
    assert times == sorted(times), "`at` went back"


def _check_promises(
    cart: str, ops: list[Message], shoppers: Sequence[SimShopper], created: set[str]
) -> None:
    """Acknowledged: once, as told. Refused: never. In the log: sent by somebody.

    But for what the service does of itself: that is in the log at most once.
    """
    revs: dict[str, list[int]] = {}
    deeds = [op["op_id"] for op in ops if op["op"]["kind"] in DEEDS]
    assert len(set(deeds)) == len(deeds), ("done twice", deeds)
    for op in ops:
        if op["op"]["kind"] not in (REFUSE, *DEEDS):
            revs.setdefault(op["op_id"], []).append(op["rev"])
    for shopper in shoppers:
        seen = shopper.carts[cart]
        for n in seen.sent:
            found = revs.pop(shopper.op_id(n), [])
            if n in seen.acknowledged:
                assert found == [seen.acknowledged[n]["rev"]], ("acknowledged", n, found)
            else:
                assert n in seen.refused, ("without an answer", shopper.client, n)
                assert found == [], ("refused", shopper.client, n, seen.refused[n], found)
    others = [one for one in revs if one not in created and not one.startswith(SETUP_CLIENT)]
    assert not others, ("nobody's", others)


def _check_views(cart: str, truth: Mirror, shoppers: Sequence[SimShopper]) -> None:
    for shopper in shoppers:
        mirror = shopper.carts[cart].mirror
        may_see = shopper.account.user in truth.members
        assert (mirror is not None) == may_see, ("sees", shopper.client, may_see)
        if mirror is not None:
            assert mirror.content() == truth.content(), (shopper.client, mirror.content(), truth)


def _check_derived(store: Store, cart: str, ops: list[Message], truth: Mirror) -> None:
    stored = bson.decode(store.rows("carts")[cart])
    snapshot = Mirror.of_state(stored["rev"], stored)
    assert snapshot.content() == truth.content(), ("snapshot", snapshot.content(), truth.content())
    rows: list[dict[str, Any]] = [bson.decode(raw) for raw in store.rows("memberships").values()]
    members = {row["user"]: row["role"] for row in rows if row["cart"] == cart and row["role"]}
    assert members == truth.members, ("memberships", members, truth.members)
    assert bson.decode(store.rows("outbox")[cart])["relay_active"] > 0 or not ops
