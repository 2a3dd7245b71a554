"""Every kind of op through the socket: what takes effect, what is answered, what is refused."""

from __future__ import annotations

import pytest

from commerce.catalog.product import Product
from tests.client import APPLE, BREAD, CIDER, cart_room, refused


@pytest.fixture
async def room(server):
    await server.products(APPLE, BREAD, CIDER)
    async with cart_room(server, roles=("editor",)) as room:
        yield room


def effect(kind, **fields):
    return {"kind": kind, **fields}


async def lines(room):
    """(sku, for, qty) of each line."""
    state = await room.owner.state(room.cart)
    return [(line["sku"], line["for"], line["qty"]) for line in state["lines"]]


async def test_every_op_comes_as_an_ok_to_its_sender_and_as_the_same_op_to_others(room):
    owner, editor = room.clients
    cart = room.cart
    line = await owner.add(cart, "APPLE", 4)
    bread = await owner.add(cart, "BREAD", 2)
    sent = [
        ("change_quantity", {"line": line, "by": -1}),
        ("set_quantity", {"line": line, "qty": 5}),
        ("note", {"text": "for Sunday"}),
        ("note", {"line": line, "text": "ripe"}),
        ("rename", {"name": "Feast"}),
        ("save_for_later", {"line": line}),
        ("move_to_cart", {"line": line}),
        ("remove", {"line": bread}),
        ("clear", {}),
    ]
    replies = [await owner.op(cart, kind, **fields) for kind, fields in sent]
    assert [reply["op"] for reply in replies] == [effect(kind, **fields) for kind, fields in sent]
    assert all(reply["cart"] == cart and "results" not in reply for reply in replies)
    assert [reply["rev"] for reply in replies] == list(range(5, 14))
    await editor.reach(cart, 13)
    pushed = [op for push in editor.pushes if push["type"] == "cart.ops" for op in push["ops"]]
    own = [(reply["rev"], reply["at"], reply["op"]) for reply in replies]
    assert [(op["rev"], op["at"], op["op"]) for op in pushed[-9:]] == own
    assert {op["by"] for op in pushed} == {owner.user}
    assert [op["op_id"] for op in pushed] == [f"{owner.client}:{n}" for n in range(2, 13)]


async def test_add_makes_a_line_and_adding_again_raises_it(room):
    owner = room.owner
    reply = await owner.op(
        room.cart, "add", items=[{"sku": "APPLE", "qty": 2}, {"sku": "BREAD", "qty": 1}]
    )
    apple, bread = reply["results"]
    assert (apple["qty"], bread["qty"]) == (2, 1)
    facts = {"qty": 2, "for": owner.user, "line": apple["line"], "name": "Apple", "unit_price": 50}
    assert reply["op"]["items"][0] == {"sku": "APPLE", **facts}
    again = await owner.op(room.cart, "add", items=[{"sku": "APPLE", "qty": 3}])
    assert again["results"] == [{"line": apple["line"], "qty": 3}]
    assert await lines(room) == [("APPLE", owner.user, 5), ("BREAD", owner.user, 1)]
    totals = (await owner.state(room.cart))["totals"]
    assert totals == {"lines": 2, "pieces": 6, "subtotal": 670, "total": 670}


async def test_a_line_belongs_to_one_member(room):
    owner, editor = room.clients
    mine = await owner.add(room.cart, "APPLE", 1)
    theirs = await owner.add(room.cart, "APPLE", 2, **{"for": editor.user})
    assert await editor.add(room.cart, "APPLE", 3) == theirs != mine
    assert await lines(room) == [("APPLE", owner.user, 1), ("APPLE", editor.user, 5)]


async def test_one_add_names_a_sku_twice(room):
    items = [{"sku": "APPLE", "qty": 2}, {"sku": "APPLE", "qty": 3}]
    reply = await room.owner.op(room.cart, "add", items=items)
    assert len({result["line"] for result in reply["results"]}) == 1
    assert await lines(room) == [("APPLE", room.owner.user, 5)]


async def test_add_for_a_stranger_is_refused(room, server):
    stranger = await server.account()
    item = {"sku": "APPLE", "qty": 1, "for": stranger.user}
    error = await room.owner.op_refusal("not_found", room.cart, "add", items=[item])
    assert error["results"][0]["code"] == "not_found"


async def test_an_add_is_all_or_nothing(room):
    items = [{"sku": "BREAD", "qty": 1}, {"sku": "NONE", "qty": 1}, {"sku": "CIDER", "qty": 1}]
    error = await room.owner.op_refusal("unknown_sku", room.cart, "add", items=items)
    assert (error["sku"], error["temporary"]) == ("NONE", False)
    assert error["results"][0] is None
    assert [result["code"] for result in error["results"][1:]] == ["unknown_sku"] * 2
    assert await lines(room) == []
    assert (await room.owner.join(room.cart))["rev"] == 2


async def test_a_partial_add_takes_what_it_can(room):
    items = [
        {"sku": "APPLE", "qty": 11},
        {"sku": "BREAD", "qty": 2},
        {"sku": "NONE", "qty": 1},
        {"sku": "CIDER", "qty": 1},
    ]
    reply = await room.owner.op(room.cart, "add", items=items, partial=True)
    assert [item["sku"] for item in reply["op"]["items"]] == ["BREAD"]
    codes = [result.get("code") for result in reply["results"]]
    assert codes == ["out_of_stock", None, "unknown_sku", "unknown_sku"]
    assert reply["results"][0]["available"] == 10
    assert reply["results"][1]["qty"] == 2
    assert reply["results"][3]["currency"] == "GBP"
    assert await lines(room) == [("BREAD", room.owner.user, 2)]


async def test_a_partial_add_of_which_nothing_can_be_taken_is_refused(room):
    items = [{"sku": "APPLE", "qty": 11}, {"sku": "NONE", "qty": 1}]
    error = await room.owner.op_refusal("out_of_stock", room.cart, "add", items=items, partial=True)
    assert [result["code"] for result in error["results"]] == ["out_of_stock", "unknown_sku"]
    assert (await room.owner.join(room.cart))["rev"] == 2


async def test_a_product_in_another_currency_is_refused_with_both_currencies(room):
    items = [{"sku": "CIDER", "qty": 1}]
    error = await room.owner.op_refusal("unknown_sku", room.cart, "add", items=items)
    assert error["message"] == "CIDER is sold in GBP, this cart is in EUR."
    assert error["currency"] == "GBP"


async def test_concurrent_changes_of_a_quantity_sum_up(room):
    owner, editor = room.clients
    line = await owner.add(room.cart, "BREAD", 10)
    tasks = [
        client.start_op(room.cart, "change_quantity", line=line, by=by)
        for by in (1, -2, 3)
        for client in (owner, editor)
    ]
    for task in tasks:
        assert (await task)["type"] == "ok"
    assert await lines(room) == [("BREAD", owner.user, 14)]


async def test_a_quantity_does_not_leave_its_bounds(room):
    owner = room.owner
    line = await owner.add(room.cart, "BREAD", 10)
    for by in (-10, -11, 99_991):
        await owner.op_refusal("limit_exceeded", room.cart, "change_quantity", line=line, by=by)
    await owner.op_refusal("bad_request", room.cart, "change_quantity", line=line, by=0)
    for qty in (0, -1, 100_001):
        await owner.op_refusal("bad_request", room.cart, "set_quantity", line=line, qty=qty)
    await owner.op(room.cart, "set_quantity", line=line, qty=100_000)
    items = [{"sku": "BREAD", "qty": 1}]
    await owner.op_refusal("limit_exceeded", room.cart, "add", items=items)
    await owner.op(room.cart, "change_quantity", line=line, by=-99_999)
    assert await lines(room) == [("BREAD", owner.user, 1)]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("change_quantity", {"by": 1}),
        ("set_quantity", {"qty": 1}),
        ("remove", {}),
        ("note", {"text": "x"}),
        ("save_for_later", {}),
        ("move_to_cart", {}),
    ],
)
async def test_a_line_that_is_not_there_is_not_found(room, kind, fields):
    error = await room.owner.op_refusal("not_found", room.cart, kind, line="lin_9_9", **fields)
    assert error["temporary"] is False


async def test_saving_a_line_and_moving_it_back(room):
    owner = room.owner
    line = await owner.add(room.cart, "BREAD", 2)
    await owner.op(room.cart, "note", line=line, text="sliced")
    await owner.op(room.cart, "save_for_later", line=line)
    state = await owner.state(room.cart)
    assert state["lines"] == []
    assert [(saved["line"], saved["note"]) for saved in state["saved"]] == [(line, "sliced")]
    assert state["totals"] == {"lines": 0, "pieces": 0, "subtotal": 0, "total": 0}
    error = await owner.op_refusal("not_found", room.cart, "set_quantity", line=line, qty=1)
    assert "saved for later" in error["message"]
    await owner.op(room.cart, "note", line=line, text="whole")
    await owner.op(room.cart, "move_to_cart", line=line)
    state = await owner.state(room.cart)
    assert state["saved"] == []
    assert [(one["line"], one["note"], one["qty"]) for one in state["lines"]] == [
        (line, "whole", 2)
    ]


async def test_moving_onto_the_same_product_of_the_same_member_merges(room):
    owner = room.owner
    saved = await owner.add(room.cart, "BREAD", 2)
    await owner.op(room.cart, "note", line=saved, text="sliced")
    await owner.op(room.cart, "save_for_later", line=saved)
    second = await owner.add(room.cart, "BREAD", 3)
    assert second != saved
    reply = await owner.op(room.cart, "move_to_cart", line=saved)
    assert reply["op"] == effect("move_to_cart", line=saved, into=second)
    state = await owner.state(room.cart)
    assert state["saved"] == []
    merged = [(one["line"], one["qty"], one["note"]) for one in state["lines"]]
    assert merged == [(second, 5, "sliced")]
    await owner.op(room.cart, "save_for_later", line=second)
    third = await owner.add(room.cart, "BREAD", 1)
    reply = await owner.op(room.cart, "save_for_later", line=third)
    assert reply["op"] == effect("save_for_later", line=third, into=second)
    assert (await owner.state(room.cart))["saved"][0]["qty"] == 6


async def test_a_merge_beyond_the_bound_of_a_line_is_refused(room):
    owner = room.owner
    saved = await owner.add(room.cart, "BREAD", 60_000)
    await owner.op(room.cart, "save_for_later", line=saved)
    await owner.add(room.cart, "BREAD", 60_000)
    await owner.op_refusal("limit_exceeded", room.cart, "move_to_cart", line=saved)


async def test_remove_and_note_reach_saved_lines_and_clear_spares_them(room):
    owner = room.owner
    bread = await owner.add(room.cart, "BREAD", 1)
    apple = await owner.add(room.cart, "APPLE", 1)
    await owner.op(room.cart, "save_for_later", line=bread)
    await owner.op(room.cart, "clear")
    state = await owner.state(room.cart)
    assert (state["lines"], [line["line"] for line in state["saved"]]) == ([], [bread])
    await owner.op_refusal("not_found", room.cart, "remove", line=apple)
    await owner.op(room.cart, "remove", line=bread)
    assert (await owner.state(room.cart))["saved"] == []


async def test_ops_without_effect_commit_all_the_same(room):
    owner = room.owner
    line = await owner.add(room.cart, "BREAD", 2)
    revs = [
        (await owner.op(room.cart, kind, **fields))["rev"]
        for kind, fields in [
            ("rename", {"name": "Picnic"}),
            ("note", {"text": ""}),
            ("set_quantity", {"line": line, "qty": 2}),
            ("move_to_cart", {"line": line}),
            ("save_for_later", {"line": line}),
            ("save_for_later", {"line": line}),
            ("clear", {}),
            ("clear", {}),
        ]
    ]
    assert revs == list(range(4, 12))


async def test_texts_keep_every_character(room):
    text = "Größe 'XL' \"\\ \u2028 \U0001f9c0 \0 $where .key"
    await room.owner.op(room.cart, "rename", name=text)
    await room.owner.op(room.cart, "note", text=text)
    state = await room.owner.state(room.cart)
    assert (state["name"], state["note"]) == (text, text)


@pytest.mark.parametrize("name", ["", " \t", "x" * 201])
async def test_a_name_has_a_visible_character_and_a_bound(room, name):
    await room.owner.op_refusal("bad_request", room.cart, "rename", name=name)
    await room.owner.refusal("bad_request", "cart.create", name=name)


async def test_a_note_has_a_bound(room):
    await room.owner.op(room.cart, "note", text="ü" * 2_000)
    await room.owner.op_refusal("bad_request", room.cart, "note", text="x" * 2_001)


async def test_a_line_keeps_name_and_price_of_the_time_it_was_added(room, server):
    owner = room.owner
    items = [{"sku": "BUN", "qty": 1}]
    await server.products(Product("BUN", "Bun", 70, "EUR", None))
    await owner.op(room.cart, "add", items=items)
    await server.products(Product("BUN", "Bun, glazed", 90, "EUR", None))
    line = (await owner.state(room.cart))["lines"][0]
    assert (line["name"], line["unit_price"]) == ("Bun", 70)


async def test_a_deleted_cart_is_gone_for_everybody(room):
    owner, editor = room.clients
    reply = await owner.op(room.cart, "delete")
    assert reply["op"] == {"kind": "delete"}
    for client in (owner, editor):
        assert await client.push("cart.gone", room.cart) == {
            "type": "cart.gone",
            "cart": room.cart,
            "reason": "deleted",
        }
        await client.refusal("not_found", "cart.join", cart=room.cart)
        await client.op_refusal("not_found", room.cart, "clear")
        assert (await client.request("cart.list"))["carts"] == []
    assert editor.revs[room.cart][-1] == reply["rev"]


async def test_ops_of_one_socket_take_effect_in_the_order_of_their_sending(room):
    owner = room.owner
    tasks = [owner.start_op(room.cart, "rename", name=f"Name {index}") for index in range(60)]
    tasks.append(owner.start_op(room.cart, "set_quantity", line="lin_9_9", qty=1))
    tasks.append(owner.start("cart.history", cart=room.cart, limit=1))
    replies = [await task for task in tasks]
    assert [reply["rev"] for reply in replies[:60]] == list(range(3, 63))
    refused(replies[60], "not_found")
    assert replies[61]["ops"][0]["op"]["name"] == "Name 59"
    ids = [frame["id"] for frame in owner.frames if "id" in frame]
    assert ids == sorted(ids)
