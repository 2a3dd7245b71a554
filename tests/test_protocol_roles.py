"""Roles: who may do what, how they are given and taken, and what everybody is told of it."""

from __future__ import annotations

import pytest

from realtime.ops import ROLE_NEEDED, kind_of
from tests.client import BREAD, cart_room, refused, succeeded, until_equal

ONE_OF_EACH = {
    "add": {"items": [{"sku": "BREAD", "qty": 1}]},
    "change_quantity": {"by": 1},
    "set_quantity": {"qty": 3},
    "remove": {},
    "clear": {},
    "rename": {"name": "Feast"},
    "note": {"text": "x"},
    "save_for_later": {},
    "move_to_cart": {},
    "share": {},
    "unshare": {},
    "delete": {},
}
WITH_LINE = {"change_quantity", "set_quantity", "remove", "save_for_later", "move_to_cart"}
RANK = ("viewer", "editor", "owner")


def test_each_kind_is_tried():
    assert {kind_of(op) for op in ROLE_NEEDED} == set(ONE_OF_EACH)


@pytest.mark.parametrize("role", RANK)
async def test_what_each_role_may_do(server, role):
    await server.products(BREAD)
    async with cart_room(server, roles=("viewer", "editor")) as room:
        guest = await server.account()
        client = room.clients[(1, 2, 0)[RANK.index(role)]]
        for op, needed in ROLE_NEEDED.items():
            kind = kind_of(op)
            line = await room.owner.add(room.cart, "BREAD", 2)
            fields = dict(ONE_OF_EACH[kind])
            if kind in WITH_LINE:
                fields["line"] = line
            if kind == "share":
                fields["users"] = [{"user": guest.user, "role": "editor"}]
            if kind == "unshare":
                await room.owner.share(room.cart, guest)
                fields["user"] = guest.user
            if RANK.index(role) < RANK.index(needed):
                error = await client.op_refusal("forbidden", room.cart, kind, **fields)
                assert needed in error["message"]
                assert role in error["message"]
            else:
                await client.op(room.cart, kind, **fields)


async def test_sharing_lets_in_and_tells_everybody(server):
    bob = await server.account("Bob")
    async with cart_room(server) as room, server.connect(bob) as client:
        await client.refusal("not_found", "cart.join", cart=room.cart)
        reply = await room.owner.share(room.cart, bob, role="viewer")
        granted = {"user": bob.user, "role": "viewer", "name": "Bob"}
        assert reply["op"] == {"kind": "share", "users": [granted]}
        joined = await client.join(room.cart)
        assert joined["role"] == "viewer"
        assert joined["state"]["members"][1] == {
            "user": bob.user,
            "name": "Bob",
            "role": "viewer",
        }


async def test_a_changed_role_brings_a_state_and_counts_at_once(server):
    async with cart_room(server, roles=("editor", "viewer")) as room:
        _, bob, third = room.clients
        await bob.op(room.cart, "rename", name="Feast")
        await room.owner.share(room.cart, room.accounts[1], role="viewer")
        state = await bob.push("cart.state", room.cart)
        assert (state["rev"], state["role"], state["n"]) == (5, "viewer", 1)
        assert state["state"]["members"][1]["role"] == "viewer"
        assert state["state"]["name"] == "Feast"
        await bob.op_refusal("forbidden", room.cart, "rename", name="Banquet")
        await room.owner.share(room.cart, room.accounts[1], role="editor")
        assert (await bob.push("cart.state", room.cart))["role"] == "editor"
        await bob.op(room.cart, "rename", name="Banquet")
        await third.reach(room.cart, 7)
        assert third.revs[room.cart] == [4, 5, 6, 7]
        assert not [push for push in third.pushes if push["type"] == "cart.state"]


async def test_a_changed_role_reaches_sockets_on_other_instances(two_servers):
    async with cart_room(*two_servers, roles=("editor",)) as room:
        owner, bob = room.clients
        await owner.share(room.cart, room.accounts[1], role="viewer")
        assert (await bob.push("cart.state", room.cart))["role"] == "viewer"
        await bob.op_refusal("forbidden", room.cart, "clear")
        await owner.op(room.cart, "unshare", user=bob.user)
        assert (await bob.push("cart.gone", room.cart))["reason"] == "removed"
        await bob.op_refusal("not_found", room.cart, "clear")


async def test_who_is_removed_is_told_and_hears_nothing_more(server):
    async with cart_room(server, roles=("editor",)) as room:
        owner, bob = room.clients
        await owner.op(room.cart, "unshare", user=bob.user)
        assert (await bob.push("cart.gone", room.cart))["reason"] == "removed"
        await owner.op(room.cart, "rename", name="Feast")
        for type_ in ("cart.join", "cart.history"):
            await bob.refusal("not_found", type_, cart=room.cart)
        await bob.op_refusal("not_found", room.cart, "clear")
        assert bob.revs[room.cart] == [3]
        assert (await bob.request("cart.list"))["carts"] == []
        assert (await owner.request("cart.list"))["carts"][0]["cart"] == room.cart


async def test_who_is_let_in_again_finds_the_cart_as_it_is(server):
    async with cart_room(server, roles=("editor",)) as room:
        owner, bob = room.clients
        await owner.op(room.cart, "unshare", user=bob.user)
        await owner.op(room.cart, "rename", name="Feast")
        await owner.share(room.cart, room.accounts[1], role="viewer")
        reply = await bob.join(room.cart, rev=2)
        assert [op["rev"] for op in reply["ops"]] == [3, 4, 5]
        assert reply["role"] == "viewer"
        assert len((await bob.request("cart.list"))["carts"]) == 1


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_everybody_but_the_owner_can_leave(server, role):
    async with cart_room(server, roles=(role,)) as room:
        owner, bob = room.clients
        reply = await bob.op(room.cart, "unshare", user=bob.user)
        assert reply["op"] == {"kind": "unshare", "user": bob.user}
        assert (await bob.push("cart.gone", room.cart))["reason"] == "left"
        await bob.refusal("not_found", "cart.join", cart=room.cart)
        await owner.reach(room.cart, 3)
        assert len((await owner.state(room.cart))["members"]) == 1
        await owner.op_refusal("forbidden", room.cart, "unshare", user=owner.user)


async def test_what_sharing_refuses(server):
    bob = await server.account()
    async with cart_room(server) as room:
        owner = room.owner

        async def refusal(code, *users):
            return await owner.op_refusal(code, room.cart, "share", users=list(users))

        grant = {"user": bob.user, "role": "viewer"}
        error = await refusal("not_found", grant, {"user": "usr_nobody", "role": "viewer"})
        assert error["user"] == "usr_nobody"
        await refusal("bad_request", grant, {**grant, "role": "editor"})
        await refusal("bad_request", {**grant, "role": "owner"})
        await refusal("bad_request")
        await refusal("forbidden", {"user": owner.user, "role": "viewer"})
        await owner.op_refusal("not_found", room.cart, "unshare", user=bob.user)
        assert (await owner.join(room.cart))["rev"] == 1


async def test_lines_outlive_the_membership_of_those_they_are_for(server):
    await server.products(BREAD)
    async with cart_room(server, roles=("editor",)) as room:
        owner, bob = room.clients
        line = await bob.add(room.cart, "BREAD", 2)
        await owner.op(room.cart, "unshare", user=bob.user)
        await owner.op(room.cart, "change_quantity", line=line, by=1)
        lines = (await owner.state(room.cart))["lines"]
        assert [(one["for"], one["qty"]) for one in lines] == [(bob.user, 3)]


async def test_a_removed_member_leaves_the_presence_too(server):
    async with cart_room(server, roles=("editor",)) as room:
        owner, bob = room.clients
        await owner.op(room.cart, "unshare", user=bob.user)

        async def present():
            await owner.join(room.cart)
            return [one["user"] for one in (await owner.push("presence.state"))["members"]]

        await owner.push("presence.state")
        await until_equal(present, [owner.user])


async def test_who_was_let_in_on_one_instance_is_in_on_every_instance_at_once(two_servers):
    """An op that is there before the word of it may be put off, but is never refused for good."""
    one, two = two_servers
    async with cart_room(*two_servers, roles=("viewer",)) as room:
        for request in ("cart.join", "cart.op", "cart.history"):
            bob = await one.account()
            async with two.connect(bob) as client:
                await room.owner.share(room.cart, bob)
                if request == "cart.op":
                    op_id = client.next_op_id()
                    reply = await client.start_op(room.cart, "rename", op_id, name="In")
                    if reply["type"] == "error":
                        refused(reply, "unavailable")
                        reply = await client.start_op(room.cart, "rename", op_id, name="In")
                    succeeded(reply)
                else:
                    await client.request(request, cart=room.cart)
