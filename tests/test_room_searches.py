"""Copies of ops that only the log knows, while the cart goes on. Found by the simulation."""

from __future__ import annotations

import pytest

from realtime.state import CartState
from storage.oplog import CommitDocument
from tests.stage import Message, Socket, Stage
from tests.test_room_races import shared_cart


@pytest.fixture(autouse=True)
def one_client_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cart remembers one client of each user: a second one evicts the first."""
    monkeypatch.setattr("realtime.reducer.CLIENTS_PER_USER_MAX", 1)
    monkeypatch.setattr("realtime.recent.RECENT_OPS_MAX", 1)


async def copies_during_a_search(
    stage: Stage, other: Stage, cart: str, ana: Socket
) -> tuple[int, Message]:
    """An op for which `stage` searches the log, held there, and the answer of `other` to its copy.

    Returns the first one's request id beside that answer.
    """
    elsewhere = await other.connect("ana", ana.client)
    await elsewhere.ask("cart.join", cart=cart)
    tab = await stage.connect("ana")
    assert (await tab.reply(tab.rename(cart, "Evicts")))["type"] == "ok"
    await elsewhere.has_rev(3)
    stage.log.reading.shut()
    searches = ana.rename(cart, "Once", f"{ana.client}:7")
    await stage.log.reading.has(1)
    first = await elsewhere.reply(elsewhere.rename(cart, "Once", f"{ana.client}:7"))
    return searches, first


async def test_what_is_committed_while_the_log_is_searched_for_it_is_found() -> None:
    """A copy at another instance took effect during the search; this one was refused for good."""
    async with Stage() as stage, stage.other() as other, shared_cart(stage) as (cart, ana, _):
        searches, first = await copies_during_a_search(stage, other, cart, ana)
        await ana.has_rev(first["rev"])
        stage.log.reading.open()
        again = await ana.reply(searches)
        assert (again["type"], again["rev"]) == ("ok", first["rev"]), again


async def test_what_was_committed_and_evicted_since_the_search_is_not_done_twice() -> None:
    """The search had found nothing, so the op counted as new, whatever had happened meanwhile."""
    async with Stage() as stage, stage.other() as other, shared_cart(stage) as (cart, ana, _):
        searches, first = await copies_during_a_search(stage, other, cart, ana)
        other_tab = await other.connect("ana")
        evicts = await other_tab.reply(other_tab.rename(cart, "Evicts again"))
        await ana.has_rev(evicts["rev"])
        stage.log.reading.open()
        again = await ana.reply(searches)
        assert (again["type"], again["rev"]) == ("ok", first["rev"]), again


async def test_numbers_rise_although_the_client_is_forgotten_before_its_commit() -> None:
    """A lower number came while a higher one was under way, its client evicted by one behind it.

    It took effect after the higher one; then resends of the higher one were not found any more.
    """
    async with Stage() as stage, shared_cart(stage) as (cart, ana, _):
        tab = await stage.connect("ana")
        await tab.ask("cart.join", cart=cart)
        stage.log.before_insert.shut()
        in_flight = ana.rename(cart, "In flight", f"{ana.client}:5")
        await stage.log.before_insert.has(1)
        higher = ana.rename(cart, "Higher", f"{ana.client}:10")
        evicts = tab.rename(cart, "Evicts")
        lower = ana.rename(cart, "Lower", f"{ana.client}:7")
        stage.log.before_insert.open()
        first = await ana.reply(higher)
        assert [(await ana.reply(in_flight))["type"], first["type"]] == ["ok", "ok"]
        assert (await tab.reply(evicts))["type"] == "ok"
        assert (await ana.reply(lower))["code"] == "conflict"
        again = await ana.reply(ana.rename(cart, "Higher", f"{ana.client}:10"))
        assert (again["type"], again["rev"]) == ("ok", first["rev"])


async def test_the_log_is_searched_once_for_a_forgotten_client_and_not_for_each_of_its_ops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With many ops, all refused, the searches took longer than the ops had: all came again."""
    async with Stage() as stage, shared_cart(stage) as (cart, ana, _):
        first = await ana.reply(ana.rename(cart, "First", f"{ana.client}:5"))
        tab = await stage.connect("ana")
        assert (await tab.reply(tab.rename(cart, "Evicts")))["type"] == "ok"
        covering, searches = stage.log.covering, []

        async def counting(cart: str, low: int, high: int) -> list[CommitDocument]:
            searches.append((low, high))
            return await covering(cart, low, high)

        monkeypatch.setattr(stage.log, "covering", counting)
        numbers = range(6, 26)
        sent = [ana.op(cart, "remove", f"{ana.client}:{n}", line="lin_none") for n in numbers]
        assert [(await ana.reply(one))["code"] for one in sent] == ["not_found"] * 20
        assert len(searches) == 1
        lower = await ana.reply(ana.rename(cart, "Lower", f"{ana.client}:4"))
        assert lower["code"] == "conflict"
        again = await ana.reply(ana.rename(cart, "First", f"{ana.client}:5"))
        assert (again["type"], again["rev"]) == ("ok", first["rev"])
        assert (await tab.reply(tab.rename(cart, "Goes on")))["type"] == "ok"
        later = await ana.reply(ana.op(cart, "remove", f"{ana.client}:26", line="lin_none"))
        assert later["code"] == "not_found"


async def test_removed_members_are_forgotten_in_time_and_their_ops_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cart with much coming and going remembered everybody who ever was in it."""
    monkeypatch.setattr("realtime.reducer.REMOVED_REMEMBERED_MAX", 2)
    monkeypatch.setattr("realtime.reducer.REMOVED_EVICTED_MAX", 3)
    async with Stage() as stage:
        ana = await stage.connect("ana")
        cart = await ana.create()
        guests = [await stage.connect(f"guest{number}") for number in range(10)]
        first = []
        for guest in guests:
            grant = [{"user": guest.user, "role": "editor"}]
            assert (await ana.reply(ana.op(cart, "share", users=grant)))["type"] == "ok"
            reply = await guest.reply(guest.rename(cart, guest.user, f"{guest.client}:5"))
            first.append({**reply, "id": 0})
            assert (await ana.reply(ana.op(cart, "unshare", user=guest.user)))["type"] == "ok"
        room = stage.hub.room(cart)
        assert room is not None
        document = room.committed.to_document()
        members = [mark["user"] for mark in document["clients"]]
        assert members == [ana.user, *(guest.user for guest in guests[-2:])]
        evicted = {mark["user"] for mark in document["evicted"]} - set(members)
        assert evicted == {guest.user for guest in guests[5:8]}
        assert document["forgotten"] == first[4]["rev"]
        assert CartState.from_document(document).to_document() == document
        for guest, told in zip(guests, first, strict=True):
            again = await guest.reply(guest.rename(cart, guest.user, f"{guest.client}:5"))
            assert {**again, "id": 0} == told
            grant = [{"user": guest.user, "role": "editor"}]
            assert (await ana.reply(ana.op(cart, "share", users=grant)))["type"] == "ok"
            lower = await guest.reply(guest.rename(cart, "Lower", f"{guest.client}:4"))
            assert lower["code"] == "conflict"
            tab = await stage.connect(guest.user.removeprefix("usr_"))
            assert (await tab.reply(tab.rename(cart, "New tab")))["type"] == "ok"
            again = await guest.reply(guest.rename(cart, guest.user, f"{guest.client}:5"))
            assert {**again, "id": 0} == told
            assert (await guest.reply(guest.rename(cart, "On", f"{guest.client}:6")))[
                "type"
            ] == "ok"
