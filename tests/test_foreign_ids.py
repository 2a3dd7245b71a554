"""Other people's ids, in every parameter of every route and message, lead nowhere.

Ana has an account with two devices, a cart with a member and lines, and all that goes with it.
Somebody who has learnt these ids puts each of them wherever a request takes one. What they are
answered is what they are answered for an id of the same form that nobody has; and what is stored
of Ana stays as it was.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import msgspec
import pytest
from yarl import URL

from commerce.accounts import policy
from handlers import keys
from handlers.openapi import Route
from handlers.routes import ROUTES
from realtime import messages, ops
from server.settings import Settings
from tests.cast import Cast, Somebody
from tests.client import APPLE, BREAD, Client, Server, read_to_the_end, running_server
from tests.conftest import UNHURRIED, UNLIMITED
from tests.helpers import eventually
from tests.inboxes import notified
from tests.mailbox import folder_mails, token_of
from tests.tiers import by_tier

INTRUDERS = (policy.GUEST, policy.CUSTOMER)
CLIENT = "0d9f0a52-63f7-4a3c-9f43-5a5d20a1f1aa"
OF_ROUTES = by_tier(
    quick=("user", "session", "refresh token"),
    ci=("user", "email", "cart", "session", "refresh token"),
    long=("user", "email", "cart", "session", "refresh token"),
)
"""What a route could be about."""
# Everybody's: the catalog, the table of errors and the types of events.
PUBLIC = {"seeProduct", "changeProduct", "explainProblem", "explainEvent"}


@dataclass
class Stage:
    """A service, Ana's ids by what they are of, and who else is there."""

    server: Server
    cast: Cast
    ids: dict[str, str]

    async def stored(self) -> dict[str, str]:
        """All documents that have to do with Ana, by collection and id."""
        database = self.server.app[keys.DATABASE]
        found: dict[str, str] = {}
        for name in await database.collection("users").database.list_collection_names():
            async for document in database.collection(name).find({}):
                text = json.dumps(document, default=str, sort_keys=True)
                if any(each in text for each in self.ids.values()):
                    found[f"{name} {document['_id']}"] = text
        return found


@pytest.fixture(scope="module")
async def stage(
    mongodb_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    settings = Settings(
        port=0,
        data=tmp_path_factory.mktemp("data"),
        mongodb_url=mongodb_url,
        mongodb_database=f"test_foreign_{uuid.uuid4().hex[:12]}",
        redis_url=redis_url,
        jwt_secret="x" * 40,
        bcrypt_cost=4,
        snapshot_every_s=0.1,
        room_idle_s=0.1,
        seen_every_s=1_000.0,
        workers=("none",),
        **UNLIMITED,
        **UNHURRIED,
        log_level="WARNING",
    )
    async with running_server(settings) as server:
        await server.products(APPLE, BREAD)
        cast = Cast(server)
        ids = await ids_of_ana(server, cast, settings.data / "mail")
        # Nothing is written behind any more.
        await eventually(lambda: server.hub.room(ids["cart"]) is None)
        yield Stage(server, cast, ids)
        await server.app[keys.DATABASE].drop()


async def ids_of_ana(server: Server, cast: Cast, mails: Path) -> dict[str, str]:
    ana, ben = await cast.one(policy.CUSTOMER), await cast.one(policy.CUSTOMER)
    await cast.again(ana)
    devices = f"{server.url}/api/v1/auth/devices"
    async with server.http.get(devices, headers=ana.headers) as response:
        sessions = [one["id"] for one in (await response.json())["items"]]
    async with server.connect(ana.account) as client:
        cart = await client.create(name="Ana's")
        await client.share(cart, ben.account)
        for _ in range(9):  # so that the lines of others don't happen to be called the same
            await client.op(cart, "rename", name="Ana's own")
        line = await client.add(cart, "BREAD")
        invited = {"email": "cleo@shop.example", "role": "editor"}
        invitation = (await client.request("cart.invite", cart=cart, **invited))["invitation"]
        (mail,) = await eventually(
            lambda: [one for one in folder_mails(mails) if one["To"] == invited["email"]]
        )
        return {
            "user": ana.user,
            "member": ben.user,
            "email": ana.email,
            "cart": cart,
            "line": line,
            "invitation": invitation,
            "notification": (await notified(server, ana.account, ben.account, cart)).id,
            # The very one; but it is for who has the address that it was mailed to.
            "invitation token": token_of(mail),
            "client": client.client,
            "session": sessions[0],
            "other session": sessions[1],
            # With a secret that isn't hers: with hers it is no id, but the key itself.
            "refresh token": f"{sessions[1]}.0.{'0' * 64}",
        }


def nobodys(known: str) -> str:
    """An id of the same form that nobody has."""
    if "@" in known:
        return f"{secrets.token_hex(6)}@shop.example"
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", known):
        return str(uuid.uuid4())
    if known.startswith("lin_"):
        return f"lin_99_{secrets.randbelow(10)}"
    return known[:4] + secrets.token_hex(12) + known[28:]


async def test_ids_of_nobody_look_like_those_of_somebody(stage: Stage) -> None:
    for known in stage.ids.values():
        made_up = nobodys(known)
        assert made_up != known
        assert len(made_up) == len(known)
        assert re.sub(r"[0-9a-f]", "x", made_up) == re.sub(r"[0-9a-f]", "x", known)


# Routes


def places_of(route: Route) -> Iterator[tuple[Route, str, str]]:
    """Where a request of this route takes something, as (…, "path", "id")."""
    operation = route.operation
    if operation is None or operation.id in PUBLIC:
        return
    parts = {"path": operation.path, "query": operation.query, "body": operation.body}
    for part, schema in parts.items():
        if schema is not None:
            yield from ((route, part, name) for name in schema().fields)


async def send(
    stage: Stage, person: Somebody, place: tuple[Route, str, str], value: str
) -> tuple[int, str]:
    """The answer to the route's own example, with this value in this place."""
    route, part, name = place
    operation = route.operation
    assert operation is not None
    path = re.sub(r"{[^{}]+}", quote(value, safe=""), route.path)
    options: dict[str, Any] = {"params": {name: value}} if part == "query" else {}
    if operation.body is not None:
        body = dict(operation.body_example or {})
        if "email" in body:
            body["email"] = f"{secrets.token_hex(8)}@shop.example"
        options["json"] = {**body, **({name: value} if part == "body" else {})}
    url = URL(stage.server.url + path, encoded=True)
    async with stage.server.http.request(
        route.method, url, headers=person.headers, **options
    ) as response:
        return response.status, (await response.text()).replace(value, "<id>")


async def test_in_a_route_they_are_as_good_as_none(stage: Stage) -> None:
    before = await stage.stored()
    people = {group: await stage.cast.one(group) for group in INTRUDERS}
    tried = 0
    for place in [place for route in ROUTES for place in places_of(route)]:
        for group, what in product(INTRUDERS, OF_ROUTES):
            known = stage.ids[what]
            if what == "email" and place[2] == "email":
                continue  # what an address tells, and what it doesn't, has tests of its own
            answers = []
            for value in (known, nobodys(known)):
                answers.append(await send(stage, people[group], place, value))
                if answers[-1][0] < 300 and place[0].method != "GET":
                    people[group] = await stage.cast.one(group)  # they may have signed out
            said = f"{place[0].method} {place[0].path} {place[1:]} with Ana's {what}, as {group}"
            if answers[0][0] < 300:
                assert answers[0][0] == answers[1][0], said
            else:
                assert answers[0] == answers[1], said
            tried += 1
    assert tried > 50
    await unharmed(stage, before)


async def unharmed(stage: Stage, before: dict[str, str]) -> None:
    """Everything of Ana's is as it was, and nothing has come to it."""
    after = await stage.stored()
    assert {name: after.get(name) for name in before} == before
    hers = [one for what, one in stage.ids.items() if what != "client"]
    for name in after.keys() - before.keys():
        document = json.loads(after[name])
        about = [str(document.get(field)) for field in ("_id", "cart", "user", "owner", "by")]
        assert not any(each in text for each in hers for text in about), after[name]


# Messages. `<kind>` stands where an id of that kind goes, by default the sender's own.

MESSAGES: dict[str, dict[str, Any]] = {
    "hello": {"client": "<client>", "token": "<token>"},
    "ping": {},
    "auth.renew": {"token": "<token>"},
    "cart.create": {"name": "<text>"},
    "cart.list": {"cursor": "<text>"},
    "cart.join": {"cart": "<cart>"},
    "cart.leave": {"cart": "<cart>"},
    "cart.history": {"cart": "<cart>"},
    "cart.mute": {"cart": "<cart>", "muted": True},
    "cart.invite": {"cart": "<cart>", "email": "dora@shop.example", "role": "viewer"},
    "cart.invitations": {"cart": "<cart>"},
    "cart.uninvite": {"cart": "<cart>", "invitation": "<text>"},
    "invitation.accept": {"token": "<token>"},
    "presence.set": {"cart": "<cart>", "data": {"line": "<line>"}},
    "notifications.list": {"cursor": "<text>"},
    "notifications.read": {"ids": ["<notification>"]},
}
OPS: dict[str, dict[str, Any]] = {
    "add": {"items": [{"sku": "BREAD", "qty": 1, "for": "<user>"}]},
    "change_quantity": {"line": "<line>", "by": 1},
    "set_quantity": {"line": "<line>", "qty": 2},
    "remove": {"line": "<line>"},
    "clear": {},
    "rename": {"name": "<text>"},
    "note": {"line": "<line>", "text": "<text>"},
    "save_for_later": {"line": "<line>"},
    "move_to_cart": {"line": "<line>"},
    # To put somebody into one's own cart by their id is what people tell each other theirs for.
    "share": {"users": [{"user": "<own>", "role": "viewer"}]},
    "unshare": {"user": "<user>"},
    "delete": {},
}
KINDS = {
    "cart": ("cart", "user"),
    "line": ("line", "cart"),
    "user": ("user", "member"),
    "text": ("invitation", "cart"),
    "notification": ("notification", "cart"),
    "token": ("invitation token", "refresh token", "session"),
}
"""What to put in a place, where there is no time for all of them."""
MARK = re.compile(r"<(\w+)>")


def tag_of(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)


def test_every_message_and_every_op_is_tried() -> None:
    assert {*MESSAGES, "cart.op"} == {tag_of(one) for one in messages.REQUEST_TYPES}
    assert set(OPS) == {tag_of(one) for one in get_args(ops.AnyOp)}


@dataclass
class Intruder:
    """Somebody with a cart and a line of their own."""

    client: Client
    own: dict[str, str]

    @classmethod
    async def enter(cls, stage: Stage, group: str, client: Client, person: Somebody) -> Intruder:
        cart = await client.create(name="Mine")
        own = {
            "cart": cart,
            "line": await client.add(cart, "BREAD"),
            "user": person.user,
            "own": person.user,
            "client": client.client,
            "token": "none",
            "text": "none",
            "notification": "ntf_none",
        }
        return cls(client, own)


def filled(template: Any, own: dict[str, str], number: int, value: str) -> Any:
    """The template with the sender's own ids, and with `value` in the place of that number."""
    count = -1

    def fill(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return value if count == number else own[match[1]]

    return json.loads(MARK.sub(fill, json.dumps(template)))


def requests_of() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((name, template) for name, template in MESSAGES.items() if name != "hello")
    for kind, template in OPS.items():
        yield "cart.op", {"cart": "<cart>", "op": {"kind": kind, **template}}


async def test_in_a_message_they_are_as_good_as_none(stage: Stage) -> None:
    before = await stage.stored()
    tried = 0
    for group, (name, template) in product(INTRUDERS, requests_of()):
        person = await stage.cast.one(group)
        async with stage.server.connect(person.account) as client:
            intruder = await Intruder.enter(stage, group, client, person)
            places = MARK.findall(json.dumps(template))
            for number, what in tries_of(places, stage.ids):
                known, place = stage.ids[what], places[number]
                answers = [
                    await answer_to(intruder, name, template, number, value)
                    for value in (known, nobodys(known))
                ]
                assert answers[0] == answers[1], (group, name, template, place, what)
                tried += 1
    assert tried > 80
    await unharmed(stage, before)


def tries_of(places: list[str], ids: dict[str, str]) -> Iterator[tuple[int, str]]:
    for number, place in enumerate(places):
        if place != "own":
            kinds = by_tier(quick=KINDS[place], ci=tuple(ids), long=tuple(ids))
            yield from ((number, what) for what in kinds)


async def answer_to(
    intruder: Intruder, name: str, template: dict[str, Any], number: int, value: str
) -> str:
    """What they are told, whoever the ids are of."""
    fields = filled(template, intruder.own, number, value)
    if name == "cart.op":
        fields["op_id"] = intruder.client.next_op_id()
    answer = await intruder.client.ask(name, **fields)
    told = {key: answer.get(key) for key in ("type", "code", "message", "temporary", "results")}
    return json.dumps(told).replace(value, "<id>")


async def test_in_hello_they_open_nothing(stage: Stage) -> None:
    for what, known in stage.ids.items():
        told = []
        for value in (known, nobodys(known)):
            async with stage.server.socket() as socket:
                hello = {"id": 1, "type": "hello", "client": CLIENT, "token": value}
                await socket.send(json.dumps(hello))
                answers, close = await read_to_the_end(socket)
                told.append((answers, close))
        assert told[0] == told[1], what
        assert told[0][1] == 4501


async def test_a_client_of_somebody_elses_is_ones_own(stage: Stage) -> None:
    """Numbers count by user and client: under Ana's client nothing of hers is told or used up."""
    before = await stage.stored()
    person = await stage.cast.one(policy.CUSTOMER)
    async with stage.server.connect(person.account, stage.ids["client"]) as client:
        cart = await client.create(op_id=f"{client.client}:1")
        assert cart != stage.ids["cart"]
        await client.op_refusal("not_found", stage.ids["cart"], "clear", f"{client.client}:2")
    await unharmed(stage, before)
