"""Presence: who is here, and what they look at; on one instance and on two."""

from __future__ import annotations

import asyncio

import pytest

from realtime.limits import PRESENCE_FLUSH_S, Limits
from tests.client import cart_room, running_server

PRESENCE = ("presence.state", "presence.diff")


async def follow(client, cart, present, wanted):
    """Apply presence pushes to `present` ({client: data}) until that is as `wanted`."""
    while present != wanted:
        push = await client.push(PRESENCE, cart)
        if push["type"] == "presence.state":
            present.clear()
            present.update({one["client"]: one["data"] for one in push["members"]})
            continue
        for one in [*push["joined"], *push["changed"]]:
            present[one["client"]] = one["data"]
        for one in push["left"]:
            present.pop(one["client"], None)


async def test_joining_and_leaving_are_told(server):
    async with cart_room(server) as room:
        owner = room.owner
        present = {}
        await follow(owner, room.cart, present, {owner.client: {}})
        async with server.connect(room.accounts[0]) as second:
            await second.join(room.cart)
            state = await second.push("presence.state", room.cart)
            users = {(one["user"], one["client"]) for one in state["members"]}
            assert users == {(owner.user, owner.client), (owner.user, second.client)}
            await follow(owner, room.cart, present, {owner.client: {}, second.client: {}})
            await second.request("cart.leave", cart=room.cart)
            await follow(owner, room.cart, present, {owner.client: {}})
            await second.join(room.cart)
            await follow(owner, room.cart, present, {owner.client: {}, second.client: {}})
        await follow(owner, room.cart, present, {owner.client: {}})


async def test_a_diff_has_its_fields(server):
    async with cart_room(server, roles=("viewer",)) as room:
        owner, bob = room.clients
        assert await bob.push("presence.diff")
        data = {"line": "lin_1_0", "typing": True, "at": 3, "x": 0.5, "none": None}
        reply = await bob.request("presence.set", cart=room.cart, data=data)
        assert set(reply) == {"id", "type"}
        changed = {}
        while not changed:
            diff = await owner.push("presence.diff", room.cart)
            assert set(diff) == {"type", "cart", "joined", "left", "changed"}
            changed = {one["client"]: one for one in diff["changed"]}
        assert changed == {bob.client: {"user": bob.user, "client": bob.client, "data": data}}


async def test_one_client_on_two_sockets_is_here_until_both_are_gone(server):
    async with cart_room(server, roles=("viewer",)) as room:
        owner, bob = room.clients
        present = {}
        await follow(owner, room.cart, present, {owner.client: {}, bob.client: {}})
        async with server.connect(room.accounts[1], client=bob.client) as twin:
            await twin.join(room.cart)
        await bob.request("presence.set", cart=room.cart, data={"line": "a"})
        await follow(owner, room.cart, present, {owner.client: {}, bob.client: {"line": "a"}})
        assert not [push for push in owner.pushes if push.get("left")]


async def test_presence_is_seen_on_the_other_instance(two_servers):
    async with cart_room(*two_servers, roles=("editor", "viewer")) as room:
        everybody = {client.client: {} for client in room.clients}
        seen = [{} for _ in room.clients]
        for client, present in zip(room.clients, seen, strict=True):
            await follow(client, room.cart, present, everybody)
        await room.clients[1].request("presence.set", cart=room.cart, data={"line": "lin_1_0"})
        everybody[room.clients[1].client] = {"line": "lin_1_0"}
        for client, present in zip(room.clients, seen, strict=True):
            await follow(client, room.cart, present, everybody)
        await room.clients[1].socket.close()
        del everybody[room.clients[1].client]
        for index in (0, 2):
            await follow(room.clients[index], room.cart, seen[index], everybody)


async def test_presence_goes_with_the_instance(settings):
    async with (
        running_server(settings) as one,
        running_server(settings) as two,
        cart_room(one, two, roles=("editor",)) as room,
    ):
        owner, bob = room.clients
        present = {}
        await follow(owner, room.cart, present, {owner.client: {}, bob.client: {}})
        await two.stop()
        await follow(owner, room.cart, present, {owner.client: {}})


@pytest.mark.parametrize(
    "data",
    [[], "x", None, {"a": []}, {"a": {}}, {"a": "x" * 1_025}, {"k" * 65: 1}, {"n": 2**53}],
    ids=str,
)
async def test_presence_data_is_a_small_flat_object(server, data):
    async with cart_room(server) as room:
        await room.owner.refusal("bad_request", "presence.set", cart=room.cart, data=data)


async def test_presence_data_has_a_bound(settings, monkeypatch):
    monkeypatch.setattr("server.live.DEFAULT_LIMITS", Limits(presence_bytes=20))
    async with running_server(settings) as server, cart_room(server) as room:
        await room.owner.request("presence.set", cart=room.cart, data={"a": "x" * 12})
        await room.owner.refusal("too_large", "presence.set", cart=room.cart, data={"a": "x" * 13})


async def test_presence_needs_a_join(server):
    async with cart_room(server) as room:
        await room.owner.request("cart.leave", cart=room.cart)
        await room.owner.refusal("bad_request", "presence.set", cart=room.cart, data={})


async def test_many_changes_at_once_are_few_diffs(server):
    async with cart_room(server, roles=("viewer",)) as room:
        owner, bob = room.clients
        loop, before = asyncio.get_running_loop(), len(owner.frames)
        began_s = loop.time()
        tasks = [
            bob.start("presence.set", cart=room.cart, data={"at": index}) for index in range(100)
        ]
        await asyncio.gather(*tasks)
        present = {}
        await follow(owner, room.cart, present, {owner.client: {}, bob.client: {"at": 99}})
        took_s = loop.time() - began_s
        diffs = [one for one in owner.frames[before:] if one["type"] == "presence.diff"]
        assert len(diffs) <= 2 + took_s / PRESENCE_FLUSH_S
