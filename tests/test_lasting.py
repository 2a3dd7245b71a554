"""What an instance does as long as it lives goes on after a fault: nothing else would do it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from realtime import hub, signin_checks
from tests.helpers import eventually
from tests.stage import Socket, Stage, principal_of


async def closed(socket: Socket) -> Any:
    """Wait until it is closed; answers why."""

    def closes() -> list[Any]:
        return [frame["reason"] for frame in socket.frames if frame["type"] == "closed"]

    return (await eventually(closes, what="a close"))[0]


async def test_rooms_are_compared_with_the_store_after_an_answer_that_made_no_sense() -> None:
    async with Stage(catch_up_every_s=0.05) as stage, stage.other() as other:
        ana, ben = await stage.connect("ana"), await other.connect("ana")
        cart = await ana.create()
        await ben.ask("cart.join", cart=cart)
        moved, asked = stage.log.moved, 0

        async def nonsense(heads: Sequence[tuple[str, int]]) -> set[str]:
            nonlocal asked
            asked += 1
            if asked <= 2:
                raise ValueError("no BSON")
            return await moved(heads)

        stage.log.moved = nonsense  # type: ignore[method-assign]
        await eventually(lambda: asked >= 2, what="answers that make no sense")
        other.bus.flowing = False
        ben.rename(cart, "Nobody tells")
        await ana.has_rev(2)


async def test_sign_ins_are_checked_after_an_answer_that_made_no_sense(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("EVERY_S", "EVERY_DEAF_S", "AT_ONCE_S"):
        monkeypatch.setattr(signin_checks, name, 0.02)
    async with Stage() as stage:
        stage.access.answers += [ValueError("no BSON"), ValueError("no BSON")]
        ana = await stage.connect("ana", session="ses_1")
        await eventually(lambda: not stage.access.answers, what="answers that make no sense")
        stage.access.gone.add("ses_1")
        assert await closed(ana) == "signed_out"


async def test_sockets_are_looked_after_beside_one_that_can_not_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "SWEEP_S", 0.02)
    async with Stage() as stage:
        ana = await stage.connect("ana")
        asked = 0

        def fail(now_s: float, wall_s: float) -> None:
            nonlocal asked
            asked += 1
            raise ValueError("a fault")

        ana.session.check_time = fail  # type: ignore[method-assign]
        stage.hub.add_session(ana.session)
        await eventually(lambda: asked >= 2, what="a fault, twice")
        ben = Socket(stage.hub, "usr_ben", str(uuid.uuid4()))
        stage.sockets.append(ben)
        ben.principal = principal_of("usr_ben", "ses_2", expires_at=time.time() - 1)
        stage.hub.add_session(ben.session)
        assert await ben.greet()
        assert await closed(ben) == "token_ended"


async def test_who_fell_behind_catches_up_beside_one_that_can_not() -> None:
    async with Stage() as stage:
        ana, ben, eva = [await stage.connect("ana") for _ in range(3)]
        cart = await ana.create()
        for one in (ben, eva):
            stage.hub.add_session(one.session)
            await one.ask("cart.join", cart=cart)
            one.unread = 10_000_000

        def fail(now_s: float) -> bool:
            raise ValueError("a fault")

        ben.session.try_to_catch_up = fail  # type: ignore[method-assign]
        await ana.reply(ana.rename(cart, "Unread"))
        assert await closed(ben) == "internal_error"
        eva.unread = 0
        await eventually(
            lambda: [one for one in eva.frames if one["type"] == "cart.state"], what="a state"
        )
