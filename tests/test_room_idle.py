"""Rooms that nobody uses any more, while something in them is under way yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from realtime.ports import SystemClock, TimerHandle
from tests.helpers import eventually
from tests.stage import Stage, turns


class CountingClock(SystemClock):
    """Counts the timers that are set."""

    def __init__(self) -> None:
        super().__init__()
        self.timers = 0

    def call_later(
        self, delay_s: float, callback: Callable[..., object], *args: Any
    ) -> TimerHandle:
        self.timers += 1
        return super().call_later(delay_s, callback, *args)


class RememberingClock(SystemClock):
    """Keeps the timers that are set for a delay."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self.delay_s = delay_s
        self.timers: list[asyncio.TimerHandle] = []

    def call_later(
        self, delay_s: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        timer = asyncio.get_running_loop().call_later(delay_s, callback, *args)
        if delay_s == self.delay_s:
            self.timers.append(timer)
        return timer


class SteppingClock(SystemClock):
    """Is ahead by as much as it is told."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def test_an_unused_room_that_has_to_wait_is_not_looked_after_without_pause() -> None:
    """A cart was being made on a slow store, and who made it went: the loop span meanwhile.

    Found by the simulation, whose time stood still.
    """
    async with Stage(room_idle_s=0.05) as stage:
        ana = await stage.connect()
        stage.outbox.marking.shut()
        ana.say("cart.create", name="Slow", op_id=f"{ana.client}:1")
        await stage.outbox.marking.has(1)
        stage.services.clock = clock = CountingClock()
        ana.session.on_closed()
        await turns(200)
        assert clock.timers < 20
        stage.outbox.marking.open()
        await eventually(lambda: not list(stage.hub.open_carts()), what="the room to leave")


async def test_a_room_renews_its_mark_before_it_commits_when_that_is_old() -> None:
    """What nobody follows any more must not get commits that nobody hears of."""
    async with Stage(mark_renew_s=100.0) as stage:
        ana = await stage.connect()
        stage.services.clock = clock = SteppingClock()
        cart = await ana.create()
        for number in range(3):
            await ana.reply(ana.rename(cart, f"Soon {number}"))
        assert stage.outbox.marked == [cart]
        clock.ahead_s = 101.0
        stage.outbox.marking.shut()
        late = ana.rename(cart, "Later")
        await stage.outbox.marking.has(1)
        await turns()
        assert len(stage.store.commits) == 4
        stage.outbox.marking.open()
        assert (await ana.reply(late))["rev"] == 5
        await ana.reply(ana.rename(cart, "Soon again"))
        assert stage.outbox.marked == [cart, cart]


async def test_a_cart_that_is_opened_anew_is_stored_as_it_changes() -> None:
    """A timer of the room that had left took what was to be stored for its own."""
    async with Stage(room_idle_s=0.01, snapshot_every_s=1.0) as stage:
        ana = await stage.connect()
        cart = await ana.create()
        await ana.ask("cart.leave", cart=cart)
        await eventually(lambda: not list(stage.hub.open_carts()), what="the room to leave")
        await ana.ask("cart.join", cart=cart)
        assert (await ana.reply(ana.rename(cart, "Stored")))["rev"] == 2
        await eventually(lambda: stage.store.snapshots[cart]["rev"] == 2, what="a snapshot")


async def test_a_room_that_is_used_now_and_then_stays_until_its_last_use_is_long_ago() -> None:
    """Each use left a timer of its own behind, and each of these made the room leave."""
    async with Stage(room_idle_s=3600.0) as stage:
        ana = await stage.connect()
        stage.services.clock = clock = RememberingClock(3600.0)
        cart = await ana.create()
        for _ in range(10):
            await ana.ask("cart.leave", cart=cart)
            await ana.ask("cart.join", cart=cart)
        await ana.ask("cart.leave", cart=cart)
        await eventually(lambda: len(clock.timers) == 11, what="the last one")
        assert [timer.cancelled() for timer in clock.timers] == [True] * 10 + [False]


async def test_who_gives_up_waiting_for_the_store_is_kept_no_longer() -> None:
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        room = stage.hub.room(cart)
        assert room is not None
        stage.services.timing = replace(stage.services.timing, commit_timeout_s=0.02)
        stage.bus.fresh = False
        stage.log.reading.shut()
        for _ in range(5):
            assert (await ana.ask("cart.join", cart=cart))["code"] == "unavailable"
        assert not room.recovery._waiters
        stage.log.reading.open()
        stage.services.timing = replace(stage.services.timing, commit_timeout_s=60.0)
        assert (await ana.ask("cart.join", cart=cart))["type"] == "ok"
