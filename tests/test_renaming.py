"""A new name takes the place of the old one, also where that was just being looked up."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tests.helpers import eventually
from tests.stage import Gate, Socket, Stage


class SlowAnswers:
    """Holds back answers about names that have been read, each until its gate opens."""

    def __init__(self, stage: Stage) -> None:
        self._names = stage.directory.names
        self.gates: list[Gate] = []
        stage.directory.names = self.names  # type: ignore[method-assign]

    def hold_next(self) -> Gate:
        gate = Gate()
        gate.shut()
        self.gates.append(gate)
        return gate

    async def names(self, user_ids: Collection[str]) -> dict[str, str]:
        found = await self._names(user_ids)
        if self.gates:
            await self.gates.pop(0).pass_through()
        return found


def rename(stage: Stage, user: str, name: str) -> None:
    stage.directory.renamed[user] = name
    stage.hub.sign_ins.name_changed(user)


async def names_in(socket: Socket, cart: str) -> list[str]:
    reply = await socket.ask("cart.join", cart=cart)
    return [member["name"] for member in reply["state"]["members"]]


async def shared_cart(ana: Socket) -> str:
    cart = await ana.create()
    share: Any = {"users": [{"user": "usr_ben", "role": "editor"}]}
    assert (await ana.reply(ana.op(cart, "share", **share)))["type"] == "ok"
    return cart


async def told(socket: Socket, cart: str, name: str) -> None:
    """Wait until a socket that has joined a cart was told of a member's new name."""

    def is_told() -> bool:
        states = [one for one in socket.frames if one["type"] == "cart.state"]
        return any(
            member["name"] == name
            for one in states
            if one["cart"] == cart
            for member in one["state"]["members"]
        )

    await eventually(is_told, what=f"{name} told")


async def test_a_room_that_is_being_opened_gets_the_new_name() -> None:
    async with Stage(room_idle_s=0.01) as stage:
        ana, ben = await stage.connect("ana"), await stage.connect("ben")
        cart = await shared_cart(ana)
        watched = await ben.create()
        await ana.ask("cart.leave", cart=cart)
        await eventually(lambda: cart not in stage.hub.open_carts(), what="the room to leave")
        slow = SlowAnswers(stage)
        gate = slow.hold_next()
        joining = ben.say("cart.join", cart=cart)
        await gate.has(1)
        rename(stage, "usr_ben", "Benjamin")
        await told(ben, watched, "Benjamin")
        gate.open()
        state = (await ben.reply(joining))["state"]
        assert [member["name"] for member in state["members"]] == ["Ana", "Benjamin"]


async def test_who_is_renamed_while_being_let_in_is_let_in_under_the_new_name() -> None:
    async with Stage() as stage:
        ana, ben = await stage.connect("ana"), await stage.connect("ben")
        cart, watched = await ana.create(), await ben.create()
        stage.log.before_insert.shut()
        share: Any = {"users": [{"user": "usr_ben", "role": "editor"}]}
        sharing = ana.op(cart, "share", **share)
        await stage.log.before_insert.has(1)
        rename(stage, "usr_ben", "Benjamin")
        await told(ben, watched, "Benjamin")
        stage.log.before_insert.open()
        assert (await ana.reply(sharing))["op"]["users"][0]["name"] == "Benjamin"
        assert await names_in(ben, cart) == ["Ana", "Benjamin"]


async def test_the_last_of_two_new_names_stays_however_long_the_first_was_looked_up() -> None:
    async with Stage() as stage:
        ana = await stage.connect("ana")
        cart = await ana.create()
        slow = SlowAnswers(stage)
        gate = slow.hold_next()
        rename(stage, "usr_ana", "Anna")
        await gate.has(1)
        rename(stage, "usr_ana", "Annabel")
        await told(ana, cart, "Annabel")
        gate.open()
        await eventually(lambda: not gate.waiting)
        await ana.reply(ana.rename(cart, "After"))
        assert await names_in(ana, cart) == ["Annabel"]
