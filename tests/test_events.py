"""Events as the log makes them: one for each entry, the same whenever they are made."""

from __future__ import annotations

import json

import pytest

from events.from_log import events_of
from events.sink import CartEvents
from storage.oplog import OpLog
from storage.times import rfc3339
from tests.client import APPLE, BREAD, cart_room


async def read_events(database, cart):
    return [event for commit in await OpLog(database).tail(cart, 0) for event in events_of(commit)]


async def test_they_are_the_ops_that_everybody_sees(server, database):
    """Names apart, which are looked up for people and never published."""
    await server.products(APPLE, BREAD)
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        line = await owner.add(room.cart, "APPLE", 4)
        await editor.op(room.cart, "set_quantity", line=line, qty=2)
        await owner.op(room.cart, "unshare", user=editor.user)
        seen = (await owner.request("cart.history", cart=room.cart))["ops"]
        events = await read_events(database, room.cart)
    for op in seen:
        for user in op["op"].get("users", ()):
            del user["name"]
    assert [event.data for event in events] == [{"cart": room.cart, **op} for op in seen]
    kinds = ["create", "share", "add", "set_quantity", "unshare"]
    assert [event.type for event in events] == [f"cartroom.cart.{kind}" for kind in kinds]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert [event.id for event in events] == [f"{room.cart}:{rev}" for rev in range(1, 6)]
    assert {(event.subject, event.key) for event in events} == {(room.cart, room.cart)}
    assert [rfc3339(event.time_ms) for event in events] == [op["at"] for op in seen]


def commit_of(cart, first, *ops):
    entries = [
        {
            "op_id": None,
            "by": "usr_a",
            "at": 1_000 + index,
            "hash": "h",
            "op": op,
            "results": [None],
        }
        for index, op in enumerate(ops)
    ]
    last = first + len(ops) - 1
    return {
        "_id": f"{cart}:{first}",
        "cart": cart,
        "last": last,
        "commit": "t",
        "v": 3,
        "ops": entries,
    }


def test_what_a_newer_version_logs_is_told_as_it_was_logged():
    op = {"kind": "levitate", "height_cm": 3}
    (event,) = events_of({**commit_of("crt_a", 7, op), "v": 99})
    assert event.type == "cartroom.cart.levitate"
    assert event.data["op"] == op


def test_it_does_not_matter_which_commit_an_entry_is_in():
    """A lost race puts the same op at another place; the place alone names the event."""
    one, other = {"kind": "clear"}, {"kind": "rename", "name": "Feast"}
    together = events_of(commit_of("crt_a", 3, one, other))
    assert [event.sequence for event in together] == [3, 4]
    assert together[0] == events_of(commit_of("crt_a", 3, one))[0]


@pytest.mark.parametrize("op_id", [None, "7d0c9a52-5d3c-4f5e-9a51-0f6a4b1f2c3d:2"])
def test_what_is_for_its_sender_alone_is_not_told(op_id):
    commit = commit_of("crt_a", 1, {"kind": "clear"})
    commit["ops"][0]["op_id"] = op_id
    (event,) = events_of(commit)
    assert sorted(event.data) == ["at", "by", "cart", "op", "op_id", "rev"]
    assert event.data["op_id"] == op_id
    assert json.loads(json.dumps(event.data)) == event.data


def test_first_and_last_of_what_is_handed_over():
    events = tuple(events_of(commit_of("crt_a", 5, {"kind": "clear"}, {"kind": "clear"})))
    given = CartEvents("crt_a", events, size=200)
    assert (given.first, given.last) == (5, 6)
