"""From records to evidence: who asked what, what was answered, and what was seen of each cart."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.checker.violation import proof
from tests.history import OPENED, RECEIVED, SENT, History, Record

Message = dict[str, Any]
Sender = tuple[str, str]
"""A user and the client named in an op_id."""


@dataclass(frozen=True)
class Op:
    """What took effect at a rev, as somebody was told it. `at` is in ms."""

    by: str
    op_id: str | None
    at: int
    effect: Message
    results: list[Message | None] | None = None

    @property
    def kind(self) -> str:
        return str(self.effect["kind"])

    @property
    def sender(self) -> Sender:
        return self.by, split(self.op_id)[0]

    def differs(self, other: Op) -> bool:
        """Whether the two can't be the same op. Pushes don't carry results."""
        if None not in (self.results, other.results) and self.results != other.results:
            return True
        mine, theirs = (self.by, self.op_id, self.at), (other.by, other.op_id, other.at)
        return mine != theirs or self.effect != other.effect


@dataclass(frozen=True)
class Sighting:
    """Somebody was told an op at a rev. Without records it is the stored log that says so."""

    rev: int
    op: Op
    records: tuple[Record, ...]

    @property
    def seq(self) -> float:
        return self.records[-1].seq if self.records else float("inf")

    @property
    def stored(self) -> tuple[str, ...]:
        return () if self.records else (f"log: rev {self.rev} is {self.op}",)


@dataclass(frozen=True)
class StateSighting:
    """Somebody was shown a state. Without records it is the stored snapshot."""

    rev: int
    state: Message
    records: tuple[Record, ...]
    position: Message = field(default_factory=dict)
    """The message that held it: with `role` and `n`, where a client was shown it."""


@dataclass(frozen=True)
class Attempt:
    """One sending of an op, and its answer if one came."""

    user: str
    op_id: str | None
    content: Message
    request: Record
    reply: Record | None

    @property
    def answer(self) -> Message:
        return (self.reply.message or {}) if self.reply else {}

    @property
    def refused(self) -> bool:
        """Refused for good."""
        return self.answer.get("type") == "error" and not self.answer["temporary"]

    @property
    def accepted(self) -> bool:
        return self.answer.get("type") == "ok"

    def same_op(self, other: Attempt) -> bool:
        mine, theirs = (self.user, self.op_id), (other.user, other.op_id)
        return mine == theirs and plain(self.content) == plain(other.content)


@dataclass
class CartEvidence:
    """All that was asked about, and seen of, one cart."""

    cart: str
    sightings: dict[int, list[Sighting]] = field(default_factory=lambda: defaultdict(list))
    states: list[StateSighting] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    by_op_id: dict[tuple[str, str | None], list[Attempt]] = field(
        default_factory=lambda: defaultdict(list)
    )
    logged: int | None = None
    """How many ops the stored log holds, where it is known."""
    _seen: list[tuple[int, int, Record]] = field(default_factory=list)

    def see(self, rev: int, record: Record) -> None:
        """Somebody knows from `record` that the cart has reached `rev`."""
        if not self._seen or rev > self._seen[-1][1]:
            self._seen.append((record.seq, rev, record))

    def seen_before(self, seq: int) -> tuple[int, Record | None]:
        """The highest rev that anybody knew of before a record, and from where; 0 for none."""
        index = bisect_left(self._seen, seq, key=lambda seen: seen[0])
        return (self._seen[index - 1][1], self._seen[index - 1][2]) if index else (0, None)


@dataclass
class Evidence:
    """All of a history, sorted. `unasked` are answers that belong to no request."""

    records: list[Record]
    carts: dict[str, CartEvidence] = field(default_factory=dict)
    creations: list[Attempt] = field(default_factory=list)
    request_of: dict[int, Record] = field(default_factory=dict)
    reply_of: dict[int, Record] = field(default_factory=dict)
    unasked: list[Record] = field(default_factory=list)
    clients: set[Sender] = field(default_factory=set)
    """Those whose requests are in the history."""
    limits: dict[str, int] = field(default_factory=dict)

    def cart(self, name: str) -> CartEvidence:
        return self.carts.setdefault(name, CartEvidence(name))

    @property
    def people(self) -> set[str]:
        return {record.user for record in self.records}

    def with_request(self, record: Record) -> tuple[Record, ...]:
        return proof(self.request_of.get(record.seq), record)


def gather(
    history: History,
    logs: Mapping[str, Iterable[Message]] | None = None,
    snapshots: Mapping[str, Message] | None = None,
) -> Evidence:
    """Sort what clients recorded, and what the stores hold in the end."""
    evidence = Evidence(history.records)
    _pair(evidence)
    for record in history.records:
        if record.what == OPENED:
            evidence.clients.add((record.user, record.client))
        elif record.what == SENT:
            _take_request(evidence, record)
        elif record.what == RECEIVED:
            _take_frame(evidence, record)
    for cart, ops in (logs or {}).items():
        entries = list(ops)
        evidence.cart(cart).logged = len(entries)
        for entry in entries:
            sighting = Sighting(entry["rev"], told(entry), ())
            evidence.cart(cart).sightings[sighting.rev].append(sighting)
    for cart, document in (snapshots or {}).items():
        evidence.cart(cart).states.append(StateSighting(document["rev"], document, ()))
    return evidence


def _pair(evidence: Evidence) -> None:
    """Find each reply's request. A client may use an id again once it is answered."""
    waiting: dict[tuple[str, str], deque[Record]] = defaultdict(deque)
    for record in evidence.records:
        message = record.message or {}
        key = (record.conn, json.dumps(message.get("id")))
        if record.what == SENT:
            waiting[key].append(record)
        elif record.what == RECEIVED and message.get("id") is not None:
            if not waiting[key]:
                evidence.unasked.append(record)
                continue
            request = waiting[key].popleft()
            evidence.request_of[record.seq] = request
            evidence.reply_of[request.seq] = record


def _take_request(evidence: Evidence, record: Record) -> None:
    message = record.message or {}
    reply = evidence.reply_of.get(record.seq)
    op_id = message.get("op_id")
    if message.get("type") == "cart.op":
        attempt = Attempt(record.user, op_id, message["op"], record, reply)
        cart = evidence.cart(message["cart"])
        cart.attempts.append(attempt)
        cart.by_op_id[record.user, op_id].append(attempt)
        evidence.clients.add((record.user, split(op_id)[0]))
    elif message.get("type") == "cart.create":
        content = {"kind": "create", "name": message.get("name") or "Cart"}
        if message.get("currency"):
            content["currency"] = message["currency"]
        evidence.creations.append(Attempt(record.user, op_id, content, record, reply))


def _take_frame(evidence: Evidence, record: Record) -> None:
    message = record.message or {}
    request = evidence.request_of.get(record.seq)
    if message["type"] == "welcome":
        evidence.limits = message.get("limits", {})
    asked = (request.message or {}) if request else {}
    name = message.get("cart") or asked.get("cart")
    if name is None or message["type"] == "error":
        return
    cart = evidence.cart(name)
    records = evidence.with_request(record)
    if asked.get("type") == "cart.op":
        message = {**message, "by": record.user, "op_id": asked["op_id"]}
        cart.sightings[message["rev"]].append(Sighting(message["rev"], told(message), records))
        cart.see(message["rev"], record)
        return
    for entry in message.get("ops", ()):
        cart.sightings[entry["rev"]].append(Sighting(entry["rev"], told(entry), records))
        cart.see(entry["rev"], record)
    if "state" in message:
        cart.states.append(StateSighting(message["rev"], message["state"], records, message))
    if "rev" in message:
        cart.see(message["rev"], record)


def told(entry: Message) -> Op:
    """The op that an entry of the wire, or of the stored log, tells."""
    return Op(
        entry["by"],
        entry["op_id"],
        _ms(entry["at"]),
        plain(entry["op"]),
        entry.get("results"),
    )


def plain(op: Message) -> Message:
    """An op or effect without what may be told in several ways: names, defaults written out."""
    op = {key: value for key, value in op.items() if value is not None}
    if op.get("kind") == "merge":
        op.pop("name", None)
    if op.get("kind") == "share":
        op["users"] = [{key: one[key] for key in ("user", "role")} for one in op["users"]]
    if op.get("kind") == "add":
        op["items"] = [{k: v for k, v in item.items() if v is not None} for item in op["items"]]
        if not op.get("partial"):
            op.pop("partial", None)
    return op


def split(op_id: str | None) -> tuple[str, int]:
    """Client and number of an op_id."""
    client, _, n = (op_id or "").rpartition(":")
    return client, int(n or 0)


def _ms(at: int | str) -> int:
    if isinstance(at, int):
        return at
    return round(datetime.fromisoformat(at).timestamp() * 1000)
