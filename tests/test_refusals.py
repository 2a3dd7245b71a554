"""An op that was refused for good never takes effect, wherever copies of it are still under way.

Its client left it at one instance, whose commit or queue is held still here, and was refused at
another. Refusals of clients that were elsewhere are therefore on record: entries of the log.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from realtime.limits import CLIENTS_PER_USER_MAX, RECENT_OPS_MAX
from tests.helpers import eventually
from tests.stage import Message, Socket, Stage, hurried, turns

TEA = [{"sku": "tea", "qty": 5}]


@dataclass
class Scene:
    """Two instances with one cart. Ben's socket at `here` is half open once he is `there`."""

    here: Stage
    there: Stage
    cart: str
    ana: Socket
    ben: Socket

    async def moves(self, user: str = "ben") -> Socket:
        """The same client at the other instance; the one it left notices nothing."""
        return await self.there.connect(user, self.ben.client)

    def log(self) -> list[Message]:
        return self.here.store.entries(self.cart)

    def kinds_of(self, op_id: str) -> list[str]:
        return [entry["op"]["kind"] for entry in self.log() if entry["op_id"] == op_id]


@asynccontextmanager
async def scene(role: str | None = "editor") -> AsyncIterator[Scene]:
    """The instances hear of each other's commits only when they look."""
    async with Stage() as here, here.other() as there:
        here.bus.flowing = there.bus.flowing = False
        ana, ben = await here.connect("ana"), await here.connect("ben")
        cart = await ana.create()
        if role is not None:
            grant = {"users": [{"user": ben.user, "role": role}]}
            assert (await ana.reply(ana.op(cart, "share", **grant)))["rev"] == 2
        yield Scene(here, there, cart, ana, ben)


def without_id(reply: Message) -> Message:
    return {key: value for key, value in reply.items() if key != "id"}


def effects(socket: Socket) -> list[Message]:
    return [op for frame in socket.frames if frame["type"] == "cart.ops" for op in frame["ops"]]


# What may be under way at the instance that a client has left


async def test_an_op_in_a_commit_whose_outcome_is_unknown() -> None:
    """With the op that makes it possible in the same commit, on the very head that refused it."""
    async with scene() as s:
        await s.ana.ask("cart.join", cart=s.cart)
        s.here.log.after_insert.shut()
        s.ana.rename(s.cart, "First")
        await s.here.log.after_insert.has(1)
        added = s.ana.op(s.cart, "add", items=TEA)
        op_id = f"{s.ben.client}:1"
        left = s.ben.op(s.cart, "remove", op_id, line="lin_4_0")
        await turns()
        s.here.log.before_insert.shut()
        s.here.log.after_insert.open()
        await s.here.log.before_insert.has(1)
        again = await s.moves()
        refused = await again.reply(again.op(s.cart, "remove", op_id, line="lin_4_0"))
        assert refused["code"] == "not_found"
        assert [entry["op"]["kind"] for entry in s.log()][2:] == ["rename", "refuse"]
        s.here.log.before_insert.open()
        assert (await s.ana.reply(added))["rev"] == 5
        assert without_id(await s.ben.reply(left)) == without_id(refused)
        assert s.kinds_of(op_id) == ["refuse"]
        joined = await s.ana.ask("cart.join", cart=s.cart)
        assert [line["qty"] for line in joined["state"]["lines"]] == [5]
        assert s.ana.revs() == [2, 3, 4, 5]


async def test_an_op_that_other_stock_made_possible() -> None:
    async with scene() as s:
        s.here.log.before_insert.shut()
        op_id = f"{s.ben.client}:1"
        left = s.ben.op(s.cart, "add", op_id, items=TEA)
        await s.here.log.before_insert.has(1)
        s.there.catalog.available = 2
        again = await s.moves()
        refused = await again.reply(again.op(s.cart, "add", op_id, items=TEA))
        assert (refused["code"], refused["available"]) == ("out_of_stock", 2)
        assert [result["code"] for result in refused["results"]] == ["out_of_stock"]
        s.here.log.before_insert.open()
        assert without_id(await s.ben.reply(left)) == without_id(refused)
        assert s.kinds_of(op_id) == ["refuse"]


async def test_an_op_whose_commit_lands_first_is_acknowledged() -> None:
    """The refusal loses the race for the rev, and is none any more."""
    async with scene() as s:
        s.there.catalog.available = 2
        again = await s.moves()
        s.there.log.before_insert.shut()
        op_id = f"{s.ben.client}:1"
        resent = again.op(s.cart, "add", op_id, items=TEA)
        await s.there.log.before_insert.has(1)
        assert (await s.ben.reply(s.ben.op(s.cart, "add", op_id, items=TEA)))["rev"] == 3
        s.there.log.before_insert.open()
        reply = await again.reply(resent)
        assert (reply["type"], reply["rev"]) == ("ok", 3)
        assert s.kinds_of(op_id) == ["add"]


async def test_an_op_that_waits_in_a_room() -> None:
    """Its socket is dead, and nobody has noticed; it would be judged on a later state."""
    async with scene() as s:
        s.here.catalog.looking_up.shut()
        s.ana.op(s.cart, "add", items=TEA)
        first = await s.here.connect("ana")
        waits_for_a_look_up = first.op(s.cart, "add", items=[{"sku": "jam", "qty": 1}])
        room = s.here.hub.room(s.cart)
        assert room is not None
        room.recovery.request(catch_up=True)
        op_id = f"{s.ben.client}:1"
        left = s.ben.op(s.cart, "remove", op_id, line="lin_4_0")
        await turns()
        again = await s.moves()
        refused = await again.reply(again.op(s.cart, "remove", op_id, line="lin_4_0"))
        assert refused["code"] == "not_found"
        elsewhere = await s.there.connect("ana")
        assert (await elsewhere.reply(elsewhere.op(s.cart, "add", items=TEA)))["rev"] == 4
        s.here.catalog.looking_up.open()
        assert (await first.reply(waits_for_a_look_up))["type"] == "ok"
        assert without_id(await s.ben.reply(left)) == without_id(refused)
        assert s.kinds_of(op_id) == ["refuse"]


async def test_an_op_that_a_role_allowed_at_one_and_not_at_the_other() -> None:
    """Ben is an editor in a commit under way, which holds his op, too; elsewhere a viewer yet."""
    async with scene("viewer") as s:
        s.here.log.after_insert.shut()
        s.ana.rename(s.cart, "First")
        await s.here.log.after_insert.has(1)
        raised = s.ana.op(s.cart, "share", users=[{"user": s.ben.user, "role": "editor"}])
        op_id = f"{s.ben.client}:1"
        left = s.ben.rename(s.cart, "Ben's", op_id)
        await turns()
        s.here.log.before_insert.shut()
        s.here.log.after_insert.open()
        await s.here.log.before_insert.has(1)
        again = await s.moves()
        refused = await again.reply(again.rename(s.cart, "Ben's", op_id))
        assert refused["code"] == "forbidden"
        s.here.log.before_insert.open()
        assert (await s.ana.reply(raised))["rev"] == 5
        assert without_id(await s.ben.reply(left)) == without_id(refused)
        assert s.kinds_of(op_id) == ["refuse"]


# Who is no member writes nothing into a cart, not even a refusal


@pytest.mark.parametrize("waits", ["behind the share", "in the room"])
async def test_an_op_of_somebody_who_is_let_in_meanwhile(waits: str) -> None:
    """It takes effect only if its sender is still there to send it again."""
    async with scene(role=None) as s:
        op_id = f"{s.ben.client}:1"
        grant = {"users": [{"user": s.ben.user, "role": "editor"}]}
        if waits == "behind the share":
            await s.ana.ask("cart.join", cart=s.cart)
            s.here.log.before_insert.shut()
            shared = s.ana.op(s.cart, "share", **grant)
            await s.here.log.before_insert.has(1)
            left = s.ben.rename(s.cart, "Ben's", op_id)
        else:
            s.here.outbox.marking.shut()
            s.here.hub._rooms[s.cart]._marked_until_s = 0.0
            s.ana.rename(s.cart, "Held")
            await s.here.outbox.marking.has(1)
            left = s.ben.rename(s.cart, "Ben's", op_id)
        await turns()
        again = await s.moves()
        refused = await again.reply(again.rename(s.cart, "Ben's", op_id))
        assert refused["code"] == "not_found"
        if waits == "behind the share":
            s.here.log.before_insert.open()
            assert (await s.ana.reply(shared))["rev"] == 2
        else:
            elsewhere = await s.there.connect("ana")
            assert (await elsewhere.reply(elsewhere.op(s.cart, "share", **grant)))["rev"] == 2
            s.here.outbox.marking.open()
        assert (await s.ben.reply(left))["code"] == "unavailable"
        assert s.kinds_of(op_id) == []
        own = f"{s.ben.client}:2"
        reply = await s.ben.reply(s.ben.rename(s.cart, "Sent again", own))
        assert reply["type"] == "ok", reply


async def test_removed_and_let_in_again_within_what_is_undecided() -> None:
    async with scene() as s:
        s.here.log.before_insert.shut()
        op_id = f"{s.ben.client}:1"
        s.ana.op(s.cart, "unshare", user=s.ben.user)
        await s.here.log.before_insert.has(1)
        shared = s.ana.op(s.cart, "share", users=[{"user": s.ben.user, "role": "editor"}])
        left = s.ben.rename(s.cart, "Ben's", op_id)
        await turns()
        s.here.log.before_insert.open()
        assert (await s.ana.reply(shared))["rev"] == 4
        assert (await s.ben.reply(left))["code"] == "unavailable"
        assert s.kinds_of(op_id) == []


async def test_a_role_that_is_only_raised_puts_nobody_off() -> None:
    async with scene("viewer") as s:
        s.here.log.before_insert.shut()
        s.ana.op(s.cart, "share", users=[{"user": s.ben.user, "role": "editor"}])
        await s.here.log.before_insert.has(1)
        renamed = s.ben.rename(s.cart, "Ben's")
        await turns()
        s.here.log.before_insert.open()
        assert (await s.ben.reply(renamed))["rev"] == 4


@pytest.mark.parametrize("ending", ["unshare", "delete"])
async def test_a_refusal_that_races_with_the_end_of_the_membership(ending: str) -> None:
    """It is told all the same, and leaves nothing in the log."""
    async with scene() as s:
        again = await s.moves()
        s.there.log.before_insert.shut()
        refused = again.op(s.cart, "remove", line="lin_none")
        await s.there.log.before_insert.has(1)
        fields: dict[str, Any] = {"user": s.ben.user} if ending == "unshare" else {}
        assert (await s.ana.reply(s.ana.op(s.cart, ending, **fields)))["rev"] == 3
        s.there.log.before_insert.open()
        assert (await again.reply(refused))["code"] == "not_found"
        assert [entry["op"]["kind"] for entry in s.log()][2:] == [ending]


# What is on record


async def on_record(s: Scene) -> tuple[str, Message]:
    """An `add` of Ben's that was refused for one item and is on record at rev 3."""
    s.there.catalog.available = 2
    again = await s.moves()
    items = [*TEA, {"sku": "jam", "qty": 1}]
    op_id = f"{s.ben.client}:1"
    reply = await again.reply(again.op(s.cart, "add", op_id, items=items))
    assert reply["code"] == "out_of_stock"
    assert [result and result["code"] for result in reply["results"]] == ["out_of_stock", None]
    assert s.kinds_of(op_id) == ["refuse"]
    s.here.catalog.available = s.there.catalog.available = None
    return op_id, reply


async def resend(stage: Stage, s: Scene, op_id: str) -> Message:
    socket = await stage.connect("ben", s.ben.client)
    items = [*TEA, {"sku": "jam", "qty": 1}]
    return await socket.reply(socket.op(s.cart, "add", op_id, items=items))


async def test_a_resend_is_refused_in_the_same_words_everywhere() -> None:
    async with scene() as s:
        op_id, first = await on_record(s)
        for stage in (s.there, s.here):
            assert without_id(await resend(stage, s, op_id)) == without_id(first)
        async with Stage(s.here.store) as restarted:
            assert without_id(await resend(restarted, s, op_id)) == without_id(first)
        assert s.kinds_of(op_id) == ["refuse"]


@pytest.mark.parametrize("evicted", [False, True])
async def test_a_resend_of_what_was_refused_long_ago_is_refused(evicted: bool) -> None:
    async with scene() as s:
        op_id, first = await on_record(s)
        many = await s.here.connect("ben")
        clients = CLIENTS_PER_USER_MAX if evicted else 1
        for _ in range(clients):
            reply = await many.reply(many.rename(s.cart, "Others", f"{uuid.uuid4()}:1"))
            assert reply["type"] == "ok"
        for _ in range(2):
            many = await s.here.connect("ana")
            last = [many.rename(s.cart, "Many") for _ in range(RECENT_OPS_MAX // 2)][-1]
            assert (await many.reply(last))["type"] == "ok"
        assert without_id(await resend(s.here, s, op_id)) == without_id(first)


async def test_a_number_on_record_is_used() -> None:
    async with scene() as s:
        op_id, _ = await on_record(s)
        reply = await s.ben.reply(s.ben.rename(s.cart, "Other content", op_id))
        assert reply["code"] == "conflict"
        reply = await s.ben.reply(s.ben.rename(s.cart, "Next", f"{s.ben.client}:2"))
        assert reply["rev"] == 4


async def test_everybody_gets_the_rev_and_the_results_go_to_their_client_alone() -> None:
    async with scene() as s:
        s.there.catalog.available = 2
        elsewhere = await s.there.connect("ana")
        await elsewhere.ask("cart.join", cart=s.cart)
        again = await s.moves()
        joined = await again.ask("cart.join", cart=s.cart)
        assert joined["n"] == 0
        refused = await again.reply(again.op(s.cart, "add", items=TEA))
        await eventually(lambda: effects(again), what="a push")
        for socket in (elsewhere, again):
            (op,) = effects(socket)
            assert (op["rev"], op["by"], op["op_id"]) == (3, s.ben.user, f"{s.ben.client}:1")
            assert op["op"] == {
                "kind": "refuse",
                "code": "out_of_stock",
                "message": refused["message"],
                "sku": "tea",
                "available": 2,
            }
        renamed = await again.reply(again.rename(s.cart, "Next"))
        assert (renamed["type"], again.revs()) == ("ok", [3, 4])
        assert (await again.ask("cart.join", cart=s.cart))["n"] == 2


async def test_refusals_and_ops_share_commits_and_keep_their_order() -> None:
    async with scene() as s:
        again, elsewhere = await s.moves(), await s.there.connect("ana")
        for socket in (again, elsewhere):
            await socket.ask("cart.join", cart=s.cart)
        s.there.log.before_insert.shut()
        elsewhere.rename(s.cart, "Held")
        await s.there.log.before_insert.has(1)
        asked = []
        for number in range(4):
            asked.append(again.op(s.cart, "remove", line="lin_none"))
            asked.append(again.rename(s.cart, f"Name {number}"))
            elsewhere.rename(s.cart, "Ana's")
        await turns()
        s.there.log.before_insert.open()
        replies = [await again.reply(id_) for id_ in asked]
        assert [reply.get("code", "ok") for reply in replies] == ["not_found", "ok"] * 4
        assert [one["rev"] for one in replies[1::2]] == [5, 8, 11, 14]
        await eventually(lambda: len(again.revs()) == 13, what="all revs")
        assert again.revs() == elsewhere.revs() == list(range(3, 16))
        assert len([key for key in s.here.store.commits if key.startswith(s.cart)]) == 4


async def test_a_refusal_whose_commit_takes_too_long_comes_as_a_push() -> None:
    async with scene() as s:
        again = await s.moves()
        await again.ask("cart.join", cart=s.cart)
        s.there.log.before_insert.shut()
        op_id = f"{s.ben.client}:1"
        with hurried(s.there.hub, s.cart):
            asked = again.op(s.cart, "remove", op_id, line="lin_none")
            assert (await again.reply(asked))["code"] == "unavailable"
        s.there.log.before_insert.open()
        await eventually(lambda: effects(again), what="a push")
        assert effects(again)[0]["op"]["kind"] == "refuse"
        reply = await again.reply(again.op(s.cart, "remove", op_id, line="lin_none"))
        assert reply["code"] == "not_found"
        assert s.kinds_of(op_id) == ["refuse"]


# Where nothing needs to be on record


async def test_who_was_nowhere_else_is_refused_without_a_trace() -> None:
    async with scene() as s:
        at_home = await s.here.connect("ben", s.ben.client)
        new = await s.there.connect("ben")
        for socket in (s.ben, at_home, new):
            reply = await socket.reply(socket.op(s.cart, "remove", line="lin_none"))
            assert reply["code"] == "not_found"
        assert len(s.log()) == 2


@pytest.mark.parametrize("op", [{"kind": "change_quantity", "line": "lin_none", "by": 0}])
async def test_what_no_state_allows_is_refused_without_a_trace(op: Message) -> None:
    async with scene() as s:
        again = await s.moves()
        reply = await again.ask("cart.op", cart=s.cart, op_id=f"{s.ben.client}:1", op=op)
        assert reply["code"] == "bad_request"
        assert len(s.log()) == 2


async def test_what_cannot_be_stored_is_refused_without_a_trace() -> None:
    """A refusal may quote the op, which no log could hold either."""
    async with scene() as s:
        again = await s.moves()
        reply = await again.reply(again.op(s.cart, "remove", line="\ud800"))
        assert reply["type"] == "error"
        assert not reply["temporary"]
        assert len(s.log()) == 2


async def test_a_stranger_leaves_no_trace() -> None:
    async with scene(role=None) as s:
        again = await s.moves()
        reply = await again.reply(again.rename(s.cart, "Stranger"))
        assert reply["code"] == "not_found"
        assert len(s.log()) == 1


# Copies at one instance of what has been elsewhere in between


@pytest.mark.parametrize("told", [False, True])
async def test_a_refusal_without_a_trace_gets_on_record_for_who_comes_back(told: bool) -> None:
    """Between the two copies its client was elsewhere, where the op may be under way now."""
    async with scene() as s:
        op_id = f"{s.ben.client}:1"
        held = None
        if not told:
            s.here.log.before_insert.shut()
            held = s.ana.rename(s.cart, "Held")
            await s.here.log.before_insert.has(1)
        first = s.ben.op(s.cart, "remove", op_id, line="lin_none")
        await turns()
        if told:
            assert (await s.ben.reply(first))["code"] == "not_found"
            assert s.kinds_of(op_id) == []
        await s.moves()
        back = await s.here.connect("ben", s.ben.client)
        second = back.op(s.cart, "remove", op_id, line="lin_none")
        await turns()
        if held is not None:
            s.here.log.before_insert.open()
            assert (await s.ana.reply(held))["type"] == "ok"
        replies = [await s.ben.reply(first), await back.reply(second)]
        assert [reply["code"] for reply in replies] == ["not_found", "not_found"]
        assert s.kinds_of(op_id) == ["refuse"]


async def test_what_goes_on_record_late_does_not_go_back_in_numbers() -> None:
    """Its client has a higher number under way by then: the copy can have no effect anyway."""
    async with scene() as s:
        s.here.log.before_insert.shut()
        held = s.ana.rename(s.cart, "Held")
        await s.here.log.before_insert.has(1)
        first = s.ben.op(s.cart, "remove", f"{s.ben.client}:1", line="lin_none")
        higher = s.ben.rename(s.cart, "Higher", f"{s.ben.client}:2")
        await s.moves()
        back = await s.here.connect("ben", s.ben.client)
        copy = back.op(s.cart, "remove", f"{s.ben.client}:1", line="lin_none")
        await turns()
        s.here.log.before_insert.open()
        assert (await s.ana.reply(held))["type"] == "ok"
        assert (await s.ben.reply(first))["code"] == "not_found"
        assert (await s.ben.reply(higher))["rev"] == 4
        assert (await back.reply(copy))["code"] == "conflict"
        assert len(s.log()) == 4


async def test_ops_that_a_closed_tab_left_may_be_anywhere() -> None:
    async with scene() as s:
        other_tab = await s.there.connect("ben")
        op_id = f"{s.ben.client}:1"
        reply = await other_tab.reply(other_tab.op(s.cart, "remove", op_id, line="lin_none"))
        assert reply["code"] == "not_found"
        assert s.kinds_of(op_id) == ["refuse"]
