"""Users who are gone for good: guests merged into accounts, members whose accounts are deleted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realtime import limits
from realtime.acting import deed_id, perform
from realtime.errors import CartroomError
from realtime.ops import Depart, Merge, Op
from realtime.wire import Event
from tests.client import Server, cart_room
from tests.mirror import Mirror
from tests.stage import Message, Socket, Stage

ANA, BEA, GUEST = "usr_ana", "usr_bea", "usr_guest"


async def act(stage: Stage, cart: str, user: str, op: Op, *more: str) -> Event:
    op_id = deed_id(cart, repr(op), *more)
    return await perform(stage.hub, cart, user=user, op_id=op_id, op=op)


async def merge(stage: Stage, cart: str, into: str = BEA) -> Message:
    """What took effect."""
    event = await act(stage, cart, into, Merge(GUEST, into))
    return msgspec.json.decode(event.op, type=dict[str, Any])


async def ok(socket: Socket, cart: str, kind: str, **fields: Any) -> Message:
    reply = await socket.reply(socket.op(cart, kind, **fields))
    assert reply["type"] == "ok", reply
    return reply


async def add(socket: Socket, cart: str, **pieces: int) -> list[str]:
    """Add so many of each sku; the lines."""
    items = [{"sku": sku, "qty": qty} for sku, qty in pieces.items()]
    reply = await ok(socket, cart, "add", items=items)
    return [result["line"] for result in reply["results"]]


async def noted(socket: Socket, cart: str, line: str, text: str) -> None:
    await ok(socket, cart, "note", line=line, text=text)


async def share(socket: Socket, cart: str, **roles: str) -> None:
    users = [{"user": f"usr_{name}", "role": role} for name, role in roles.items()]
    await ok(socket, cart, "share", users=users)


async def state_of(socket: Socket, cart: str) -> Message:
    reply = await socket.ask("cart.join", cart=cart)
    return {"rev": reply["rev"], **reply["state"]}


def members(state: Message) -> dict[str, str]:
    return {member["user"]: member["role"] for member in state["members"]}


def lines(state: Message, shelf: str = "lines") -> dict[str, tuple[str, int]]:
    return {line["line"]: (line["for"], line["qty"]) for line in state[shelf]}


async def follows(socket: Socket, cart: str, rev: int) -> Mirror:
    """The cart as one knows it who was joined all the time and applied what came."""
    await socket.has_rev(rev)
    first = next(frame for frame in socket.frames if "state" in frame)
    mirror = Mirror.of_state(first["rev"], first["state"])
    for frame in socket.frames[socket.frames.index(first) :]:
        if frame["type"] == "ok" and "op" in frame:
            mirror.apply(frame["rev"], socket.user, frame["op"])
        for op in frame.get("ops", ()):
            mirror.apply(op["rev"], op["by"], op["op"])
    return mirror


# Merging


async def test_lines_of_both_sum_up_and_a_third_sees_it_live() -> None:
    async with Stage() as stage, stage.other() as other:
        ana, guest, bea = [await stage.connect(name) for name in ("ana", "guest", "bea")]
        cart = await ana.create()
        await share(ana, cart, guest="editor", bea="viewer", cem="viewer")
        apples, pears = await add(guest, cart, APPLE=2, PEAR=1)
        await share(ana, cart, bea="editor")
        (mine,) = await add(bea, cart, APPLE=3)
        cem = await other.connect("cem")
        await state_of(cem, cart)
        effect = await merge(stage, cart)
        assert effect.pop("lines") == [{"line": apples, "into": mine}, {"line": pears}]
        assert effect == {
            "kind": "merge",
            "user": GUEST,
            "into": BEA,
            "role": "editor",
            "name": "Bea",
        }
        state = await state_of(ana, cart)
        assert lines(state) == {mine: (BEA, 5), pears: (BEA, 1)}
        assert members(state) == {ANA: "owner", BEA: "editor", "usr_cem": "viewer"}
        seen = await follows(cem, cart, state["rev"])
        assert seen.content() == Mirror.of_state(state["rev"], state).content()


async def test_who_is_not_in_the_cart_takes_the_guests_place() -> None:
    async with Stage() as stage:
        guest, bea = await stage.connect("guest"), await stage.connect("bea")
        cart = await guest.create()
        bought, kept = await add(guest, cart, APPLE=2, PEAR=1)
        await ok(guest, cart, "save_for_later", line=kept)
        await merge(stage, cart)
        state = await state_of(bea, cart)
        assert [(one["user"], one["name"], one["role"]) for one in state["members"]] == [
            (BEA, "Bea", "owner")
        ]
        assert lines(state) == {bought: (BEA, 2)}
        assert lines(state, "saved") == {kept: (BEA, 1)}
        assert [one.user for one in await stage.memberships.of_user(BEA, 9)] == [BEA]
        assert await stage.memberships.of_user(GUEST, 9) == []
        (again,) = await add(bea, cart, APPLE=1)
        assert again == bought


@pytest.mark.parametrize(
    ("of_guest", "of_bea", "after"),
    [
        ("viewer", "editor", "editor"),
        ("editor", "viewer", "editor"),
        ("owner", "viewer", "owner"),
        ("viewer", "owner", "owner"),
    ],
)
async def test_the_higher_role_stays(of_guest: str, of_bea: str, after: str) -> None:
    async with Stage() as stage:
        guest, bea = await stage.connect("guest"), await stage.connect("bea")
        owner = {"guest": guest, "bea": bea}.get(
            "guest" if of_guest == "owner" else "bea" if of_bea == "owner" else "",
            await stage.connect("ana"),
        )
        cart = await owner.create()
        roles = {"guest": of_guest, "bea": of_bea}
        await share(owner, cart, **{name: role for name, role in roles.items() if role != "owner"})
        await bea.ask("cart.join", cart=cart)
        await merge(stage, cart)
        (state,) = [frame for frame in bea.frames if frame["type"] == "cart.state"]
        assert state["role"] == after
        assert members(state["state"])[BEA] == after


async def test_the_guests_sockets_are_told_that_they_are_somebody_else_now() -> None:
    async with Stage() as stage:
        guest = await stage.connect("guest")
        cart = await guest.create()
        await merge(stage, cart)
        gone = [frame for frame in guest.frames if frame["type"] == "cart.gone"]
        assert gone == [{"type": "cart.gone", "cart": cart, "reason": "merged"}]
        assert guest.revs()[-1] == 2, "of their own end, too"
        refused = await guest.reply(guest.rename(cart, "Still here"))
        assert refused["code"] == "not_found"


@pytest.mark.parametrize(
    ("mine", "theirs", "after"),
    [("", "ripe", "ripe"), ("ripe", "", "ripe"), ("red", "ripe", "red\nripe"), ("a", "a", "a")],
)
async def test_notes_are_joined_each_once(mine: str, theirs: str, after: str) -> None:
    async with Stage() as stage:
        ana, guest, bea = [await stage.connect(name) for name in ("ana", "guest", "bea")]
        cart = await ana.create()
        await share(ana, cart, guest="editor", bea="editor")
        for socket, note in ((bea, mine), (guest, theirs)):
            (line,) = await add(socket, cart, APPLE=1)
            await noted(socket, cart, line, note)
        await merge(stage, cart)
        state = await state_of(ana, cart)
        assert [line["note"] for line in state["lines"]] == [after]


async def test_what_would_be_too_much_for_one_line_stays_the_guests() -> None:
    async with Stage() as stage:
        ana, guest, bea = [await stage.connect(name) for name in ("ana", "guest", "bea")]
        cart = await ana.create()
        await share(ana, cart, guest="editor", bea="editor")
        most = limits.DEFAULT_LIMITS.pieces
        many, long, few = await add(guest, cart, APPLE=most, PEAR=1, NUT=1)
        more, mine, sum_ = await add(bea, cart, APPLE=1, PEAR=1, NUT=most - 1)
        await noted(guest, cart, long, "g" * limits.NOTE_MAX)
        await noted(bea, cart, mine, "b")
        effect = await merge(stage, cart)
        assert effect["lines"] == [{"line": few, "into": sum_}]
        state = await state_of(ana, cart)
        guests = {many: (GUEST, most), long: (GUEST, 1)}
        assert lines(state) == {**guests, more: (BEA, 1), mine: (BEA, 1), sum_: (BEA, most)}


async def test_merging_twice_changes_nothing() -> None:
    async with Stage() as stage:
        guest = await stage.connect("guest")
        cart = await guest.create()
        await add(guest, cart, APPLE=2)
        first = await merge(stage, cart)
        assert await merge(stage, cart) == first
        with pytest.raises(CartroomError) as refused:
            await act(stage, cart, BEA, Merge(GUEST, BEA), "under another number")
        assert refused.value.code == "not_found"
        assert len(stage.store.entries(cart)) == 3


# Departing


async def test_an_owner_is_followed_by_who_has_been_in_the_longest_with_the_highest_role() -> None:
    async with Stage() as stage:
        ana, cem = await stage.connect("ana"), await stage.connect("cem")
        cart = await ana.create()
        await share(ana, cart, bea="viewer")
        await share(ana, cart, cem="viewer")
        await share(ana, cart, dan="editor")
        await share(ana, cart, cem="editor")
        (line,) = await add(ana, cart, APPLE=2)
        await state_of(cem, cart)
        await act(stage, cart, ANA, Depart(ANA))
        (state,) = [frame for frame in cem.frames if frame["type"] == "cart.state"]
        assert state["role"] == "owner", "in before dan, who was an editor before"
        assert members(state["state"]) == {BEA: "viewer", "usr_dan": "editor", "usr_cem": "owner"}
        assert lines(state["state"]) == {line: (ANA, 2)}
        roles = {one.user: one.role for one in stage.store.memberships.values()}
        assert roles == {ANA: None, BEA: "viewer", "usr_cem": "owner", "usr_dan": "editor"}
        await share(cem, cart, dan="viewer")


async def test_who_was_no_owner_leaves_that_as_it_is() -> None:
    async with Stage() as stage:
        ana, bea = await stage.connect("ana"), await stage.connect("bea")
        cart = await ana.create()
        await share(ana, cart, bea="editor")
        await state_of(bea, cart)
        event = await act(stage, cart, BEA, Depart(BEA))
        assert msgspec.json.decode(event.op) == {"kind": "depart", "user": BEA}
        (gone,) = [frame for frame in bea.frames if frame["type"] == "cart.gone"]
        assert gone["reason"] == "left"
        assert not [frame for frame in ana.frames if frame["type"] == "cart.state"]


async def test_the_last_one_departs_with_the_cart() -> None:
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        event = await act(stage, cart, ANA, Depart(ANA))
        assert msgspec.json.decode(event.op) == {"kind": "delete"}
        (gone,) = [frame for frame in ana.frames if frame["type"] == "cart.gone"]
        assert gone["reason"] == "deleted"
        assert (await ana.ask("cart.join", cart=cart))["code"] == "not_found"
        assert await act(stage, cart, ANA, Depart(ANA)) == event


async def test_the_names_of_who_is_gone_are_told_no_more() -> None:
    """Neither by what was in memory already nor by the log."""
    async with Stage() as stage, stage.other() as other:
        ana, cem = await stage.connect("ana"), await other.connect("cem")
        cart = await ana.create()
        await share(ana, cart, bea="editor", cem="viewer")
        joined = await state_of(cem, cart)
        await act(stage, cart, BEA, Depart(BEA))
        await ana.has_rev(3)
        await cem.has_rev(joined["rev"] + 1)
        for socket in (ana, cem):
            resumed = await socket.ask("cart.join", cart=cart, rev=1)
            history = await socket.ask("cart.history", cart=cart)
            for ops in (resumed["ops"], history["ops"][1:]):
                shared = ops[0]["op"]["users"]
                assert [one["name"] for one in shared] == ["Former member", "Cem"]


# The door


@pytest.mark.parametrize("kind", ["merge", "depart"])
async def test_a_client_can_not_make_ops_of_the_service(server: Server, kind: str) -> None:
    async with cart_room(server, roles=("editor",)) as room:
        fields = {"user": room.accounts[1].user, "into": room.accounts[0].user}
        if kind == "depart":
            del fields["into"]
        await room.owner.op_refusal("bad_request", room.cart, kind, **fields)
