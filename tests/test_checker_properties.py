"""The checker on random histories: those of a sequential cart pass, and no change of them does."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.checker import check
from tests.checker.sequential import Adding, Facts, access, effect_of, malformed, refusals
from tests.checker.violation import (
    DISAGREEMENT,
    GAP,
    LOST,
    ORDER,
    REFUSED,
    REORDER,
    REPEAT,
    UNSENT,
    WRONG_EFFECT,
    WRONG_STATE,
)
from tests.history import RECEIVED, History, Message, Record
from tests.mirror import Mirror
from tests.story import APPLE, CART, Story
from tests.tiers import by_tier

EXAMPLES = by_tier(quick=40, ci=300, long=3_000)
USERS = ("ana", "bea", "cid")
FACTS = Facts({"APPLE": APPLE.available}, unsold=frozenset({"NONE"}))


class SequentialCart:
    """Does one thing after the other, as the specification says, and writes the story of it."""

    def __init__(self, rng: random.Random) -> None:
        self.story = Story()
        self.rng = rng
        self.mirror = Mirror()
        self.at: dict[str, int] = {}
        """By joined socket, what it was told; what came since is pushed at times."""
        self.user: dict[str, str] = {}
        self.n = dict.fromkeys(USERS, 2)
        self.known: list[tuple[str, int, Message, int, Message]] = []
        owner = self.story.open("ana")
        self.story.create(owner, "ana")
        self.user[owner], self.at[owner] = "ana", 1
        self.play()
        self.do(owner, {"kind": "share", "users": [self.grant("bea"), self.grant("cid")]})

    def grant(self, user: str) -> Message:
        return {"user": user, "role": self.rng.choice(["editor", "editor", "viewer"])}

    def play(self) -> None:
        op = self.story.ops[-1]
        self.mirror.apply(op["rev"], op["by"], op["op"])

    # What clients do

    def step(self) -> None:
        self.rng.choices(
            [self.op, self.push_some, self.come, self.go, self.resend], [8, 4, 2, 1, 1]
        )[0]()

    def come(self) -> None:
        user = self.rng.choice(USERS)
        conn = self.story.open(user)
        if user not in self.mirror.members:
            return
        rev = self.rng.choice([None, self.rng.randint(1, len(self.story.ops))])
        self.story.join(conn, user, rev)
        self.user[conn], self.at[conn] = user, len(self.story.ops)

    def go(self) -> None:
        conn = self.some_socket()
        self.story.history.closed(conn)
        del self.user[conn], self.at[conn]
        self.come()

    def some_socket(self) -> str:
        while not self.user:
            self.come()
        return self.rng.choice(list(self.user))

    def op(self) -> None:
        self.do(self.some_socket(), self.some_op())

    def some_op(self) -> Message:
        rng = self.rng
        line = rng.choice([*self.mirror.lines, *self.mirror.saved, "lin_never"])
        items = [{"sku": rng.choice(["APPLE", "PEAR"]), "qty": rng.randint(1, 4)}]
        if rng.random() < 0.4:
            items.append({"sku": rng.choice(["NONE", "PEAR"]), "qty": 1})
        return rng.choice(
            [
                {"kind": "add", "items": items, "partial": rng.random() < 0.5},
                {"kind": "add", "items": items},
                {"kind": "change_quantity", "line": line, "by": rng.choice([-2, -1, 1, 2])},
                {"kind": "set_quantity", "line": line, "qty": rng.randint(1, 9)},
                {"kind": "save_for_later", "line": line},
                {"kind": "move_to_cart", "line": line},
                {"kind": "remove", "line": line},
                {"kind": "note", "line": line, "text": str(rng.random())},
                {"kind": "rename", "name": str(rng.random())},
                {"kind": "clear"},
                {"kind": "share", "users": [self.grant(rng.choice(USERS))]},
            ]
        )

    def do(self, conn: str, op: Message) -> None:
        """Ask for an op, and have it judged at once."""
        story, user = self.story, self.user[conn]
        self.catch_up(conn)
        self.n[user] += 1
        n = self.n[user]
        id_ = story.ask(conn, user, n, op)
        effect, results, error = self.judge(user, op)
        if error is not None:
            story.error(conn, id_, error.pop("code"), **error)
            return
        rev = story.commit(user, f"{user}-device:{n}", effect)
        self.play()
        told = {} if results is None else {"results": results}
        story.answer(conn, id_, rev, **told)
        self.at[conn] = rev
        self.known.append((user, n, op, rev, told))

    def judge(self, user: str, op: Message) -> tuple[Message, list[Any] | None, Message | None]:
        """The effect with its results, or the error."""
        if op["kind"] != "add":
            codes = refusals(self.mirror, user, op, FACTS)
            error = {"code": min(codes)} if codes else None
            if error is not None and error["code"] == "out_of_stock":
                error = {**error, "sku": "APPLE", "available": APPLE.available}
            return effect_of(self.mirror, op), None, error
        denied = "bad_request" if malformed(op) else access(self.mirror, user, op)
        if denied is not None:
            return {}, None, {"code": denied}
        return self.judge_add(user, op)

    def judge_add(self, user: str, op: Message) -> tuple[Message, list[Any] | None, Message | None]:
        adding = Adding(self.mirror, user, FACTS)
        items, results = [], []
        for item in op["items"]:
            codes = adding.refusals(item)
            if codes:
                extra = {"available": APPLE.available} if codes == {"out_of_stock"} else {}
                results.append({"code": min(codes), "sku": item["sku"], **extra})
                continue
            line = adding.take(item, f"lin_{self.mirror.rev + 1}_{len(items)}")["line"]
            facts = {"name": item["sku"].title(), "unit_price": 50}
            items.append({**item, "for": user, "line": line, **facts})
            results.append({"line": line, "qty": item["qty"]})
        refused = [result for result in results if "code" in result]
        if refused and (not items or not op.get("partial")):
            undone = [result if "code" in result else None for result in results]
            return {}, None, {**refused[0], "results": undone}
        return {"kind": "add", "items": items}, results, None

    def resend(self) -> None:
        """Somebody sends an op again, and is answered as the first time."""
        if not self.known:
            return
        user, n, op, rev, told = self.rng.choice(self.known)
        conns = [conn for conn, name in self.user.items() if name == user]
        if conns:
            conn = self.rng.choice(conns)
            self.catch_up(conn)
            self.story.answer(conn, self.story.ask(conn, user, n, op), rev, **told)

    # What they are told

    def catch_up(self, conn: str) -> None:
        if self.at[conn] < len(self.story.ops):
            self.story.ops_push(conn, *range(self.at[conn] + 1, len(self.story.ops) + 1))
            self.at[conn] = len(self.story.ops)

    def push_some(self) -> None:
        self.catch_up(self.some_socket())

    def end(self) -> None:
        """Everybody is told everything, by two more pushes each."""
        owner, watcher = (self.story.open("ana") for _ in range(2))
        for conn in (owner, watcher):
            self.story.join(conn, "ana")
            self.user[conn], self.at[conn] = "ana", len(self.story.ops)
        for _ in range(2):
            self.do(owner, {"kind": "note", "text": "the end"})
            for conn in self.user:
                self.catch_up(conn)


def sequential_story(rng: random.Random, steps: int) -> Story:
    cart = SequentialCart(rng)
    for _ in range(steps):
        cart.step()
    cart.end()
    return cart.story


stories = st.builds(
    lambda seed, steps: (random.Random(seed), sequential_story(random.Random(seed), steps)),
    st.integers(0, 2**32 - 1),
    st.integers(5, 60),
)


def verdict(history: History, logs: Any = None) -> set[str]:
    found = check(history, logs, products=[APPLE], one_server=True)
    return {violation.kind for violation in found}


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(stories)
def test_what_a_sequential_cart_does_is_clean(drawn: tuple[random.Random, Story]) -> None:
    _, story = drawn
    snapshot = {"rev": len(story.ops), **story.state(len(story.ops))}
    found = check(
        *(story.history, {CART: story.ops}, {CART: snapshot}), products=[APPLE], one_server=True
    )
    assert found == []


# Changes


def pushes(records: list[Record]) -> list[Record]:
    """Pushes of ops that are not the last of their socket."""
    last = {record.conn: record.seq for record in records if kind_of(record) == "cart.ops"}
    return [one for one in records if kind_of(one) == "cart.ops" and one.seq < last[one.conn]]


def kind_of(record: Record) -> str:
    return str((record.message or {}).get("type")) if record.what == RECEIVED else ""


def answers(records: list[Record], kind: str, key: str) -> list[Record]:
    return [one for one in records if kind_of(one) == kind and key in (one.message or {})]


def change(records: list[Record], record: Record, **fields: Any) -> None:
    index = records.index(record)
    records[index] = replace(record, message={**deepcopy(record.message or {}), **fields})


def one_of(rng: random.Random, records: list[Record]) -> Record:
    assume(records)
    return rng.choice(records)


def drop_a_push(records: list[Record], rng: random.Random) -> None:
    """One that no resend makes up for: its `ok` tells the rev as well."""
    answered = {(one.conn, (one.message or {})["rev"]) for one in answers(records, "ok", "at")}
    missed = [
        push
        for push in pushes(records)
        if not any((push.conn, op["rev"]) in answered for op in told_ops(push))
    ]
    records.remove(one_of(rng, missed))


def repeat_a_push(records: list[Record], rng: random.Random) -> None:
    record = one_of(rng, pushes(records))
    records.insert(records.index(record) + 1, record)


def swap_two_pushes(records: list[Record], rng: random.Random) -> None:
    first = one_of(rng, pushes(records))
    later = [r for r in records if r.conn == first.conn and kind_of(r) == "cart.ops"]
    second = later[later.index(first) + 1]
    here, there = records.index(first), records.index(second)
    change(records, first, **(second.message or {}))
    change(records, second, **(first.message or {}))
    assert here < there


def shift_a_rev(records: list[Record], rng: random.Random) -> None:
    record = one_of(rng, pushes(records))
    ops = deepcopy((record.message or {})["ops"])
    ops[-1]["rev"] += 1
    change(records, record, ops=ops)


def change_a_pushed_op(records: list[Record], rng: random.Random) -> None:
    record = one_of(rng, pushes(records))
    ops = deepcopy((record.message or {})["ops"])
    ops[0].update(
        rng.choice([{"by": "zoe"}, {"op_id": "zoe:1"}, {"op": {"kind": "clear", "x": 1}}])
    )
    change(records, record, ops=ops)


def change_an_acknowledged_rev(records: list[Record], rng: random.Random) -> None:
    record = one_of(rng, answers(records, "ok", "at"))
    change(records, record, rev=(record.message or {})["rev"] + rng.choice([-1, 1]))


def change_a_state(records: list[Record], rng: random.Random) -> None:
    record = one_of(rng, answers(records, "ok", "state"))
    state = deepcopy((record.message or {})["state"])
    state["name"] += "!"
    change(records, record, state=state)


def withhold_an_op_from_who_resumes(records: list[Record], rng: random.Random) -> None:
    resumed = [one for one in answers(records, "ok", "ops") if (one.message or {})["ops"]]
    record = one_of(rng, resumed)
    ops = list((record.message or {})["ops"])
    del ops[rng.randrange(len(ops))]
    change(records, record, ops=ops)


def refuse_what_took_effect(records: list[Record], rng: random.Random) -> None:
    """The answer alone is changed: others saw the op."""
    pushed = {op["op_id"] for one in records for op in told_ops(one)}
    requests = {
        (one.conn, (one.message or {})["id"]): (one.message or {}).get("op_id")
        for one in records
        if one.what == "sent"
    }
    guilty = [
        one
        for one in answers(records, "ok", "at")
        if requests[one.conn, (one.message or {})["id"]] in pushed
    ]
    record = one_of(rng, guilty)
    error = {"type": "error", "code": "not_found", "message": "", "temporary": False}
    records[records.index(record)] = replace(
        record, message={"id": (record.message or {})["id"], **error}
    )


def told_ops(record: Record) -> list[Message]:
    return (record.message or {}).get("ops", []) if kind_of(record) == "cart.ops" else []


def resurrect_a_refused_op(records: list[Record], rng: random.Random) -> None:
    """It takes effect at the end, for all to see."""
    request = {(r.conn, (r.message or {})["id"]): r for r in records if r.what == "sent"}
    refused = one_of(rng, [one for one in records if kind_of(one) == "error"])
    sent = request[refused.conn, (refused.message or {})["id"]]
    last = max((op for one in records for op in told_ops(one)), key=lambda op: op["rev"])
    told = next(one for one in reversed(records) if kind_of(one) == "cart.ops")
    message = sent.message or {}
    op = {**last, "rev": last["rev"] + 1, "op_id": message["op_id"], "by": sent.user}
    op["op"] = {**message["op"], **({"items": []} if message["op"]["kind"] == "add" else {})}
    records.append(
        replace(told, message={"type": "cart.ops", "cart": CART, "ops": [op]}, seq=len(records) + 1)
    )


Change = Callable[[list[Record], random.Random], None]
CHANGES: dict[Change, set[str]] = {
    drop_a_push: {GAP},
    repeat_a_push: {REPEAT},
    swap_two_pushes: {REORDER, GAP},
    shift_a_rev: {GAP, DISAGREEMENT, LOST},
    change_a_pushed_op: {DISAGREEMENT},
    change_an_acknowledged_rev: {DISAGREEMENT, ORDER, UNSENT, GAP, LOST},
    change_a_state: {WRONG_STATE},
    withhold_an_op_from_who_resumes: {GAP},
    refuse_what_took_effect: {REFUSED},
    resurrect_a_refused_op: {REFUSED, WRONG_EFFECT},
}


@pytest.mark.parametrize("alter", CHANGES, ids=lambda alter: alter.__name__)
def test_no_change_goes_unnoticed(alter: Change) -> None:
    @settings(
        max_examples=EXAMPLES // 2,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.filter_too_much],
    )
    @given(stories)
    def changed(drawn: tuple[random.Random, Story]) -> None:
        rng, story = drawn
        history = History()
        history.records = list(story.history.records)
        alter(history.records, rng)
        history.records = [
            replace(record, seq=seq) for seq, record in enumerate(history.records, 1)
        ]
        assert verdict(history, {CART: story.ops}) & CHANGES[alter]

    changed()
