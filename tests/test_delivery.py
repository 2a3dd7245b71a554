"""How a commit's ops reach the sockets of its instance: how often, and in how many writes."""

from __future__ import annotations

from tests.stage import Stage, turns
from tests.test_room_races import shared_cart


async def test_answers_and_pushes_of_a_commit_take_one_write_a_socket() -> None:
    """Writes are what costs most, and several ops of several people often share a commit."""
    async with Stage() as stage, shared_cart(stage) as (cart, ana, ben):
        cleo = await stage.connect("ben")
        await cleo.ask("cart.join", cart=cart)
        before = ana.revs()[-1]
        stage.log.before_insert.shut()
        first = ana.rename(cart, "Held alone, so that the others gather behind it")
        await turns()
        asked = {one: [one.rename(cart, f"{n}") for n in range(3)] for one in (ana, ben)}
        await turns()
        writes = {one: one.writes for one in (ana, ben, cleo)}
        stage.log.before_insert.open()
        assert (await ana.reply(first))["type"] == "ok"
        for one, ids in asked.items():
            for id_ in ids:
                assert (await one.reply(id_))["type"] == "ok"
        await cleo.has_rev(before + 7)
        for one in (ana, ben, cleo):
            assert one.writes - writes[one] == 2  # the commit held, and that of all others
            assert one.revs()[-7:] == list(range(before + 1, before + 8))
