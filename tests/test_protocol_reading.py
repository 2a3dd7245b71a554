"""Reading: resuming after an absence, history, the list of carts."""

from __future__ import annotations

import asyncio
import re

import pytest

from realtime import lists
from realtime.limits import Limits
from tests.client import BREAD, cart_room, running_server, until_equal


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """These tests send more at once than a client may."""
    monkeypatch.setattr("server.live.DEFAULT_LIMITS", Limits(ops_per_s=100_000, ops_burst=100_000))


async def rename_often(client, cart, count):
    tasks = [client.start_op(cart, "rename", name=f"Name {index}") for index in range(count)]
    return [(await task)["rev"] for task in tasks]


# Resume


async def test_a_resuming_client_gets_the_ops_that_it_missed(server):
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        await editor.request("cart.leave", cart=room.cart)
        replies = [await owner.op(room.cart, "rename", name=f"Name {index}") for index in range(3)]
        reply = await editor.join(room.cart, rev=2)
        assert set(reply) == {"id", "type", "cart", "rev", "role", "n", "ops"}
        assert (reply["rev"], reply["role"], reply["n"]) == (5, "editor", 0)
        assert reply["ops"] == [
            {
                "rev": sent["rev"],
                "op_id": f"{owner.client}:{index + 2}",
                "by": owner.user,
                "at": sent["at"],
                "op": sent["op"],
            }
            for index, sent in enumerate(replies)
        ]
        await owner.op(room.cart, "clear")
        assert (await editor.reach(room.cart, 6)) == [6]


async def test_a_client_that_missed_nothing_gets_no_ops(server):
    async with cart_room(server) as room:
        reply = await room.owner.join(room.cart, rev=1)
        assert (reply["ops"], reply["rev"]) == ([], 1)


@pytest.mark.parametrize("rev", [0, 2, 2**53 - 1])
async def test_a_rev_that_cannot_be_resumed_from_gets_the_state(server, rev):
    async with cart_room(server) as room:
        reply = await room.owner.join(room.cart, rev=rev)
        assert (reply["rev"], "ops" in reply, reply["state"]["name"]) == (1, False, "Picnic")


async def test_after_too_many_ops_a_resuming_client_gets_the_state(settings, monkeypatch):
    monkeypatch.setattr("server.live.DEFAULT_LIMITS", Limits(resume_ops=5))
    async with running_server(settings) as server, cart_room(server) as room:
        await rename_often(room.owner, room.cart, 6)
        assert len((await room.owner.join(room.cart, rev=2))["ops"]) == 5
        assert "state" in await room.owner.join(room.cart, rev=1)


async def test_after_too_many_bytes_a_resuming_client_gets_the_state(server, monkeypatch):
    monkeypatch.setattr("realtime.commands.RESUME_BYTES_MAX", 2_000)
    async with cart_room(server) as room:
        for _ in range(3):
            await room.owner.op(room.cart, "note", text="x" * 700)
        assert len((await room.owner.join(room.cart, rev=2))["ops"]) == 2
        assert "state" in await room.owner.join(room.cart, rev=1)


async def test_resuming_over_more_ops_than_are_in_memory(server):
    async with cart_room(server) as room:
        await rename_often(room.owner, room.cart, 400)
        reply = await room.owner.join(room.cart, rev=10)
        assert [op["rev"] for op in reply["ops"]] == list(range(11, 402))


async def test_resuming_on_another_instance_that_never_held_the_cart(two_servers):
    one, two = two_servers
    async with cart_room(one) as room:
        await rename_often(room.owner, room.cart, 20)
        async with two.connect(room.accounts[0]) as other:
            reply = await other.join(room.cart, rev=3)
            assert [op["rev"] for op in reply["ops"]] == list(range(4, 22))
            assert (await other.join(room.cart))["state"]["name"] == "Name 19"


async def test_clients_that_come_and_go_while_others_write_get_each_rev_once(two_servers):
    async with cart_room(*two_servers, roles=("editor", "editor")) as room:
        writers, reader = room.clients[:2], room.clients[2]
        known = (await reader.join(room.cart))["rev"]
        writing = asyncio.gather(*(rename_often(client, room.cart, 80) for client in writers))
        seen = []
        while not writing.done():
            await reader.request("cart.leave", cart=room.cart)
            pushed = reader.revs.get(room.cart, [])
            assert pushed == list(range(known + 1, known + 1 + len(pushed)))
            seen += pushed
            reader.revs[room.cart] = []
            reply = await reader.join(room.cart, rev=known + len(pushed))
            seen += [op["rev"] for op in reply["ops"]]
            known = reply["rev"]
        acknowledged = sorted(rev for revs in await writing for rev in revs)
        head = acknowledged[-1]
        if known < head:
            seen += await reader.reach(room.cart, head)
        assert seen[-len(acknowledged) :] == acknowledged == list(range(4, head + 1))


# History


async def test_history_answers_the_highest_revs_below_and_whether_there_are_more(server):
    await server.products(BREAD)
    async with cart_room(server) as room:
        owner = room.owner
        await owner.add(room.cart, "BREAD", 2)
        await rename_often(owner, room.cart, 58)

        async def history(**fields):
            reply = await owner.request("cart.history", cart=room.cart, **fields)
            return [op["rev"] for op in reply["ops"]], reply["more"]

        assert await history() == (list(range(11, 61)), True)
        assert await history(before=11) == (list(range(1, 11)), False)
        assert await history(before=11, limit=9) == (list(range(2, 11)), True)
        assert await history(before=11, limit=None) == await history(before=11)
        assert await history(before=2) == ([1], False)
        assert await history(before=1) == ([], False)
        assert await history(before=2**53 - 1, limit=500) == (list(range(1, 61)), False)
        first, second = (await owner.request("cart.history", cart=room.cart, before=3))["ops"]
        assert set(first) == {"rev", "op_id", "by", "at", "op"}
        assert first["op"] == {"kind": "create", "name": "Picnic", "currency": "EUR"}
        assert first["op_id"] is None
        assert (second["by"], second["op_id"]) == (owner.user, f"{owner.client}:1")
        assert second["op"]["items"][0]["sku"] == "BREAD"


async def test_history_is_bounded_in_bytes_and_goes_on_where_it_stopped(server, monkeypatch):
    monkeypatch.setattr("realtime.commands.HISTORY_BYTES_MAX", 600)
    async with cart_room(server) as room:
        await rename_often(room.owner, room.cart, 10)
        seen: list[int] = []
        before, pages = None, 0
        while True:
            reply = await room.owner.request("cart.history", cart=room.cart, before=before)
            revs = [op["rev"] for op in reply["ops"]]
            assert revs
            seen, pages = revs + seen, pages + 1
            if not reply["more"]:
                break
            before = revs[0]
        assert seen == list(range(1, 12))
        assert pages > 2


async def test_one_op_larger_than_a_history_may_be_comes_alone(server, monkeypatch):
    monkeypatch.setattr("realtime.commands.HISTORY_BYTES_MAX", 1)
    async with cart_room(server) as room:
        await rename_often(room.owner, room.cart, 2)
        reply = await room.owner.request("cart.history", cart=room.cart)
        assert ([op["rev"] for op in reply["ops"]], reply["more"]) == ([3], True)


@pytest.mark.parametrize("fields", [{"before": 0}, {"limit": 0}, {"limit": 501}, {"before": "1"}])
async def test_history_refuses_what_is_out_of_bounds(server, fields):
    async with cart_room(server) as room:
        await room.owner.refusal("bad_request", "cart.history", cart=room.cart, **fields)


async def test_history_over_commits_of_many_ops(two_servers):
    async with cart_room(*two_servers, roles=("editor",)) as room:
        await asyncio.gather(*(rename_often(client, room.cart, 150) for client in room.clients))
        seen, before, more = [], None, True
        while more:
            fields = {} if before is None else {"before": before}
            reply = await room.clients[1].request(
                "cart.history", cart=room.cart, limit=70, **fields
            )
            seen = [op["rev"] for op in reply["ops"]] + seen
            before, more = reply["ops"][0]["rev"], reply["more"]
        assert seen == list(range(1, 303))


# Lists


async def test_the_list_says_what_there_is_to_say_of_each_cart(server):
    await server.products(BREAD)
    async with cart_room(server, roles=("viewer",)) as room:
        await room.owner.add(room.cart, "BREAD", 2)
        reply = await room.owner.op(room.cart, "rename", name="Feast")
        row = {
            "cart": room.cart,
            "name": "Feast",
            "role": "owner",
            "rev": 4,
            "updated_at": reply["at"],
            "muted": False,
            "line_count": 1,
            "pieces": 2,
            "total": 2 * BREAD.price,
            "currency": "EUR",
            "member_count": 2,
            "members": [
                {"user": one.user, "name": one.name, "role": role}
                for one, role in zip(room.accounts, ("owner", "viewer"), strict=True)
            ],
        }
        assert (await room.owner.request("cart.list")) == {"id": 6, "type": "ok", "carts": [row]}
        await room.clients[1].reach(room.cart, 4)
        listed = (await room.clients[1].request("cart.list"))["carts"]
        assert listed == [{**row, "role": "viewer"}]


async def test_the_list_comes_in_pages_latest_changed_first(server, monkeypatch):
    monkeypatch.setattr(lists, "LIST_PAGE", 3)
    async with server.connect(await server.account()) as client:
        made = [await client.create(name=f"Cart {index}") for index in range(8)]
        await client.op(made[2], "rename", name="latest")
        pages, cursor = [], {}
        while len(pages) < 9:
            reply = await client.request("cart.list", **cursor)
            pages.append([row["cart"] for row in reply["carts"]])
            if "cursor" not in reply:
                break
            cursor = {"cursor": reply["cursor"]}
        assert [len(page) for page in pages] == [3, 3, 2]
        listed = [cart for page in pages for cart in page]
        assert listed[0] == made[2]
        assert sorted(listed) == sorted(made)


async def test_carts_made_a_moment_ago_elsewhere_are_listed_once_each(two_servers, monkeypatch):
    monkeypatch.setattr(lists, "LIST_PAGE", 3)
    one, two = two_servers
    ana = await one.account()
    async with one.connect(ana) as client, two.connect(ana) as other:
        made = [await client.create(name=f"Cart {index}") for index in range(8)]
        listed, cursor = [], {}
        for _ in made:
            reply = await other.request("cart.list", **cursor)
            listed += [(row["cart"], row["rev"]) for row in reply["carts"]]
            if "cursor" not in reply:
                break
            cursor = {"cursor": reply["cursor"]}
        assert sorted(listed) == sorted((cart, 1) for cart in made)


async def test_the_list_of_another_instance_follows(two_servers):
    one, two = two_servers
    async with cart_room(one) as room, two.connect(room.accounts[0]) as other:
        await room.owner.op(room.cart, "rename", name="Feast")

        async def names():
            return [row["name"] for row in (await other.request("cart.list"))["carts"]]

        await until_equal(names, ["Feast"])


@pytest.mark.parametrize("cursor", ["", "x", "Zm9v", "=", "ü", "x" * 201, "OTk6", 7])
async def test_a_cursor_that_is_not_ours_is_refused(server, cursor):
    async with server.connect(await server.account()) as client:
        reply = await client.ask("cart.list", cursor=cursor)
        if cursor == "OTk6":  # the form of ours, and below every cart
            assert reply["carts"] == []
        else:
            assert reply["code"] == "bad_request"


async def test_who_has_no_cart_gets_an_empty_list(server):
    async with server.connect(await server.account()) as client:
        assert await client.request("cart.list") == {"id": 2, "type": "ok", "carts": []}


async def test_a_reader_who_knows_of_a_later_rev_gets_it_on_any_instance(two_servers):
    """What one instance acknowledged, another answers at once to who names the rev."""
    one, two = two_servers
    async with cart_room(one) as room, two.connect(room.accounts[0]) as other:
        await other.join(room.cart)
        for index in range(20):
            rev = (await room.owner.op(room.cart, "rename", name=f"Name {index}"))["rev"]
            reply = await other.join(room.cart, rev=rev)
            assert (reply["rev"], reply["ops"]) == (rev, [])


def test_times_are_rfc_3339_in_utc_with_milliseconds():
    from storage.times import rfc3339

    assert rfc3339(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
    assert re.fullmatch(r"1970-01-01T00:00:00\.999Z", rfc3339(999))
