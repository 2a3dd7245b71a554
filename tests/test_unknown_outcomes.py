"""Commits whose journey to the store is cut, delayed or repeated, by hand and at random.

What a client was told stays true, whatever becomes of the commit later and wherever the client
goes meanwhile: no op is lost, doubled, or refused for good and then applied.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from commerce.catalog.product import Product
from server.settings import Settings
from storage.mongo import Database
from tests.client import Client, Message, Room, cart_room, refused, succeeded
from tests.faults import FaultProxy, Hold, Match, is_commit
from tests.helpers import eventually
from tests.places import Place, places
from tests.stage import hurried
from tests.test_commits import logged


@pytest.fixture
async def two(settings: Settings, mongodb_url: str) -> AsyncIterator[tuple[Place, Place]]:
    async with places(settings, mongodb_url, 2) as (here, there):
        yield here, there


def once(match: Match) -> Match:
    """Matches the first message that `match` does, and no other."""
    seen: list[bytes] = []

    def first(message: bytes) -> bool:
        if seen or not match(message):
            return False
        seen.append(message)
        return True

    return first


async def insist(client: Client, cart: str, op_id: str, kind: str, **fields: object) -> Message:
    """Send an op again until the answer is final; returns that."""
    return await client.insist("cart.op", cart=cart, op_id=op_id, op={"kind": kind, **fields})


async def taken(database: Database, cart: str, op_id: str) -> int:
    """How often an op took effect, by the log; a record of its refusal is none."""
    ops = await logged(database, cart)
    return [op["op_id"] for op in ops if op["op"]["kind"] != "refuse"].count(op_id)


# Late arrivals


async def test_a_commit_that_arrives_after_its_repetition_changes_nothing(
    two: tuple[Place, Place], database: Database
) -> None:
    here, _ = two
    async with cart_room(here.server, roles=("editor",)) as room:
        owner, editor = room.clients
        held = here.store.hold(once(is_commit))
        op_id = editor.next_op_id()
        reply = editor.start_op(room.cart, "rename", op_id, name="Twice")
        await held.reached()
        here.store.cut_off()
        assert succeeded(await reply)["rev"] == 3
        assert (await owner.op(room.cart, "rename", name="Later"))["rev"] == 4
        held.release()
        await eventually(lambda: here.store.answered_late == 1)
        assert (await editor.op(room.cart, "rename", op_id, name="Twice"))["rev"] == 3
        assert (await editor.state(room.cart))["name"] == "Later"
        assert await taken(database, room.cart, op_id) == 1


async def test_a_commit_that_arrives_where_another_instance_was_first_comes_after_it(
    two: tuple[Place, Place], database: Database
) -> None:
    here, there = two
    async with cart_room(here.server, there.server, roles=("editor",)) as room:
        owner, editor = room.clients
        first, rest = here.store.hold(once(is_commit)), here.store.hold()
        op_id = owner.next_op_id()
        reply = owner.start_op(room.cart, "rename", op_id, name="Second")
        await first.reached()
        here.store.cut_off()
        assert (await editor.op(room.cart, "rename", name="First"))["rev"] == 3
        first.release()
        await rest.reached()
        rest.release()
        await reply
        final = await insist(owner, room.cart, op_id, "rename", name="Second")
        assert (final["type"], final["rev"]) == ("ok", 4)
        assert await editor.reach(room.cart, 4) == [3, 4]
        assert await taken(database, room.cart, op_id) == 1


@pytest.mark.parametrize("arrives", ["before the client", "after the client"])
@pytest.mark.parametrize("cut", [False, True])
async def test_an_op_and_its_client_meet_at_another_instance(
    two: tuple[Place, Place], database: Database, arrives: str, cut: bool
) -> None:
    here, there = two
    async with cart_room(here.server, roles=("editor",)) as room:
        editor = room.clients[1]
        held = here.store.hold()
        op_id = editor.next_op_id()
        with hurried(here.server.hub, room.cart):
            reply = editor.start_op(room.cart, "rename", op_id, name="Moved")
            await held.reached()
            assert refused(await reply, "unavailable")["temporary"] is True
        if cut:
            here.store.cut_off()
        async with there.server.connect(room.accounts[1], editor.client) as moved:
            if arrives == "before the client":
                held.release()
            answer = await insist(moved, room.cart, op_id, "rename", name="Moved")
            held.release()
            assert (answer["type"], answer["rev"]) == ("ok", 3)
            again = await insist(editor, room.cart, op_id, "rename", name="Moved")
            assert [again[key] for key in ("rev", "at")] == [answer[key] for key in ("rev", "at")]
            following = f"{editor.client}:2"
            assert (await moved.op(room.cart, "rename", following, name="Next"))["rev"] == 4
        assert await taken(database, room.cart, op_id) == 1


# Refused at one instance while the commit that would allow it is on its way at another


@dataclass(frozen=True)
class Enabled:
    """What the owner does so that the guest's op can have its effect."""

    role: str
    before: Message
    """What the cart has got when it begins."""
    enabling: Message
    op: Message
    code: str
    """The guest's refusal without it."""


STOCKED = Product("STOCKED", "Stocked", 100, "EUR", 3)
ENABLED = {
    "a role": Enabled(
        "viewer",
        {"kind": "rename", "name": "Before"},
        {"kind": "share", "role": "editor"},
        {"kind": "rename", "name": "Enabled"},
        "forbidden",
    ),
    "a line": Enabled(
        "editor",
        {"kind": "rename", "name": "Before"},
        {"kind": "add", "items": [{"sku": STOCKED.sku, "qty": 1}]},
        {"kind": "set_quantity", "line": "lin_5_0", "qty": 2},
        "not_found",
    ),
    "stock": Enabled(
        "editor",
        {"kind": "add", "items": [{"sku": STOCKED.sku, "qty": 3}]},
        {"kind": "clear"},
        {"kind": "add", "items": [{"sku": STOCKED.sku, "qty": 1}]},
        "out_of_stock",
    ),
}


def start(client: Client, cart: str, op_id: str, op: Message) -> asyncio.Task[Message]:
    return client.start("cart.op", cart=cart, op_id=op_id, op=op)


@pytest.mark.parametrize("cut", [False, True], ids=["held", "held and cut off"])
@pytest.mark.parametrize("what", ENABLED)
async def test_what_another_instance_said_of_an_op_stays_true(
    two: tuple[Place, Place], database: Database, what: str, cut: bool
) -> None:
    here, there = two
    enabled = ENABLED[what]
    await here.server.products(STOCKED)
    async with cart_room(here.server, roles=(enabled.role,)) as room:
        owner, guest = room.clients
        cart, op_id = room.cart, guest.next_op_id()
        succeeded(await start(owner, cart, owner.next_op_id(), enabled.before))
        enabling = owner.next_op_id(), grant(enabled.enabling, guest)
        hold, lost = await under_way_together(here.store, room, enabling, (op_id, enabled.op))
        guest.socket.transport.abort()
        await asyncio.gather(lost, return_exceptions=True)
        if cut:
            here.store.cut_off()
        async with there.server.connect(room.accounts[1], guest.client) as moved:
            told = await start(moved, cart, op_id, enabled.op)
            hold.release()
            allowed = await finally_told(owner, cart, *enabling)
            assert allowed["type"] == "ok"
            await moved.join(cart, rev=allowed["rev"])
            final = await finally_told(moved, cart, op_id, enabled.op)
            check_stays_true(told, final, enabled.code)
            async with here.server.connect(room.accounts[1], guest.client) as back:
                again = await finally_told(back, cart, op_id, enabled.op)
                assert verdict(again) == verdict(final)
        assert await taken(database, cart, op_id) == (final["type"] == "ok")


def grant(op: Message, guest: Client) -> Message:
    if op["kind"] != "share":
        return op
    return {"kind": "share", "users": [{"user": guest.user, "role": op["role"]}]}


async def under_way_together(
    store: FaultProxy, room: Room, enabling: tuple[str, Message], enabled: tuple[str, Message]
) -> tuple[Hold, asyncio.Task[Message]]:
    """Both ops in one commit that is held back; the second one's answer comes along."""
    filler = store.hold(once(is_commit))
    other_device = f"{uuid.uuid4()}:1"
    room.owner.start_op(room.cart, "note", other_device, text="In the meantime")
    await filler.reached()
    for client, (op_id, op) in zip(room.clients, (enabling, enabled), strict=True):
        reply = start(client, room.cart, op_id, op)
        await client.request("ping")
    hold = store.hold()
    filler.release()
    await hold.reached()
    return hold, reply


async def finally_told(client: Client, cart: str, op_id: str, op: Message) -> Message:
    fields = {key: value for key, value in op.items() if key != "kind"}
    return await insist(client, cart, op_id, op["kind"], **fields)


def verdict(reply: Message) -> object:
    return reply["rev"] if reply["type"] == "ok" else reply["code"]


def check_stays_true(told: Message, final: Message, code: str) -> None:
    """The first word, if it was final, is the last one."""
    if told["type"] == "error" and not told["temporary"]:
        assert told["code"] == code
    if told["type"] == "ok" or not told["temporary"]:
        assert verdict(final) == verdict(told)
