"""Deleting an account: what others see, what is left, and what a crash can't undo."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio

from commerce.accounts.guests import RoomsBusyError
from commerce.accounts.links import OneTimeLinks
from commerce.invitations.service import Inviting
from commerce.mail import Mailer
from handlers import keys
from realtime.acting import ActingRooms
from server.keys import SETTINGS
from storage.deletions import DeletionRecords
from storage.memberships import Membership
from storage.notifications import Notifications
from storage.oplog import OpLog
from storage.seen import Seen
from storage.sessions import SessionRecords
from storage.users import Users
from storage.web_sessions import WebSessions
from tests.client import APPLE, Server, running_server
from tests.helpers import eventually
from tests.inboxes import notified
from tests.mirror import Mirror
from tests.people import PASSWORD, Person, browser, cookie_of, mail_settled, person

NAME = "Zebulon Quackenbush"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer waits until all is deleted, and the record of it stays until a test is through."""
    monkeypatch.setattr("commerce.accounts.deletion.WAIT_S", 600.0)
    monkeypatch.setattr("commerce.accounts.deletion.SETTLE_S", 3_600.0)


async def dump(server: Server) -> str:
    """All that is kept: every collection, every Redis key, every mail."""
    database = server.app[keys.DATABASE]
    found: list[Any] = []
    names = await database.collection("users").database.list_collection_names()
    assert {"users", "cart_ops", "memberships", "links", "invitations"} <= set(names)
    for name in names:
        found.append((name, await database.collection(name).find({}).to_list(None)))
    found.append(await dump_redis(server.app[SETTINGS].redis_url))
    for path in sorted((server.app[SETTINGS].data / "mail").glob("*")):
        found.append(path.read_text())
    return repr(found)


async def dump_redis(url: str) -> list[Any]:
    found = []
    async with redis.asyncio.Redis.from_url(url) as client:
        async for key in client.scan_iter():
            kind = (await client.type(key)).decode()
            read = {
                "string": client.get,
                "hash": client.hgetall,
                "set": client.smembers,
                "list": lambda key: client.lrange(key, 0, -1),
                "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
                "stream": client.xrange,
                "none": client.get,  # it has expired in between
            }[kind]
            found.append((key, await read(key)))
    return found


async def leave(someone: Person, password: str | None = PASSWORD) -> tuple[int, Any]:
    return await someone.ask("DELETE", "me", {} if password is None else {"password": password})


async def zebulon_of(server: Server) -> Person:
    return await person(server, NAME, email="zebulon.quackenbush@post.example")


def traces(text: str) -> list[str]:
    return [word for word in ("quackenbush", "zebulon", "post.example") if word in text.lower()]


async def test_nothing_is_left_of_address_and_name(server):
    """In the store, in Redis, in the mails of others, and on an instance that knew them."""
    await server.products(APPLE)
    zeb, bea = await zebulon_of(server), await person(server, "Bea")
    for one in (zeb, bea):
        await one.done("POST", "confirm", {"token": await one.mailed("confirm")})
    async with browser() as page:
        credentials = {"email": zeb.email, "password": PASSWORD, "session": "cookie"}
        async with page.post(f"{server.url}/api/v1/auth/login", json=credentials) as answer:
            assert answer.status == 200
    await zeb.done("POST", "reset", {"email": zeb.email})
    async with server.connect(zeb.account) as z, server.connect(bea.account) as b:
        cart, theirs = await z.create(name="Ours"), await b.create(name="Theirs")
        await z.share(cart, bea.account)
        await b.share(theirs, zeb.account)
        await b.join(cart)
        await z.join(theirs)
        await z.add(cart, "APPLE", 2)
        await z.request("presence.set", cart=cart, data={"line": "none"})
        await z.request("cart.invite", cart=cart, email="else@where.example", role="editor")
        await b.request("cart.invite", cart=theirs, email=zeb.email.upper(), role="editor")
        await z.request("cart.mute", cart=theirs, muted=True)
        await notified(server, zeb.account, bea.account, theirs)
        await Seen(server.app[keys.DATABASE]).note({theirs: {zeb.id: 2, bea.id: 2}})
        assert {"notifications", "cart_settings", "seen"} <= await where(server, zeb.id)
        await mail_settled(server)
        assert len(traces(await dump(server))) == 3

        assert await leave(zeb) == (204, None)
        assert await z.closed() == 4503
        ops = [op["op"] for _ in range(2) for op in (await b.push("cart.ops", cart))["ops"]]
        assert ops[-1] == {"kind": "depart", "user": zeb.id, "successor": bea.id}
        state = await b.state(cart)
    assert [(one["user"], one["role"]) for one in state["members"]] == [(bea.id, "owner")]
    assert [(line["sku"], line["qty"]) for line in state["lines"]] == [("APPLE", 2)]
    assert not traces(repr(state))
    await server.stop()
    async with running_server(replace(server.app[SETTINGS], workers=("webhooks",))) as another:
        await another.app[keys.DELETIONS].complete()
        assert traces(await dump(another)) == []
        # The id stays where carts' logs lead to, and, once webhooks were told of the invitations
        # that ended with the account, nowhere else.
        stays = {"users", "deletions", "carts", "cart_ops", "memberships"}

        async def stays_there() -> bool:
            return await where(another, zeb.id) <= stays

        await eventually(stays_there, 60.0)


async def where(server: Server, word: str) -> set[str]:
    """The collections, or Redis and its keys, that hold this."""
    database = server.app[keys.DATABASE]
    names = await database.collection("users").database.list_collection_names()
    found = {
        name
        for name in names
        if word in repr(await database.collection(name).find({}).to_list(None))
    }
    own = f"cartroom:{server.app[SETTINGS].mongodb_database}:".encode()
    held = await dump_redis(server.app[SETTINGS].redis_url)
    return found | {
        str(key) for key, value in held if key.startswith(own + b"web:") and word in repr(value)
    }


async def log_of(server: Server, cart: str) -> tuple[Mirror, Mirror]:
    """The cart as its log replays, and as its snapshot has it."""
    database = server.app[keys.DATABASE]
    played = Mirror()
    for commit in await OpLog(database).tail(cart, 0):
        for entry in commit["ops"]:
            played.apply(played.rev + 1, entry["by"], entry["op"])
    snapshot = await eventually(
        lambda: database.collection("carts").find_one({"_id": cart, "rev": played.rev})
    )
    return played, Mirror.of_state(snapshot["rev"], snapshot)


async def test_carts_still_replay_and_those_of_nobody_are_deleted(settings):
    async with running_server(replace(settings, snapshot_every_s=0.1)) as server:
        await server.products(APPLE)
        zeb, bea, eve = [await person(server, name) for name in (NAME, "Bea", "Eve")]
        async with server.connect(zeb.account) as z:
            shared, alone = await z.create(name="Ours"), await z.create(name="Mine")
            await z.share(shared, bea.account, role="viewer")
            await z.share(shared, eve.account, role="editor")
            for cart in (shared, alone):
                await z.add(cart, "APPLE", 2)
        assert await leave(zeb) == (204, None)

        for cart in (shared, alone):
            played, snapshot = await log_of(server, cart)
            assert played.content() == snapshot.content()
        assert played.deleted
        played, _ = await log_of(server, shared)
        assert played.members == {bea.id: "viewer", eve.id: "owner"}


async def test_what_opened_the_account_opens_nothing_and_the_address_is_free(server):
    zeb, bea = await zebulon_of(server), await person(server, "Bea")
    await zeb.done("POST", "reset", {"email": zeb.email})
    confirm, reset = await zeb.mailed("confirm"), await zeb.mailed("reset")
    async with browser() as page:
        credentials = {"email": zeb.email, "password": PASSWORD, "session": "cookie"}
        await page.post(f"{server.url}/api/v1/auth/login", json=credentials)
        assert await leave(zeb) == (204, None)
        async with page.get(f"{server.url}/api/v1/auth/me") as answer:
            assert answer.status == 401
    assert not await zeb.is_signed_in()
    assert not await zeb.can_log_in()
    assert (await zeb.post("refresh", {"refresh_token": zeb.refresh_token}))[0] == 401
    assert (await zeb.post("confirm", {"token": confirm}))[0] == 400
    body = {"token": reset, "password": "a new horse"}
    assert (await zeb.post("reset/complete", body))[0] == 400
    async with server.connect(bea.account) as b:
        cart = await b.create()
        grant = [{"user": zeb.id, "role": "editor"}]
        await b.op_refusal("not_found", cart, "share", users=grant)

    again = await zebulon_of(server)
    assert again.id != zeb.id
    assert (await again.me())["confirmed"] is False


async def test_a_browser_forgets_its_cookie(server):
    zeb = await zebulon_of(server)
    async with browser() as page:
        credentials = {"email": zeb.email, "password": PASSWORD, "session": "cookie"}
        async with page.post(f"{server.url}/api/v1/auth/login", json=credentials) as answer:
            headers = {"X-CSRF-Token": (await answer.json())["csrf_token"]}
        assert cookie_of(page, server)
        url = f"{server.url}/api/v1/auth/me"
        async with page.delete(url, json={"password": PASSWORD}, headers=headers) as answer:
            assert answer.status == 204
        assert not cookie_of(page, server)


async def test_it_takes_the_password(server):
    zeb = await zebulon_of(server)
    status, problem = await leave(zeb, "wrong horse")
    assert (status, problem["code"], list(problem["errors"])) == (403, "forbidden", ["password"])
    for body in (None, {}):
        status, problem = await zeb.ask("DELETE", "me", body)
        assert (status, list(problem["errors"])) == (400, ["password"])
    assert await zeb.is_signed_in()
    assert await zeb.server.app[keys.DATABASE].collection("deletions").find_one({}) is None


async def test_guests_need_none(server):
    guest = Person(server, "")
    answer = await guest.done("POST", "guest", {"name": NAME})
    guest.id, guest.token = answer["user"]["id"], answer["access_token"]
    assert await guest.ask("DELETE", "me") == (204, None)
    assert not await guest.is_signed_in()
    assert traces(repr(await dump_store(server))) == []


async def test_many_at_once_are_one(two_servers):
    first, second = two_servers
    zeb = await zebulon_of(first)
    devices = [zeb, await zeb.again(), await zeb.again()]
    devices[1].server = second
    answers = await asyncio.gather(*(leave(device) for device in devices))
    assert {status for status, _ in answers} <= {204, 401, 403}
    assert (204, None) in answers
    assert traces(repr(await dump_store(first))) == []


async def dump_store(server: Server) -> list[Any]:
    database = server.app[keys.DATABASE]
    names = await database.collection("users").database.list_collection_names()
    return [await database.collection(name).find({}).to_list(None) for name in names]


# A crash

STEPS = {
    "intended": (DeletionRecords, "add"),
    "barred": (Users, "begin_deletion"),
    "one cart": (ActingRooms, "depart"),
    "invitations": (Inviting, "forget_user"),
    "links": (OneTimeLinks, "forget"),
    "browsers": (WebSessions, "delete_of"),
    "notifications": (Notifications, "forget"),
    "sign-ins": (SessionRecords, "delete_of"),
    "mails": (Mailer, "forget"),
    "buried": (Users, "bury"),
}


async def test_what_ends_after_any_step_is_completed_at_the_next_start(settings, monkeypatch):
    monkeypatch.setattr("commerce.accounts.deletion.WAIT_S", 0.1)
    async with running_server(settings) as server:
        bea = await person(server, "Bea")
        never = asyncio.Event()
        doomed = [await begin_and_stop(server, step, bea, monkeypatch, never) for step in STEPS]
        assert len(traces(repr(await dump_store(server)))) == 3
        await server.stop()
    never.set()  # what still waits ends here, with the process that it stands for
    async with running_server(settings) as server:
        for zeb, _ in doomed:
            await eventually(lambda zeb=zeb: is_gone(server, zeb))
        await server.app[keys.DELETIONS].complete()
        bea.server = server
        async with server.connect(bea.account) as b:
            listed = {one["cart"]: one["role"] for one in (await b.request("cart.list"))["carts"]}
        assert listed == dict.fromkeys((cart for _, both in doomed for cart in both), "owner")
        assert traces(await dump(server)) == []
        zeb, _ = doomed[0]
        await person(server, NAME, email=zeb.email)


async def begin_and_stop(
    server: Server, step: str, bea: Person, monkeypatch: pytest.MonkeyPatch, never: asyncio.Event
) -> tuple[Person, list[str]]:
    """Have a deletion never go on after one of its steps; answers who it is and their carts."""
    owner, method = STEPS[step]
    original, stuck = getattr(owner, method), asyncio.Event()

    async def do_and_never_return(*args: Any, **kwargs: Any) -> None:
        await original(*args, **kwargs)
        stuck.set()
        await never.wait()
        raise asyncio.CancelledError

    zeb = await person(server, NAME, email=f"zebulon.{method}.{owner.__name__}@post.example")
    async with server.connect(zeb.account) as z:
        carts = [await z.create(), await z.create()]
        for cart in carts:
            await z.share(cart, bea.account)
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, do_and_never_return)
        asking = asyncio.create_task(leave(zeb))
        await stuck.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert not await zeb.can_log_in() or step == "intended"
    return zeb, carts


async def is_gone(server: Server, someone: Person) -> bool:
    found = await server.app[keys.DATABASE].collection("users").find_one({"_id": someone.id})
    return found is not None and found.get("deleted_at") is not None


async def test_a_cart_that_cannot_be_changed_now_is_left_later(server, monkeypatch):
    zeb, bea = await zebulon_of(server), await person(server, "Bea")
    async with server.connect(zeb.account) as z:
        cart = await z.create()
        await z.share(cart, bea.account)

    async def busy(self: ActingRooms, membership: Membership) -> None:
        raise RoomsBusyError

    with monkeypatch.context() as patch:
        patch.setattr(ActingRooms, "depart", busy)
        assert await leave(zeb) == (204, None), "it is on record"
        assert not await zeb.can_log_in()
        assert not await is_gone(server, zeb)
        body = {"email": zeb.email, "password": PASSWORD, "name": NAME}
        assert (await zeb.post("register", body))[0] == 409, "the address isn't free yet"
    await server.app[keys.DELETIONS].complete()
    assert await is_gone(server, zeb)
    await zebulon_of(server)


async def test_the_record_goes_once_all_has_settled(server, database, monkeypatch):
    zeb = await zebulon_of(server)
    assert await leave(zeb) == (204, None)
    await server.app[keys.DELETIONS].complete()
    assert await database.collection("deletions").find_one({"_id": zeb.id}) is not None
    monkeypatch.setattr("commerce.accounts.deletion.SETTLE_S", -1.0)
    await server.app[keys.DELETIONS].complete()
    assert await database.collection("deletions").find_one({}) is None


async def test_log_lines_hold_ids_alone(server, caplog):
    caplog.set_level(logging.INFO)
    zeb = await zebulon_of(server)
    await leave(zeb)
    events = [r for r in caplog.records if r.name == "commerce.security"]
    assert {"deletion_begun", "deleted"} <= {record.event for record in events}
    told = " ".join(str({**vars(record), "address": ""}) for record in caplog.records)
    assert traces(told) == []
