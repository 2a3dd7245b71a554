"""Histories written by hand: who sends what, and what comes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from commerce.catalog.product import Product
from tests.checker import check
from tests.history import History, Message
from tests.mirror import Mirror

CART: Final = "crt_1"
APPLE: Final = Product("APPLE", "Apple", 50, "EUR", 10)


def at(rev: int) -> str:
    return f"2026-05-04T09:{rev // 60:02}:{rev % 60:02}.000Z"


class Story:
    """Writes a history by hand: who sends what, and what comes. It knows the cart's true ops."""

    def __init__(self) -> None:
        self.history = History()
        self.ops: list[Message] = []
        self._id = 0

    def open(self, user: str) -> str:
        return self.history.opened(user, f"{user}-device")

    def send(self, conn: str, type_: str, **fields: Any) -> int:
        self._id += 1
        self.history.sent(conn, {"id": self._id, "type": type_, **fields})
        return self._id

    def ok(self, conn: str, id_: int, **fields: Any) -> None:
        self.history.received(conn, {"id": id_, "type": "ok", **fields})

    def error(self, conn: str, id_: int, code: str, **fields: Any) -> None:
        error = {"code": code, "message": "", "temporary": code == "unavailable"}
        self.history.received(conn, {"id": id_, "type": "error", **error, **fields})

    def push(self, conn: str, type_: str, **fields: Any) -> None:
        self.history.received(conn, {"type": type_, "cart": CART, **fields})

    # Ops

    def commit(self, by: str, op_id: str | None, op: Message) -> int:
        """An op takes effect; returns its rev."""
        rev = len(self.ops) + 1
        self.ops.append({"rev": rev, "op_id": op_id, "by": by, "at": at(rev), "op": op})
        return rev

    def state(self, rev: int) -> Message:
        mirror = Mirror()
        for op in self.ops[:rev]:
            mirror.apply(op["rev"], op["by"], op["op"])
        lines = list(mirror.lines.values())
        subtotal = sum(line["qty"] * line["unit_price"] for line in lines)
        pieces = sum(line["qty"] for line in lines)
        return {
            "name": mirror.name,
            "note": mirror.note,
            "currency": "EUR",
            "status": "open",
            "lines": deepcopy(lines),
            "saved": deepcopy(list(mirror.saved.values())),
            "members": [
                {"user": user, "name": user, "role": role} for user, role in mirror.members.items()
            ],
            "totals": {
                "lines": len(lines),
                "pieces": pieces,
                "subtotal": subtotal,
                "total": subtotal,
            },
        }

    def position(self, user: str, rev: int) -> Message:
        numbers = [
            int(op["op_id"].rpartition(":")[2])
            for op in self.ops[:rev]
            if op["op_id"] is not None and op["op_id"].startswith(f"{user}-device:")
        ]
        role = next(m["role"] for m in self.state(rev)["members"] if m["user"] == user)
        return {"cart": CART, "rev": rev, "role": role, "n": max(numbers, default=0)}

    def create(self, conn: str, user: str) -> None:
        id_ = self.send(conn, "cart.create", name="Picnic", op_id=f"{user}-device:1")
        self.commit(
            user, f"{user}-device:1", {"kind": "create", "name": "Picnic", "currency": "EUR"}
        )
        self.ok(conn, id_, **self.position(user, 1), state=self.state(1))

    def join(self, conn: str, user: str, rev: int | None = None) -> None:
        """Join, from nothing or with a rev."""
        head = len(self.ops)
        id_ = self.send(conn, "cart.join", cart=CART, **({"rev": rev} if rev else {}))
        told: Message = {"ops": self.ops[rev:head]} if rev else {"state": self.state(head)}
        self.ok(conn, id_, **self.position(user, head), **told)

    def ask(self, conn: str, user: str, n: int, op: Message) -> int:
        return self.send(conn, "cart.op", cart=CART, op_id=f"{user}-device:{n}", op=op)

    def answer(self, conn: str, id_: int, rev: int, **fields: Any) -> None:
        entry = self.ops[rev - 1]
        self.ok(
            *(conn, id_), cart=CART, **{"rev": rev, "at": entry["at"], "op": entry["op"], **fields}
        )

    def do(self, conn: str, user: str, n: int, op: Message, effect: Message | None = None) -> int:
        """An op from its sending to its answer; returns its rev."""
        id_ = self.ask(conn, user, n, op)
        rev = self.commit(user, f"{user}-device:{n}", effect or op)
        results = {}
        if op["kind"] == "add":
            items = (effect or op)["items"]
            results = {"results": [{"line": one["line"], "qty": one["qty"]} for one in items]}
        self.answer(conn, id_, rev, **results)
        return rev

    def note(self, conn: str, user: str, n: int) -> int:
        return self.do(conn, user, n, {"kind": "note", "text": f"{user} {n}"})

    def ops_push(self, conn: str, *revs: int) -> None:
        self.push(conn, "cart.ops", ops=[self.ops[rev - 1] for rev in revs])

    def kinds(self, **options: Any) -> list[str]:
        return [one.kind for one in check(self.history, **options)]
