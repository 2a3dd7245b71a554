"""docs/events/ says what events hold: one schema a type, true of all that is made."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import ClientSession
from jsonschema import Draft202012Validator, ValidationError

from events.event import CART
from events.from_log import events_of
from events.schemas import SCHEMAS
from events.schemas.files import encode
from realtime.reducer import _APPLIERS
from storage.oplog import OpLog
from tests.client import APPLE, BREAD, cart_room
from tests.event_schemas import FOLDER, check_data, check_event
from tests.vectors.making import FOLDER as VECTORS

KINDS = sorted(_APPLIERS)
EFFECTS = [
    case["effect"]
    for path in sorted(VECTORS.glob("*.json"))
    for case in json.loads(path.read_text())
    if "effect" in case
]


def test_the_files_are_those_that_are_served():
    """`python -m events.schemas` writes them."""
    files = {path.stem: path.read_bytes() for path in FOLDER.glob("*.json")}
    assert files == {type_: encode(schema) for type_, schema in SCHEMAS.items()}


@pytest.mark.parametrize("type_", SCHEMAS)
def test_each_is_a_schema_that_names_its_type(type_):
    Draft202012Validator.check_schema(SCHEMAS[type_])
    assert SCHEMAS[type_]["title"] == type_
    assert SCHEMAS[type_]["description"]


def test_there_is_one_for_each_type_of_event():
    others = {type_ for type_ in SCHEMAS if not type_.startswith(CART)}
    assert {type_.removeprefix(CART) for type_ in SCHEMAS if type_ not in others} == set(KINDS)
    assert others == {
        *(f"cartroom.invitation.{what}" for what in ("created", "accepted", "withdrawn")),
        "cartroom.product.changed",
    }
    readme = (FOLDER / "README.md").read_text()
    assert set(re.findall(r"`(cartroom\.[a-z]+\.[a-z_]+)`", readme)) == set(SCHEMAS)


def event_data(effect):
    op = json.loads(json.dumps(effect))
    for user in op.get("users", ()):
        user.pop("name", None)
    if op["kind"] == "merge":
        op.pop("name", None)
    return {
        "cart": "crt_1",
        "rev": 3,
        "op_id": None,
        "by": "usr_ana",
        "at": "2026-11-21T10:00:00.000Z",
        "op": op,
    }


def test_every_effect_of_the_vectors_is_as_its_schema_says():
    assert {effect["kind"] for effect in EFFECTS} >= set(KINDS) - {"admit"}
    for effect in EFFECTS:
        check_data(f"{CART}{effect['kind']}", event_data(effect))


def test_what_is_not_so_is_refused():
    """A check that lets everything pass proves nothing."""
    for effect in EFFECTS:
        data = event_data(effect)
        for name in ("cart", "rev", "op_id", "by", "at", "op"):
            with pytest.raises(ValidationError):
                check_data(
                    f"{CART}{effect['kind']}", {key: data[key] for key in data if key != name}
                )
        op = {**data["op"], "name_of_user": "Ana"}
        with pytest.raises(ValidationError):
            check_data(f"{CART}{effect['kind']}", {**data, "op": op})
        with pytest.raises(ValidationError):
            check_data(f"{CART}{effect['kind']}", {**data, "at": "noon"})


async def test_what_a_service_logs_is_as_the_schemas_say(server, database):
    await server.products(APPLE, BREAD)
    async with cart_room(server, roles=("editor", "viewer")) as room:
        owner, editor, _ = room.clients
        line = await owner.add(room.cart, "APPLE", 4, **{"for": editor.user})
        bread = await editor.add(room.cart, "BREAD", 2)
        for kind, fields in [
            ("change_quantity", {"line": line, "by": -1}),
            ("note", {"text": "for Sunday"}),
            ("note", {"line": line, "text": "ripe"}),
            ("save_for_later", {"line": bread}),
            ("move_to_cart", {"line": bread}),
            ("unshare", {"user": editor.user}),
            ("clear", {}),
            ("delete", {}),
        ]:
            await owner.op(room.cart, kind, **fields)
        commits = await OpLog(database).tail(room.cart, 0)
    events = [event for commit in commits for event in events_of(commit)]
    assert len(events) == 13
    for event in events:
        check_event(event)


async def test_they_are_served_where_events_say(server):
    async with ClientSession() as http:
        for type_ in SCHEMAS:
            async with http.get(f"{server.url}/api/events/{type_}.json") as answer:
                assert answer.status == 200
                assert answer.content_type == "application/schema+json"
                assert await answer.json(content_type=None) == SCHEMAS[type_]
        async with http.get(f"{server.url}/api/events/cartroom.cart.levitate.json") as answer:
            assert answer.status == 404
