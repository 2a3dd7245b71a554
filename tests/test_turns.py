"""Two instances that write one cart: both get on, whatever the store's reads take."""

from __future__ import annotations

from tests.stage import Stage, turns


async def test_commits_heard_of_need_no_read_of_the_store() -> None:
    """A room read the store at each, and while others wrote all the time it never got on."""
    async with Stage() as here, here.other() as there:
        ana = await here.connect("ana")
        ben = await there.connect("ana")
        cart = await ana.create()
        await ben.ask("cart.join", cart=cart)
        there.log.reading.shut()
        there.log.before_insert.shut()
        reads = there.log.reads
        waiting = ben.rename(cart, "Ben's")
        await there.log.before_insert.has(1)
        for n in range(5):
            assert (await ana.reply(ana.rename(cart, f"Ana's {n}")))["type"] == "ok"
            await turns()
        there.log.before_insert.open()
        assert (await ben.reply(waiting))["rev"] == 7
        assert there.log.reads == reads
        await ana.has_rev(7)
        assert ben.revs() == [2, 3, 4, 5, 6, 7]


async def test_commits_heard_of_during_a_read_are_kept() -> None:
    """They come faster than the store answers; after its answer they follow on it."""
    async with Stage() as here, here.other() as there:
        ana = await here.connect("ana")
        ben = await there.connect("ana")
        cart = await ana.create()
        await ben.ask("cart.join", cart=cart)
        here.bus.flowing = False
        assert (await ana.reply(ana.rename(cart, "Unheard of")))["type"] == "ok"
        here.bus.flowing = True
        there.log.reading.shut()
        assert (await ana.reply(ana.rename(cart, "Leaves a hole")))["type"] == "ok"
        await there.log.reading.has(1)
        for n in range(5):
            assert (await ana.reply(ana.rename(cart, f"Ana's {n}")))["type"] == "ok"
        reads = there.log.reads
        there.log.reading.open()
        await ben.has_rev(8)
        assert there.log.reads == reads
        assert ben.revs() == list(range(2, 9))
