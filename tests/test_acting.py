"""Ops that the service itself makes for a user, without a socket."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from realtime.acting import deed_id, perform
from realtime.errors import CartroomError
from realtime.ops import Grant, Op, Rename, Share
from realtime.wire import Event
from storage.oplog import Outcome
from tests.helpers import eventually
from tests.stage import Stage, set_commit_timeout, turns

ANA, BEA = "usr_ana", "usr_bea"
SHARE = Share((Grant(BEA, "editor"),))


async def rename(stage: Stage, cart: str, name: str, user: str = ANA, **more: float) -> Event:
    op_id = deed_id("rename", cart, name)
    return await perform(stage.hub, cart, user=user, op_id=op_id, op=Rename(name), **more)


async def test_what_the_service_does_for_a_user_is_an_op_of_theirs_and_seen_live() -> None:
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        event = await rename(stage, cart, "By the service")
        await ana.has_rev(event.rev)
        (push,) = [frame for frame in ana.frames if frame["type"] == "cart.ops"]
        (op,) = push["ops"]
        assert op == {**op, "rev": 2, "by": ANA, "op": {"kind": "rename", "name": "By the service"}}


async def test_doing_it_again_anywhere_has_no_effect_and_the_same_answer() -> None:
    async with Stage() as stage, stage.other() as other:
        cart = await (await stage.connect()).create()
        first = await rename(stage, cart, "Once")
        assert await rename(other, cart, "Once") == first
        assert await rename(stage, cart, "Once") == first
        assert len(stage.store.entries(cart)) == 2


async def test_who_is_let_in_so_is_told_with_their_name() -> None:
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        op_id = deed_id("let in", cart, BEA)
        event = await perform(stage.hub, cart, user=ANA, op_id=op_id, op=SHARE)
        users = msgspec.json.decode(event.op)["users"]
        assert users == [{"user": BEA, "role": "editor", "name": "Bea"}]
        state = (await ana.ask("cart.join", cart=cart))["state"]
        assert [member["name"] for member in state["members"]] == ["Ana", "Bea"]


@pytest.mark.parametrize(("user", "op"), [(BEA, Rename("Mine")), ("usr_cem", SHARE)])
async def test_a_refusal_is_raised_and_nothing_has_changed(user: str, op: Op) -> None:
    async with Stage() as stage:
        cart = await (await stage.connect()).create()
        with pytest.raises(CartroomError) as refused:
            await perform(stage.hub, cart, user=user, op_id=deed_id("no", user), op=op)
        assert refused.value.code == "not_found"
        assert len(stage.store.entries(cart)) == 1


async def test_a_lost_race_is_run_again() -> None:
    async with Stage() as stage, stage.other() as other:
        cart = await (await stage.connect()).create()
        await rename(other, cart, "Both have it open")
        stage.bus.flowing = other.bus.flowing = False
        await rename(stage, cart, "Faster")
        event = await rename(other, cart, "Slower")
        assert event.rev == 4
        names = [entry["op"]["name"] for entry in stage.store.entries(cart)]
        assert names[-2:] == ["Faster", "Slower"]


async def test_temporary_answers_are_waited_out() -> None:
    """The first try finds no store for longer than an answer may take; the next ones do."""
    async with Stage() as stage:
        cart = await (await stage.connect()).create()
        set_commit_timeout(stage.hub, 1.0)
        stage.log.before_insert.shut()
        doing = asyncio.create_task(rename(stage, cart, "Late"))
        await stage.log.before_insert.has(1)
        room = stage.hub.room(cart)
        assert room is not None
        assert room.flight is not None
        (decision,) = room.flight.decisions
        await eventually(lambda: decision.resends, what="another try")
        stage.log.before_insert.open()
        event = await doing
        assert event.rev == 2
        assert len(stage.store.entries(cart)) == 2


async def test_patience_ends_with_the_temporary_answer() -> None:
    async with Stage() as stage:
        cart = await (await stage.connect()).create()
        set_commit_timeout(stage.hub, 1.0)
        stage.log.answers.extend([Outcome.UNKNOWN] * 1_000)
        with pytest.raises(CartroomError) as refused:
            await rename(stage, cart, "Never", patience_s=0.1)
        assert refused.value.temporary
        stage.log.answers.clear()
        assert (await rename(stage, cart, "Never")).rev == 2


async def test_a_server_that_drains_does_nothing_more() -> None:
    async with Stage() as stage:
        cart = await (await stage.connect()).create()
        stage.hub.draining = True
        with pytest.raises(CartroomError) as refused:
            await rename(stage, cart, "Too late")
        assert refused.value.code == "unavailable"
        assert len(stage.store.entries(cart)) == 1


async def test_who_stops_waiting_harms_nobody() -> None:
    async with Stage(room_idle_s=0.05) as stage:
        ana = await stage.connect()
        cart = await ana.create()
        stage.log.before_insert.shut()
        doing = asyncio.create_task(rename(stage, cart, "Unwatched"))
        await stage.log.before_insert.has(1)
        doing.cancel()
        await turns()
        stage.log.before_insert.open()
        await ana.has_rev(2)
        ana.session.on_closed()
        await eventually(lambda: not list(stage.hub.open_carts()), what="the room to leave")
