"""Stock: a sku's pieces over a cart's lines never exceed what is available, however they come."""

from __future__ import annotations

import asyncio

import pytest

from commerce.catalog.product import Product
from tests.client import APPLE, cart_room, until_equal

TEN = APPLE.available


@pytest.fixture
async def room(server):
    await server.products(APPLE)
    async with cart_room(server, roles=("editor",)) as room:
        yield room


async def pieces(client, cart):
    return (await client.state(cart))["totals"]["pieces"]


async def test_add_counts_all_lines_of_the_sku(room):
    owner, editor = room.clients
    await owner.add(room.cart, "APPLE", 6)
    await editor.add(room.cart, "APPLE", 4)
    items = [{"sku": "APPLE", "qty": 1}]
    for client in room.clients:
        error = await client.op_refusal("out_of_stock", room.cart, "add", items=items)
        assert (error["sku"], error["available"], error["temporary"]) == ("APPLE", TEN, False)
    assert await pieces(owner, room.cart) == TEN


async def test_add_counts_its_own_items_together(room):
    items = [{"sku": "APPLE", "qty": 6}, {"sku": "APPLE", "qty": 5, "for": room.clients[1].user}]
    await room.owner.op_refusal("out_of_stock", room.cart, "add", items=items)
    reply = await room.owner.op(room.cart, "add", items=items, partial=True)
    assert [result.get("code") for result in reply["results"]] == [None, "out_of_stock"]


async def test_raising_a_line_counts_all_lines_of_the_sku(room):
    owner, editor = room.clients
    line = await owner.add(room.cart, "APPLE", 5)
    await editor.add(room.cart, "APPLE", 4)
    await owner.op_refusal("out_of_stock", room.cart, "change_quantity", line=line, by=2)
    await owner.op_refusal("out_of_stock", room.cart, "set_quantity", line=line, qty=7)
    await owner.op(room.cart, "set_quantity", line=line, qty=6)
    await owner.op_refusal("out_of_stock", room.cart, "change_quantity", line=line, by=1)
    await owner.op(room.cart, "change_quantity", line=line, by=-5)
    await owner.op(room.cart, "change_quantity", line=line, by=5)
    assert await pieces(owner, room.cart) == TEN


async def test_saved_lines_do_not_count_until_they_come_back(room):
    owner, editor = room.clients
    line = await owner.add(room.cart, "APPLE", 8)
    await owner.op(room.cart, "save_for_later", line=line)
    await editor.add(room.cart, "APPLE", 3)
    await owner.op_refusal("out_of_stock", room.cart, "move_to_cart", line=line)
    other = await owner.add(room.cart, "APPLE", 2)
    await owner.op_refusal("out_of_stock", room.cart, "move_to_cart", line=line)
    await owner.op(room.cart, "remove", line=other)
    await owner.op_refusal("out_of_stock", room.cart, "move_to_cart", line=line)
    await editor.op(room.cart, "clear")
    await owner.op(room.cart, "move_to_cart", line=line)
    assert await pieces(owner, room.cart) == 8


async def test_untracked_stock_has_no_bound(room, server):
    await server.products(Product("SALT", "Salt", 90, "EUR", None))
    await room.owner.add(room.cart, "SALT", 100_000)


async def test_lowering_is_free_when_stock_has_shrunk(room, server):
    await server.products(Product("PLUM", "Plum", 40, "EUR", 10))
    owner = room.owner
    line = await owner.add(room.cart, "PLUM", 10)
    await server.products(Product("PLUM", "Plum", 40, "EUR", 2))
    await owner.op(room.cart, "change_quantity", line=line, by=-1)
    await owner.op(room.cart, "set_quantity", line=line, qty=8)


@pytest.mark.parametrize("kind", ["add", "change_quantity", "set_quantity", "move_to_cart"])
async def test_racing_instances_do_not_go_beyond_stock(two_servers, kind):
    """Everybody raises at once by three pieces, through both instances: three can, not four."""
    await two_servers[0].products(APPLE)
    async with cart_room(*two_servers, roles=("editor",) * 5) as room:
        everybody = room.clients
        lines = []
        for client in everybody:
            if kind == "move_to_cart":
                line = await client.add(room.cart, "APPLE", 3)
                await client.op(room.cart, "save_for_later", line=line)
            elif kind == "add":
                line = ""
            else:
                line = await client.add(room.cart, "APPLE", 1)
            lines.append(line)
        before = len(everybody) if "quantity" in kind else 0
        fields = {
            "add": {"items": [{"sku": "APPLE", "qty": 3}]},
            "change_quantity": {"by": 3},
            "set_quantity": {"qty": 4},
            "move_to_cart": {},
        }[kind]
        tasks = [
            client.start_op(
                room.cart, kind, **(fields if kind == "add" else {"line": line, **fields})
            )
            for client, line in zip(everybody, lines, strict=True)
        ]
        replies = await asyncio.gather(*tasks)
        won = [reply for reply in replies if reply["type"] == "ok"]
        lost = {reply["code"] for reply in replies if reply["type"] == "error"}
        assert lost == {"out_of_stock"}
        assert len(won) == (TEN - before) // 3
        for client in everybody:
            await until_equal(lambda one=client: pieces(one, room.cart), before + 3 * len(won))
