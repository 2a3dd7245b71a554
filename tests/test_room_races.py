"""Races between requests, commits and other instances, each held still at its worst moment.

The instance here is the real one on a store whose answers the test holds back; what a race did to
clients when it was found is told with each test.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from realtime.limits import CLIENTS_PER_USER_MAX, RECENT_OPS_MAX
from realtime.state import FORMAT
from storage.oplog import Outcome
from tests.helpers import eventually
from tests.stage import Socket, Stage, hurried, turns


@asynccontextmanager
async def shared_cart(stage: Stage) -> AsyncIterator[tuple[str, Socket, Socket]]:
    """A cart with an owner and an editor who have both joined."""
    ana, ben = await stage.connect("ana"), await stage.connect("ben")
    cart = await ana.create()
    shared = await ana.reply(ana.op(cart, "share", users=[{"user": ben.user, "role": "editor"}]))
    assert shared["type"] == "ok", shared
    await ben.ask("cart.join", cart=cart)
    yield cart, ana, ben


def sku(name: str) -> list[dict[str, object]]:
    return [{"sku": name, "qty": 1}]


# The order of one socket's ops


async def test_an_op_that_needs_a_look_up_is_not_overtaken_by_the_next() -> None:
    """Without a join, the first op opens the cart; it lost its turn while its sku was looked up.

    The second then took effect first, and the first was refused for good as an old number.
    """
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        again = await stage.connect("ana", ana.client)
        stage.catalog.looking_up.shut()
        first = again.op(cart, "add", f"{ana.client}:10", items=sku("tea"))
        second = again.rename(cart, "Second", f"{ana.client}:11")
        await stage.catalog.looking_up.has(1)
        await turns()
        stage.catalog.looking_up.open()
        assert (await again.reply(first))["type"] == "ok"
        assert (await again.reply(second))["type"] == "ok"


async def test_an_op_that_needs_two_look_ups_is_not_overtaken() -> None:
    """The same, for a user with so many clients that the log is searched, and then the catalog."""
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        for _ in range(CLIENTS_PER_USER_MAX + 1):
            reply = await ana.reply(ana.rename(cart, "x", f"{uuid.uuid4()}:1"))
            assert reply["type"] == "ok"
        late = await stage.connect("ana")
        await late.ask("cart.join", cart=cart)
        stage.catalog.looking_up.shut()
        first = late.op(cart, "add", items=sku("tea"))
        second = late.rename(cart, "Second")
        await stage.catalog.looking_up.has(1)
        await turns()
        stage.catalog.looking_up.open()
        assert (await late.reply(first))["type"] == "ok"
        assert (await late.reply(second))["type"] == "ok"


async def test_requests_that_wait_are_not_overtaken_when_others_run_out_of_time() -> None:
    """One op's time was over while a commit was in flight and a catch-up wanted.

    What had been judged after it went back to wait, but nothing woke it; ops that came later were
    judged first, and took its client's numbers.
    """
    async with Stage() as stage, shared_cart(stage) as (cart, ana, ben):
        room = stage.hub.room(cart)
        assert room is not None
        stage.log.before_insert.shut()
        in_flight = ana.rename(cart, "In flight")
        await stage.log.before_insert.has(1)
        expires = ana.rename(cart, "Expires")
        room.checked_epoch = -1
        looks = (await stage.connect("ana")).say("cart.join", cart=cart)
        assert looks
        await eventually(lambda: room.recovery._wants_catch_up)
        waits = ben.rename(cart, "Waits")
        assert room.flight is not None
        for decision in (*room.flight.decisions, room._queue[0]):
            decision.request.deadline = 0.0
        room._expire()
        assert (await ana.reply(expires))["code"] == "unavailable"
        later = ben.rename(cart, "Later")
        stage.log.before_insert.open()
        assert (await ben.reply(waits))["type"] == "ok"
        assert (await ben.reply(later))["type"] == "ok"
        assert await ana.reply(in_flight)


async def test_a_lost_race_does_not_reorder_what_is_being_drained() -> None:
    """While an op was looked up for, the commit in flight before it lost its race.

    The op was then judged before those that the lost commit gave back.
    """
    async with (
        Stage() as stage,
        stage.other() as other,
        shared_cart(stage) as (cart, ana, ben),
    ):
        stage.bus.flowing = other.bus.flowing = False
        elsewhere = await other.connect("ana")
        await elsewhere.ask("cart.join", cart=cart)
        room = stage.hub.room(cart)
        assert room is not None
        stage.log.before_insert.shut()
        first = ben.rename(cart, "First")
        await stage.log.before_insert.has(1)
        # Another's op runs out of time, so what is queued is judged again; and that waits.
        expires = ana.rename(cart, "Expires")
        second = ben.op(cart, "add", items=sku("tea"))
        await eventually(lambda: len(room._queue) == 2)
        stage.catalog.known.clear()
        stage.catalog.looking_up.shut()
        for decision in room._queue:
            decision.request.facts.clear()
        room._queue[0].request.deadline = 0.0
        room._expire()
        await stage.catalog.looking_up.has(1)
        assert (await elsewhere.reply(elsewhere.rename(cart, "Winner")))["type"] == "ok"
        stage.log.before_insert.open()
        await eventually(lambda: room.flight is None)
        stage.catalog.looking_up.open()
        assert (await ana.reply(expires))["code"] == "unavailable"
        assert (await ben.reply(first))["type"] == "ok"
        assert (await ben.reply(second))["type"] == "ok"


# Who hears of a commit


async def test_an_op_answered_as_unknown_comes_as_a_push_when_it_is_known() -> None:
    """The socket that had sent it got neither `ok` nor push: a hole in the revs it saw."""
    async with Stage() as stage, shared_cart(stage) as (cart, ana, ben):
        stage.log.after_insert.shut()
        with hurried(stage.hub, cart):
            unknown = ben.rename(cart, "Unknown")
            assert (await ben.reply(unknown))["code"] == "unavailable"
        stage.log.after_insert.open()
        await eventually(lambda: ben.revs()[-1:] == [3], what="the push of rev 3")
        assert ana.revs()[-1] == 3


async def test_what_a_new_cart_holds_at_its_reply_is_not_pushed_again() -> None:
    """An op sent right behind `cart.create` shared its commit; rev 1 was pushed after rev 2."""
    async with Stage() as stage:
        ana = await stage.connect()
        create = {"op_id": f"{ana.client}:1", "name": "Stage"}
        cart = (await ana.ask("cart.create", **create))["cart"]
        ben = await stage.connect("ben")
        op_id = f"{ben.client}:1"
        stage.outbox.marking.shut()
        created = ben.say("cart.create", op_id=op_id, name="Ben's")
        await stage.outbox.marking.has(1)
        (own,) = ben.session.lanes
        assert own != cart
        renamed = ben.rename(own, "Renamed", f"{ben.client}:2")
        stage.outbox.marking.open()
        reply, second = await ben.reply(created), await ben.reply(renamed)
        assert second["rev"] == 2
        pushed = [op["rev"] for f in ben.frames if f["type"] == "cart.ops" for op in f["ops"]]
        assert all(rev > reply["rev"] for rev in pushed)


@pytest.mark.parametrize("others", [0, 2])
async def test_a_resend_behind_an_op_of_its_own_is_not_told_late(others: int) -> None:
    """Its `ok` waits for the reply before it, while later revs were pushed past it.

    Nor is it told early, before the `others` that come in its commit ahead of it.
    """
    async with Stage() as stage, shared_cart(stage) as (cart, ana, ben):
        stage.log.before_insert.shut()
        for number in range(others):
            ana.rename(cart, f"Ahead {number}")
        old = await stage.connect("ben")
        old_op = f"{old.client}:1"
        old.rename(cart, "From the closed tab", old_op)
        ana.rename(cart, "Ana's")
        await stage.log.before_insert.has(1)
        own = ben.rename(cart, "Ben's own")
        again = ben.rename(cart, "From the closed tab", old_op)
        old.session.on_closed()
        stage.log.before_insert.open()
        assert (await ben.reply(own))["type"] == "ok"
        assert (await ben.reply(again))["type"] == "ok"
        seen: list[int] = []
        for rev in ben.revs():
            assert not seen or rev <= max(seen) + 1, ben.revs()
            seen.append(rev)
        assert max(seen) == 5 + others


# Commits of other instances


async def test_a_commit_that_arrives_while_a_cart_opens_is_not_missed() -> None:
    """It fell between the read of the log and the room: the room was stale, and didn't know."""
    async with Stage() as stage, stage.other() as other:
        ana = await stage.connect()
        cart = await ana.create()
        elsewhere = await other.connect()
        other.directory.naming.shut()
        joins = elsewhere.say("cart.join", cart=cart)
        await other.directory.naming.has(1)
        assert (await ana.reply(ana.rename(cart, "Meanwhile")))["rev"] == 2
        other.log.reading.shut()
        other.directory.naming.open()
        await other.log.reading.has(1)
        await turns()
        assert elsewhere.answered(joins) is None
        other.log.reading.open()
        reply = await elsewhere.reply(joins)
        assert (reply["rev"], reply["state"]["name"]) == (2, "Meanwhile")


async def test_a_later_commit_is_still_looked_for_after_word_of_an_earlier_one() -> None:
    """Word of two commits came while one of ours was in flight; the second word hid the first."""
    async with Stage() as stage, stage.other() as other, shared_cart(stage) as (cart, _ana, ben):
        elsewhere = await other.connect("ana")
        await elsewhere.ask("cart.join", cart=cart)
        stage.log.after_insert.shut()
        ours = ben.rename(cart, "Ours")
        await stage.log.after_insert.has(1)
        # Ours is in the log, and so the other instance goes on from it.
        theirs = await elsewhere.reply(elsewhere.rename(cart, "Theirs"))
        assert theirs["rev"] == 4
        # An older message comes late.
        room = stage.hub.room(cart)
        assert room is not None
        room.recovery.check_above(2)
        stage.log.after_insert.open()
        assert (await ben.reply(ours))["rev"] == 3
        await eventually(lambda: room.committed.rev == 4, what="rev 4")


async def test_who_loses_a_race_has_the_winner_wait_for_its_turn_too() -> None:
    """A winner who knew of nobody else went on without a pause, and the other never got on."""
    async with (
        Stage() as stage,
        stage.other() as other,
        shared_cart(stage) as (cart, ana, _),
    ):
        stage.bus.flowing = other.bus.flowing = False
        elsewhere = await other.connect("ana")
        await elsewhere.ask("cart.join", cart=cart)
        other.log.before_insert.shut()
        loser = elsewhere.rename(cart, "Loser")
        await other.log.before_insert.has(1)
        assert (await ana.reply(ana.rename(cart, "Winner")))["rev"] == 3
        winner = stage.hub.room(cart)
        assert winner is not None
        assert not winner.turns.contended
        other.log.before_insert.open()
        assert (await elsewhere.reply(loser))["rev"] == 4
        assert winner.turns.contended


async def test_an_op_that_took_effect_elsewhere_is_not_refused_by_a_stale_room() -> None:
    """A resend came to an instance that had not heard of the op's line yet: `not_found`, for good.

    But the op was in the log. A refusal counts only when the state that it was judged on is
    known to be the latest.
    """
    async with Stage() as stage, stage.other() as other:
        stage.bus.flowing = other.bus.flowing = False
        async with shared_cart(stage) as (cart, _ana, ben):
            there = await other.connect("ben", ben.client)
            await there.ask("cart.join", cart=cart)
            added = await ben.reply(ben.op(cart, "add", items=sku("tea")))
            line = added["results"][0]["line"]
            op_id = f"{ben.client}:77"
            first = await ben.reply(ben.op(cart, "change_quantity", op_id, line=line, by=2))
            again = await there.reply(there.op(cart, "change_quantity", op_id, line=line, by=2))
            assert again["type"] == "ok", again
            assert (again["rev"], again["op"]) == (first["rev"], first["op"])


async def test_refusals_wait_for_the_store_no_longer_than_ops() -> None:
    async with Stage() as stage, shared_cart(stage) as (cart, _, ben):
        stage.log.reading.shut()
        with hurried(stage.hub, cart):
            reply = await ben.reply(ben.op(cart, "remove", line="lin_9_9"))
        assert reply["code"] == "unavailable"
        stage.log.reading.open()
        reply = await ben.reply(ben.op(cart, "remove", line="lin_9_9"))
        assert reply["code"] == "not_found"


async def test_an_op_of_a_closed_socket_is_not_judged_anew() -> None:
    """It lost a race; its resend elsewhere was refused for good; then it took effect after all."""
    async with (
        Stage() as stage,
        stage.other() as other,
        shared_cart(stage) as (cart, ana, ben),
    ):
        stage.bus.flowing = other.bus.flowing = False
        elsewhere, again = await other.connect("ana"), await other.connect("ben", ben.client)
        stage.log.before_insert.shut()
        op_id = f"{ben.client}:50"
        ben.rename(cart, "Zombie", op_id)
        await stage.log.before_insert.has(1)
        ben.session.on_closed()
        await elsewhere.reply(elsewhere.op(cart, "unshare", user=ben.user))
        assert (await again.reply(again.rename(cart, "Zombie", op_id)))["code"] == "not_found"
        grant = {"users": [{"user": ben.user, "role": "editor"}]}
        assert (await elsewhere.reply(elsewhere.op(cart, "share", **grant)))["rev"] == 4
        stage.log.before_insert.open()
        assert (await ana.reply(ana.rename(cart, "After")))["type"] == "ok"
        assert op_id not in [op["op_id"] for op in stage.store.entries(cart)]


# Rooms that can't go on, and rooms that are not needed


async def test_a_room_whose_last_reader_left_in_an_outage_leaves_memory_after_it() -> None:
    """It was looked at once, while an op was still under way, and never again."""
    async with Stage(room_idle_s=0.05) as stage, shared_cart(stage) as (cart, ana, ben):
        stage.log.before_insert.shut()
        ana.rename(cart, "Under way")
        await stage.log.before_insert.has(1)
        ana.session.on_closed()
        ben.session.on_closed()
        timers: list[int] = []
        stage.clock.call_later(0.2, timers.append, 1)
        await eventually(lambda: timers)
        assert stage.hub.room(cart) is not None
        stage.log.before_insert.open()
        await eventually(lambda: stage.hub.room(cart) is None, what="the room to leave")
        assert stage.store.snapshots[cart]["rev"] == 3


async def test_a_newer_format_closes_the_room_and_answers_everybody_at_once() -> None:
    """Who waited for the catch-up that found it waited until the time limit."""
    async with (
        Stage() as stage,
        stage.other() as other,
        shared_cart(stage) as (cart, _, ben),
    ):
        stage.bus.flowing = other.bus.flowing = False
        elsewhere = await other.connect("ana")
        assert (await elsewhere.reply(elsewhere.rename(cart, "Newer")))["rev"] == 3
        stage.store.commits[f"{cart}:3"]["v"] = FORMAT + 1
        again = await stage.connect("ben")
        reply = await again.ask("cart.join", cart=cart, rev=3)
        assert reply["code"] == "unavailable"
        gone = [frame for frame in ben.frames if frame["type"] == "cart.gone"]
        assert gone == [{"type": "cart.gone", "cart": cart, "reason": "unavailable"}]


async def test_a_search_that_meets_a_newer_format_answers_its_op() -> None:
    async with Stage() as stage, shared_cart(stage) as (cart, _, ben):
        first = await ben.reply(ben.rename(cart, "First"))
        for _ in range(2):
            more = await stage.connect("ben")
            last = [more.rename(cart, "Many") for _ in range(RECENT_OPS_MAX // 2)][-1]
            assert (await more.reply(last))["type"] == "ok"
        assert (await ben.reply(ben.rename(cart, "Last", f"{ben.client}:9")))["type"] == "ok"
        stage.store.commits[f"{cart}:{first['rev']}"]["v"] = FORMAT + 1
        reply = await ben.reply(ben.rename(cart, "First", f"{ben.client}:1"))
        assert reply["code"] == "unavailable"


async def test_a_cart_that_cannot_be_opened_does_not_spoil_the_list() -> None:
    async with Stage() as stage:
        ana = await stage.connect()
        good, bad = await ana.create(), await ana.create()
        stage.hub._rooms.clear()
        stage.store.snapshots.clear()
        stage.store.commits[f"{bad}:1"]["v"] = FORMAT + 1
        reply = await (await stage.connect()).ask("cart.list")
        assert reply["type"] == "ok", reply
        assert [row["cart"] for row in reply["carts"]] == [good]


async def test_a_cart_that_fails_to_open_gives_its_ops_no_final_refusal() -> None:
    """`internal` says: no effect, ever. Of a resend nobody knows that before the cart is open."""
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        stage.hub._rooms.clear()
        stage.store.commits[f"{cart}:1"]["ops"][0]["op"]["kind"] = "mystery"
        again = await stage.connect()
        reply = await again.reply(again.rename(cart, "Resent", f"{ana.client}:5"))
        assert reply["code"] == "unavailable"


# The committer


async def test_a_commit_that_the_store_cannot_take_does_not_hold_up_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It made the whole batch fail, and the batch was tried again as a whole, for ever."""
    monkeypatch.setattr("storage.committer.RETRY_FIRST_S", 0.001)
    monkeypatch.setattr("storage.committer.RETRY_MAX_S", 0.01)
    async with Stage() as stage:
        ana = await stage.connect()
        carts = [await ana.create() for _ in range(8)]
        insert = stage.log.insert

        async def refuse_poison(commits):  # type: ignore[no-untyped-def]
            if any(b"poison" in commit.raw for commit in commits):
                return [Outcome.UNKNOWN] * len(commits)
            return await insert(commits)

        stage.log.insert = refuse_poison  # type: ignore[method-assign]
        ids = [ana.rename(cart, "poison" if cart == carts[3] else "fine") for cart in carts]
        for cart, id_ in zip(carts, ids, strict=True):
            if cart != carts[3]:
                assert (await ana.reply(id_))["type"] == "ok"


async def test_many_unknown_outcomes_are_one_insert_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retried commits are still batched, so that the end of an outage is no storm."""
    monkeypatch.setattr("storage.committer.RETRY_FIRST_S", 0.001)
    async with Stage() as stage:
        ana = await stage.connect()
        carts = [await ana.create() for _ in range(50)]
        sizes: list[int] = []
        stage.committer._on_batch = sizes.append
        stage.log.answers.append(Outcome.UNKNOWN)
        ids = [ana.rename(cart, "Again") for cart in carts]
        for id_ in ids:
            assert (await ana.reply(id_))["type"] == "ok"
        assert sum(sizes) == 100
        assert len(sizes) <= 4


# Copies of what is refused


async def test_copies_of_a_refused_op_share_its_fate() -> None:
    """Sent twice in doubt, the first copy was refused for good; the second, judged after the
    state had changed, took effect.
    """
    async with Stage() as stage, shared_cart(stage) as (cart, ana, ben):
        op_id = f"{ben.client}:1"
        stage.log.before_insert.shut()
        lower = ana.op(cart, "share", users=[{"user": ben.user, "role": "viewer"}])
        await turns()
        first = ben.rename(cart, "Mine", op_id)
        await turns()
        higher = ana.op(cart, "share", users=[{"user": ben.user, "role": "editor"}])
        await turns()
        second = ben.rename(cart, "Mine", op_id)
        await turns()
        stage.log.before_insert.open()
        for id_ in (lower, higher):
            assert (await ana.reply(id_))["type"] == "ok"
        codes = [(await ben.reply(id_)).get("code") for id_ in (first, second)]
        assert codes == ["forbidden", "forbidden"]
        late = await ben.reply(ben.rename(cart, "Mine", op_id))
        assert late["code"] == "forbidden"


async def test_a_refused_number_serves_another_op() -> None:
    """A refusal uses no number, so other content under it is another op, told or untold."""
    async with Stage() as stage, shared_cart(stage) as (cart, ana, ben):
        op_id = f"{ben.client}:1"
        refused = await ben.reply(ben.op(cart, "remove", op_id, line="lin_none"))
        assert refused["code"] == "not_found"
        stage.log.before_insert.shut()
        held = ana.rename(cart, "Held")
        await turns()
        untold = ben.op(cart, "remove", f"{ben.client}:2", line="lin_none")
        other = ben.rename(cart, "Other", f"{ben.client}:2")
        await turns()
        stage.log.before_insert.open()
        assert (await ana.reply(held))["type"] == "ok"
        assert (await ben.reply(untold))["code"] == "not_found"
        assert (await ben.reply(other))["type"] == "ok"
        assert (await ben.reply(ben.rename(cart, "Late", op_id)))["code"] == "conflict"
        assert (await ben.reply(ben.rename(cart, "Next", f"{ben.client}:3")))["type"] == "ok"
