"""What must hold after any run of shoppers: the log, the snapshots and all clients agree.

Revs have no gap; what was acknowledged is in the log once, as told; what was refused for good is
not; nobody did what their role at that rev didn't allow; no sku was oversold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.mongo import Database
from storage.oplog import first_rev
from tests.checker import assert_clean
from tests.helpers import eventually
from tests.history import History
from tests.mirror import Mirror
from tests.shopper import Shopper
from tests.shopping import PLENTY, SCARCE

Message = dict[str, Any]


async def log_of(database: Database, cart: str) -> list[Message]:
    """The ops of a cart's log, with their revs."""
    documents = await database.collection("cart_ops").find({"cart": cart}).to_list(None)
    documents.sort(key=first_rev)
    for document in documents:
        assert document["_id"] == f"{cart}:{first_rev(document)}"
    return [
        {"rev": first_rev(document) + index, **op}
        for document in documents
        for index, op in enumerate(document["ops"])
    ]


@dataclass
class Rest:
    """What there is when everybody has come to rest, by cart."""

    logs: dict[str, list[Message]]
    snapshots: dict[str, Message]


async def check_all(
    database: Database, carts: Sequence[str], shoppers: Sequence[Shopper], history: History
) -> Rest:
    """Let everybody come to rest and compare all that there is; `history` is theirs alone."""
    await asyncio.gather(*(shopper.settle() for shopper in shoppers))
    logs = {cart: await log_of(database, cart) for cart in carts}
    heads = {cart: len(ops) for cart, ops in logs.items()}
    await asyncio.gather(*(shopper.settle(heads) for shopper in shoppers))
    rest = Rest(logs, {})
    for cart, ops in logs.items():
        check_ops(cart, ops, shoppers)
        check_roles(ops)
        truth = replayed(ops)
        for shopper in shoppers:
            mirror = shopper.carts[cart].mirror
            may_see = shopper.account.user in truth.members
            assert (mirror is not None) == may_see
            assert mirror is None or mirror.content() == truth.content()
        rest.snapshots[cart] = await check_snapshot(database, cart, truth)
    assert_clean(history, rest.logs, rest.snapshots, products=[SCARCE, *PLENTY])
    return rest


def check_ops(cart: str, ops: list[Message], shoppers: Sequence[Shopper]) -> None:
    """Acknowledged: once, as told. Refused: never. In the log: sent by somebody."""
    revs = revs_by_op_id(ops)
    on_record = {op["op_id"] for op in ops if op["op"]["kind"] == "refuse"}
    for shopper in shoppers:
        seen = shopper.carts[cart]
        for n in seen.sent:
            op_id = shopper.op_id(n)
            found = revs.pop(op_id, [])
            if n in seen.acknowledged:
                assert op_id not in on_record
                assert found == [seen.acknowledged[n]["rev"]], (n, found)
            else:
                assert n in seen.refused
                assert found == [], (n, seen.refused[n])
    assert sum(op_id is not None for op_id in revs) == 1, "more than the share at the start"


def check_durable(cart: str, ops: list[Message], acknowledged: dict[str, int]) -> None:
    """What was acknowledged by then, op_ids with their revs, is in the log."""
    revs = revs_by_op_id(ops)
    lost = {op_id: rev for op_id, rev in acknowledged.items() if revs.get(op_id) != [rev]}
    assert not lost, (cart, lost)


def revs_by_op_id(ops: list[Message]) -> dict[str, list[int]]:
    """Where each op took effect; a refusal on record is none. Fails where revs have a gap."""
    assert [op["rev"] for op in ops] == list(range(1, len(ops) + 1))
    revs: dict[str, list[int]] = {}
    for op in ops:
        if op["op"]["kind"] != "refuse":
            revs.setdefault(op["op_id"], []).append(op["rev"])
    return revs


def check_roles(ops: list[Message]) -> None:
    """Nobody did what their role at that rev didn't allow."""
    mirror = Mirror()
    for op in ops:
        kind, role = op["op"]["kind"], mirror.members.get(op["by"])
        leaves = kind == "unshare" and op["op"]["user"] == op["by"]
        if kind in ("merge", "depart"):
            assert op["op"]["user"] in mirror.members, op
        elif kind not in ("create", "refuse") and not leaves:
            allowed = ("owner",) if kind in ("share", "unshare", "delete") else ("owner", "editor")
            assert role in allowed, (op, role)
        mirror.apply(op["rev"], op["by"], op["op"])


def replayed(ops: list[Message]) -> Mirror:
    """The log played by the test's own code, which holds stock against every step."""
    mirror = Mirror()
    for op in ops:
        mirror.apply(op["rev"], op["by"], op["op"])
        assert mirror.pieces(SCARCE.sku) <= (SCARCE.available or 0), op
        assert all(line["qty"] > 0 for line in mirror.lines.values()), op
    return mirror


async def check_snapshot(database: Database, cart: str, truth: Mirror) -> Message:
    """The snapshot, which is written behind, gets there and says the same."""

    async def stored() -> Message | None:
        found = await database.collection("carts").find_one({"_id": cart})
        return found if found is not None and found["rev"] == truth.rev else None

    snapshot = await eventually(stored, what=f"a snapshot of {cart} at rev {truth.rev}")
    assert snapshot is not None
    assert Mirror.of_state(snapshot["rev"], snapshot).content() == truth.content()
    return snapshot
