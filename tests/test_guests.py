"""Guests: coming in without an account, and what becomes of their carts when they get one."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest

from commerce.accounts import guests
from commerce.accounts.service import Accounts
from handlers import keys
from realtime.acting import ActingRooms
from realtime.errors import SIGNED_OUT
from server.settings import Settings
from storage.cart_settings import CartSettings
from storage.merges import MergeRecord, MergeRecords
from storage.notifications import Notifications
from tests.client import APPLE, BREAD, Account, Client, Message, Server, running_server, until_equal
from tests.dying import STEPS
from tests.forging import changed
from tests.inboxes import notified
from tests.instances import environment
from tests.mirror import Mirror
from tests.serving import Service, launch
from tests.tiers import by_tier

PASSWORD = "correct horse"
ACCOUNTS = "/api/v1/auth"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log-in waits for the whole merge, and its record stays until a test is through."""
    monkeypatch.setattr(guests, "LOGIN_WAIT_S", 600.0)
    monkeypatch.setattr(guests, "SETTLE_S", 3_600.0)


@dataclass(frozen=True)
class Somebody:
    """Signed in. `headers` carry that along."""

    user: str
    name: str
    headers: dict[str, str]
    token: str = ""
    more: Message = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return Account(self.user, self.name, self.token)


async def post(
    server: Server, action: str, by: Somebody | None = None, **body: Any
) -> tuple[int, Message, Any]:
    """Status, answer, cookies. No cookie stays with the client."""
    jar = aiohttp.DummyCookieJar()
    headers = by.headers if by else {}
    async with (
        aiohttp.ClientSession(cookie_jar=jar) as http,
        http.post(f"{server.url}{ACCOUNTS}/{action}", json=body, headers=headers) as response,
    ):
        return response.status, await response.json(), response.cookies


async def signed_in(server: Server, action: str, by: Somebody | None = None, **body: Any):
    status, answer, cookies = await post(server, action, by, **body)
    assert status in (200, 201), answer
    user = answer["user"]
    token = answer.get("access_token", "")
    headers = {"Authorization": f"Bearer {token}"}
    if not token:
        pairs = "; ".join(f"{name}={one.value}" for name, one in cookies.items())
        headers = {"Cookie": pairs, "X-CSRF-Token": answer["csrf_token"]}
    return Somebody(user["id"], user["name"], headers, token, user)


async def guest_of(server: Server, session: str = "token") -> Somebody:
    return await signed_in(server, "guest", name="Guest", session=session)


async def bea_of(server: Server, email: str = "bea@shop.example") -> Somebody:
    return await signed_in(server, "register", email=email, password=PASSWORD, name="Bea")


async def log_in(server: Server, by: Somebody | None, email: str = "bea@shop.example") -> Somebody:
    return await signed_in(server, "login", by, email=email, password=PASSWORD)


async def carts_of(server: Server, somebody: Somebody) -> dict[str, str]:
    """Carts with the role in each."""
    async with server.connect(somebody.account) as client:
        return {one["cart"]: one["role"] for one in await all_carts(client)}


async def all_carts(client: Client) -> list[Message]:
    page = await client.request("cart.list")
    carts = page["carts"]
    while "cursor" in page:
        page = await client.request("cart.list", cursor=page["cursor"])
        carts += page["carts"]
    return carts


async def records(server: Server) -> list[Message]:
    return await server.app[keys.DATABASE].collection("merges").find({}).to_list(None)


async def stored(server: Server, user: str) -> Message:
    found = await server.app[keys.DATABASE].collection("users").find_one({"_id": user})
    assert found is not None
    return found


def lines(state: Message) -> list[tuple[str, str, int]]:
    return sorted((line["sku"], line["for"], line["qty"]) for line in state["lines"])


async def answers(server: Server, by: Somebody) -> int:
    async with server.http.get(f"{server.url}{ACCOUNTS}/me", headers=by.headers) as response:
        return response.status


# Coming in


@pytest.mark.parametrize("session", ["token", "cookie"])
async def test_a_guest_is_somebody_without_an_address(server: Server, session: str) -> None:
    guest = await guest_of(server, session)
    assert guest.more == {
        "id": guest.user,
        "email": None,
        "name": "Guest",
        "role": "customer",
        "guest": True,
        "confirmed": False,
        "locale": None,
        "currency": None,
        "notifications": {},
        "time_zone": None,
        "quiet_hours": None,
        "digest_at": "08:00",
    }
    assert await answers(server, guest) == 200
    assert (await guest_of(server, session)).user != guest.user


@pytest.mark.parametrize("body", [{}, {"name": " "}, {"name": "G", "email": "g@shop.example"}])
async def test_a_bad_request_makes_no_guest(server: Server, body: Message) -> None:
    status, problem, _ = await post(server, "guest", **body)
    assert (status, problem["code"]) == (400, "bad_request")
    assert list(problem["errors"]) == ["email" if "email" in body else "name"]


async def test_guests_make_carts_fill_them_and_are_let_in_to_others(server: Server) -> None:
    await server.products(APPLE)
    guest, bea = await guest_of(server), await bea_of(server)
    async with server.connect(guest.account) as one, server.connect(bea.account) as other:
        cart = await one.create()
        await one.add(cart, "APPLE", 2)
        await one.share(cart, bea.account)
        assert lines(await other.state(cart)) == [("APPLE", guest.user, 2)]
        theirs = await other.create()
        await other.share(theirs, guest.account)
        members = (await one.state(theirs))["members"]
        assert [member["name"] for member in members] == ["Bea", "Guest"]


# Registering


@pytest.mark.parametrize("session", ["token", "cookie"])
async def test_a_guest_who_registers_becomes_the_account(server: Server, session: str) -> None:
    guest = await guest_of(server, session)
    if session == "token":
        async with server.connect(guest.account) as client:
            cart = await client.create()
    bea = await signed_in(
        server, "register", guest, email="bea@shop.example", password=PASSWORD, name="Bea"
    )
    assert bea.user == guest.user
    assert bea.more["email"] == "bea@shop.example"
    assert (bea.more["name"], bea.more["guest"]) == ("Bea", False)
    assert await answers(server, bea) == 200
    assert await answers(server, guest) == 401, "whoever else had the guest's session"
    if session == "token":
        assert await carts_of(server, bea) == {cart: "owner"}
    assert (await log_in(server, None)).user == bea.user
    assert await records(server) == []


async def test_those_who_have_a_cart_open_learn_the_guests_new_name(
    two_servers: tuple[Server, Server],
) -> None:
    here, there = two_servers
    guest, ana = await guest_of(here), await there.account("Ana")
    async with there.connect(ana) as client:
        cart = await client.create()
        await client.share(cart, guest.account)
        await signed_in(
            here, "register", guest, email="bea@shop.example", password=PASSWORD, name="Bea"
        )
        state = (await client.push("cart.state", cart))["state"]
        assert [member["name"] for member in state["members"]] == ["Ana", "Bea"]
        for told in (
            await client.join(cart, rev=1),
            await client.request("cart.history", cart=cart),
        ):
            assert told["ops"][-1]["op"]["users"][0]["name"] == "Bea"
        other = await client.create()
        assert (await client.share(other, guest.account))["op"]["users"][0]["name"] == "Bea"


async def test_the_name_of_a_guest_who_was_merged_is_nowhere_told(
    two_servers: tuple[Server, Server],
) -> None:
    here, there = two_servers
    guest, ana = await guest_of(here), await there.account("Ana")
    await bea_of(here)
    async with there.connect(ana) as client:
        cart = await client.create()
        await client.share(cart, guest.account)
        await log_in(here, guest)
        await client.reach(cart, 3)
        history = await client.request("cart.history", cart=cart)
        assert history["ops"][1]["op"]["users"][0]["name"] == "Former member"
        await client.request("cart.leave", cart=cart)
    for server in (here, there):
        names = await server.app[keys.ACCOUNTS].names([guest.user, ana.user])
        assert names == {ana.user: "Ana"}


async def test_a_taken_address_leaves_the_guest_a_guest(server: Server) -> None:
    bea, guest = await bea_of(server), await guest_of(server)
    status, problem, _ = await post(
        server, "register", guest, email="BEA@shop.example", password=PASSWORD, name="Bea"
    )
    assert (status, problem["code"]) == (409, "conflict")
    assert await answers(server, guest) == 200
    assert (await log_in(server, None)).user == bea.user


async def test_of_two_registrations_of_a_guest_one_gets_the_guest(server: Server) -> None:
    guest = await guest_of(server)
    made = await asyncio.gather(
        *(
            signed_in(
                server, "register", guest, email=f"{n}@shop.example", password=PASSWORD, name="B"
            )
            for n in range(4)
        )
    )
    assert sorted(one.user == guest.user for one in made) == [False] * 3 + [True]


@pytest.mark.parametrize("action", ["register", "login"])
async def test_a_guests_cookie_alone_is_not_enough(server: Server, action: str) -> None:
    """Or any page could have a guest's carts go to an account that its maker knows."""
    await bea_of(server)
    guest = await guest_of(server, "cookie")
    forged = replace(guest, headers={"Cookie": guest.headers["Cookie"]})
    body = {"email": "bea@shop.example", "password": PASSWORD}
    if action == "register":
        body = {"email": "eve@shop.example", "password": PASSWORD, "name": "Eve"}
    status, problem, _ = await post(server, action, forged, **body)
    assert (status, problem["code"]) == (403, "forbidden")
    assert await answers(server, guest) == 200
    assert await records(server) == []


# Logging in


async def test_a_guest_who_logs_in_is_merged_and_others_see_it_live(
    two_servers: tuple[Server, Server],
) -> None:
    here, there = two_servers
    await here.products(APPLE, BREAD)
    guest, bea = await guest_of(here), await bea_of(here)
    cem = await there.account("Cem")
    async with (
        here.connect(guest.account) as g,
        here.connect(bea.account) as b,
        there.connect(cem) as c,
    ):
        cart = await g.create()
        await g.share(cart, bea.account, cem, role="viewer")
        await g.share(cart, bea.account)
        await g.add(cart, "APPLE", 2)
        await g.add(cart, "BREAD", 1)
        await b.join(cart)
        await b.add(cart, "APPLE", 3)
        joined = await c.join(cart)
        logged_in = await log_in(here, guest)
        assert logged_in.user == bea.user
        state = await b.push("cart.state", cart)
        assert state["role"] == "owner"
        assert lines(state["state"]) == [("APPLE", bea.user, 5), ("BREAD", bea.user, 1)]
        assert {one["user"]: one["role"] for one in state["state"]["members"]} == {
            bea.user: "owner",
            cem.user: "viewer",
        }
        await c.reach(cart, joined["rev"] + 1)
        (push,) = [one for one in c.frames if one["type"] == "cart.ops"]
        mirror = Mirror.of_state(joined["rev"], joined["state"])
        for op in push["ops"]:
            mirror.apply(op["rev"], op["by"], op["op"])
        assert mirror.content() == Mirror.of_state(state["rev"], state["state"]).content()
    assert await answers(here, guest) == 401
    assert await carts_of(here, logged_in) == {cart: "owner"}


@pytest.mark.parametrize("action", ["login", "register"])
async def test_the_guests_sockets_close(server: Server, action: str) -> None:
    guest = await guest_of(server)
    body = {"email": "bea@shop.example", "password": PASSWORD}
    if action == "login":
        await bea_of(server)
    else:
        body["name"] = "Bea"
    async with server.connect(guest.account) as client:
        await client.create()
        await signed_in(server, action, guest, **body)
        assert await client.closed() == SIGNED_OUT.code


async def test_all_of_many_carts_are_carried_over(server: Server) -> None:
    guest, bea = await guest_of(server), await bea_of(server)
    async with server.connect(guest.account) as client:
        carts = [await client.create() for _ in range(30)]
    logged_in = await log_in(server, guest)
    assert await carts_of(server, logged_in) == dict.fromkeys(carts, "owner")
    left = await stored(server, guest.user)
    assert (left["name"], left["email"], left["merging_into"]) == ("", None, bea.user)
    assert left["deleted_at"] is not None


async def test_a_wrong_password_merges_nothing(server: Server) -> None:
    guest, _ = await guest_of(server), await bea_of(server)
    async with server.connect(guest.account) as client:
        cart = await client.create()
        body = {"email": "bea@shop.example", "password": "another horse"}
        status, problem, _ = await post(server, "login", guest, **body)
        assert (status, problem["code"]) == (401, "unauthorized")
        assert await records(server) == []
        assert (await client.join(cart))["rev"] == 1
        assert await answers(server, guest) == 200


async def test_logging_in_as_the_guest_again_changes_nothing(server: Server) -> None:
    guest = await guest_of(server)
    await bea_of(server)
    async with server.connect(guest.account) as client:
        cart = await client.create()
    bea = await log_in(server, guest)
    async with server.connect(bea.account) as client:
        before = await client.join(cart)
        assert (await log_in(server, guest)).user == bea.user
        await server.app[keys.GUESTS].complete()
        assert (await client.join(cart))["rev"] == before["rev"]


async def test_another_accounts_log_in_with_the_guest_gets_nothing_of_it(server: Server) -> None:
    """Two log-ins at once with one guest: the first intention counts."""
    guest = await guest_of(server)
    await bea_of(server)
    await bea_of(server, "eve@shop.example")
    async with server.connect(guest.account) as client:
        cart = await client.create()
    both = await asyncio.gather(log_in(server, guest), log_in(server, guest, "eve@shop.example"))
    await server.app[keys.GUESTS].complete()
    found = [await carts_of(server, one) for one in both]
    assert sorted(found, key=len) == [{}, {cart: "owner"}]


async def test_an_ended_token_of_a_guest_asks_to_be_renewed(
    server: Server, settings: Settings
) -> None:
    """Rather than leave the guest's carts behind without a word."""
    guest = await guest_of(server)
    await bea_of(server)
    old = changed(settings.jwt_secret or "", guest.token, exp=1_000_000_000)
    ended = replace(guest, headers={"Authorization": f"Bearer {old}"})
    body = {"email": "bea@shop.example", "password": PASSWORD}
    status, problem, _ = await post(server, "login", ended, **body)
    assert (status, problem["code"]) == (401, "unauthorized")
    assert await records(server) == []


async def test_credentials_of_an_account_do_nothing_at_a_log_in(server: Server) -> None:
    bea = await bea_of(server)
    eve = await bea_of(server, "eve@shop.example")
    async with server.connect(eve.account) as client:
        cart = await client.create()
    assert (await log_in(server, eve)).user == bea.user
    assert await carts_of(server, eve) == {cart: "owner"}
    assert await records(server) == []


# While it goes on


@asynccontextmanager
async def merging(server: Server, monkeypatch: pytest.MonkeyPatch, guest: Somebody):
    """A merge that waits before its first cart until `go` is set."""
    merge, go, waiting = ActingRooms.merge, asyncio.Event(), asyncio.Event()

    async def when_let(*args: Any) -> None:
        waiting.set()
        await go.wait()
        await merge(*args)

    monkeypatch.setattr(ActingRooms, "merge", when_let)
    monkeypatch.setattr(guests, "LOGIN_WAIT_S", 0.0)
    bea = await log_in(server, guest)
    await waiting.wait()
    try:
        yield bea, go
    finally:
        go.set()


async def test_a_log_in_does_not_wait_for_ever_and_the_carts_follow(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = await guest_of(server)
    await bea_of(server)
    async with server.connect(guest.account) as client:
        cart = await client.create()
    async with merging(server, monkeypatch, guest) as (bea, go):
        assert await answers(server, guest) == 401
        assert await carts_of(server, bea) == {}
        go.set()
        await until_equal(lambda: carts_of(server, bea), {cart: "owner"})


async def test_nobody_lets_a_guest_in_who_is_on_the_way_into_an_account(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = await guest_of(server)
    await bea_of(server)
    ana = await server.account("Ana")
    async with server.connect(guest.account) as client:
        await client.create()
    async with merging(server, monkeypatch, guest), server.connect(ana) as owner:
        cart = await owner.create()
        users = [{"user": guest.user, "role": "editor"}]
        refused = await owner.op_refusal("not_found", cart, "share", users=users)
        assert refused["user"] == guest.user


async def test_who_is_let_in_late_is_merged_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up from before the log-in, its op committed after it."""
    guest = await guest_of(server)
    await bea_of(server)
    ana = await server.account("Ana")
    bea = await log_in(server, guest)
    monkeypatch.setattr(Accounts, "names_of_staying", Accounts.names)
    async with server.connect(ana) as owner:
        cart = await owner.create()
        server.app[keys.ACCOUNTS]._names.put({guest.user: "Guest"})
        await owner.share(cart, guest.account)
        await server.app[keys.GUESTS].complete()
        members = (await owner.state(cart))["members"]
        assert {one["user"]: one["role"] for one in members} == {
            ana.user: "owner",
            bea.user: "editor",
        }
    assert len(await records(server)) == 1
    monkeypatch.setattr(guests, "SETTLE_S", -1.0)
    await server.app[keys.GUESTS].complete()
    assert await records(server) == []


async def test_who_is_let_in_while_carts_are_merged_is_merged_there_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, bea = await guest_of(server), await bea_of(server)
    ana = await server.account("Ana")
    merge, carts = ActingRooms.merge, []
    monkeypatch.setattr(Accounts, "names_of_staying", Accounts.names)
    async with server.connect(guest.account) as client, server.connect(ana) as owner:
        await client.create()

        async def let_in_meanwhile(*args: Any) -> None:
            if not carts:
                carts.append(await owner.create())
                server.app[keys.ACCOUNTS]._names.put({guest.user: "Guest"})
                await owner.share(carts[0], guest.account)
            await merge(*args)

        monkeypatch.setattr(ActingRooms, "merge", let_in_meanwhile)
        await log_in(server, guest)
        members = (await owner.state(carts[0]))["members"]
        assert [member["user"] for member in members] == [ana.user, bea.user]


async def test_a_guest_whose_account_is_gone_departs(server: Server) -> None:
    await server.products(APPLE)
    guest, ana = await guest_of(server), await server.account("Ana")
    async with server.connect(guest.account) as client:
        cart = await client.create()
        await client.add(cart, "APPLE", 2)
        await client.share(cart, ana)
        await client.request("cart.mute", cart=cart, muted=True)
        await notified(server, guest.account, ana, cart)
        await server.app[keys.GUESTS].begin(guest.user, "usr_gone")
        await server.app[keys.GUESTS].complete()
    database = server.app[keys.DATABASE]
    for collection in ("notifications", "cart_settings", "mail_due"):
        left = await database.collection(collection).find({}).to_list(None)
        assert left == [], "nobody is left to whom it could go"
    async with server.connect(ana) as owner:
        state = await owner.state(cart)
        assert [(one["user"], one["role"]) for one in state["members"]] == [(ana.user, "owner")]
        assert lines(state) == [("APPLE", guest.user, 2)]


async def test_who_has_registered_as_an_account_meanwhile_is_left_alone(server: Server) -> None:
    guest = await guest_of(server)
    bea = await signed_in(
        server, "register", guest, email="bea@shop.example", password=PASSWORD, name="Bea"
    )
    await server.app[keys.GUESTS].begin(guest.user, "usr_eve")
    await server.app[keys.GUESTS].complete()
    assert await answers(server, bea) == 200
    assert await records(server) == []


async def test_two_instances_that_complete_the_same_do_it_once(
    two_servers: tuple[Server, Server],
) -> None:
    here, there = two_servers
    await here.products(APPLE)
    guest, bea = await guest_of(here), await bea_of(here)
    async with here.connect(guest.account) as g, there.connect(bea.account) as b:
        carts = [await g.create() for _ in range(5)]
        for cart in carts:
            await g.share(cart, bea.account)
            await g.add(cart, "APPLE", 2)
            await b.add(cart, "APPLE", 3)
        await here.app[keys.GUESTS].begin(guest.user, bea.user)
        await asyncio.gather(*(one.app[keys.GUESTS].complete() for one in (here, there) * 2))
        for cart in carts:
            state = await b.join(cart)
            assert (state["rev"], lines(state["state"])) == (5, [("APPLE", bea.user, 5)])


# Crashes

AT_ONCE = 3
"""Servers that start together slow each other down."""
TRIED = by_tier(quick=("nothing", "left", "inbox", "buried"), ci=tuple(STEPS), long=tuple(STEPS))


async def kill_at(
    step: str, server: Server, settings: Settings, one: MergeToBe, slots: asyncio.Semaphore
) -> None:
    """Log in as the guest at a server of its own, which is killed at that step."""
    errors = settings.data.parent / f"{step}.log"
    async with slots:
        with errors.open("wb") as file:
            process = await launch(
                *(step, "serve"), module="tests.dying", env=environment(settings), stderr=file
            )
        service = Service(process, settings.data, errors)
        try:
            await service.wait_until_ready()
            at = replace(server, url=service.url)
            with pytest.raises((aiohttp.ClientError, json.JSONDecodeError)):
                await log_in(at, one.guest, one.email)
            async with asyncio.timeout(60):
                assert await process.wait() == -signal.SIGKILL
        finally:
            if process.returncode is None:
                await service.end()


async def test_what_a_crash_at_any_step_leaves_is_completed(settings: Settings) -> None:
    """Each step's server dies with two carts to merge; another instance and log-in go on."""
    # What a server commits as it dies, others learn from the store.
    settings = replace(settings, catch_up_every_s=0.2)
    async with running_server(settings) as server:
        await server.products(APPLE)
        doomed = {step: await merge_to_be(server, f"{step}@shop.example") for step in TRIED}
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for step, one in doomed.items():
                tasks.create_task(kill_at(step, server, settings, one, slots))
        begun = {record["_id"] for record in await records(server)}
        assert begun == {one.guest.user for step, one in doomed.items() if step != "nothing"}
        for index, (step, one) in enumerate(doomed.items()):
            if step == "nothing":
                assert await answers(server, one.guest) == 200, "nothing is lost"
                await log_in(server, one.guest, one.email)
            elif index % 2:
                await log_in(server, None, one.email)
        await server.app[keys.GUESTS].complete()
        for one in doomed.values():
            await check_merged(server, one)


CEM = Account("usr_cem", "Cem", "")


@dataclass(frozen=True)
class MergeToBe:
    guest: Somebody
    email: str
    carts: tuple[str, str]


async def merge_to_be(server: Server, email: str) -> MergeToBe:
    """A guest and an account that share two carts, one of each's."""
    guest, bea = await guest_of(server), await bea_of(server, email)
    async with server.connect(guest.account) as g, server.connect(bea.account) as b:
        carts = (await g.create(), await b.create())
        await g.share(carts[0], bea.account)
        await b.share(carts[1], guest.account)
        for cart in carts:
            await g.add(cart, "APPLE", 2)
            await b.add(cart, "APPLE", 3)
        await g.request("cart.mute", cart=carts[1], muted=True)
    await notified(server, guest.account, CEM, carts[0])
    return MergeToBe(guest, email, carts)


async def check_merged(server: Server, one: MergeToBe) -> None:
    bea = await log_in(server, one.guest, one.email)
    assert await answers(server, one.guest) == 401
    assert await carts_of(server, bea) == dict.fromkeys(one.carts, "owner")
    assert (await stored(server, one.guest.user))["name"] == ""
    database = server.app[keys.DATABASE]
    told = (await Notifications(database).inbox(bea.user)).items
    assert [(one.cart, one.actor) for one in told] == [(one.carts[0], CEM.user)]
    assert await CartSettings(database).all_muted_by(bea.user, 10) == [one.carts[1]]
    async with server.connect(bea.account) as client:
        for cart in one.carts:

            async def shown(cart: str = cart) -> Any:
                state = await client.state(cart)
                return lines(state), [member["user"] for member in state["members"]]

            await until_equal(shown, ([("APPLE", bea.user, 5)], [bea.user]))


async def test_an_instance_completes_at_its_start_what_was_begun(
    server: Server, settings: Settings
) -> None:
    guest, bea = await guest_of(server), await bea_of(server)
    async with server.connect(guest.account) as client:
        cart = await client.create()
    await MergeRecords(server.app[keys.DATABASE]).add(MergeRecord(guest.user, bea.user, 0))
    async with running_server(settings):
        await until_equal(lambda: carts_of(server, bea), {cart: "owner"})
        await until_equal(lambda: records(server), [])
