"""Registering, logging in, and what an access token opens, through the REST door."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace

import bcrypt
import pytest

from commerce.accounts.errors import InvalidTokenError
from commerce.accounts.passwords import Passwords
from commerce.accounts.service import Accounts
from commerce.accounts.tokens import Tokens
from server.app import create_app
from storage.indexes import create_indexes
from storage.users import Users
from tests.forging import changed, claims_of, signed, unsigned
from tests.helpers import eventually

ADA = {"email": "ada@shop.example", "password": "correct horse", "name": "Ada"}


@pytest.fixture
async def client(settings, aiohttp_client):
    return await aiohttp_client(create_app(settings))


async def post(client, action, body):
    response = await client.post(f"/api/v1/auth/{action}", json=body)
    return response.status, await response.json()


async def register(client, **changes):
    return await post(client, "register", {**ADA, **changes})


async def login(client, email=ADA["email"], password=ADA["password"]):
    return await post(client, "login", {"email": email, "password": password})


async def me(client, token):
    response = await client.get(
        "/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    return response.status, await response.json()


async def test_register_log_in_and_be_known(client, settings):
    status, registered = await register(client)
    assert status == 201
    user = registered["user"]
    assert user == {
        "id": user["id"],
        "email": "ada@shop.example",
        "name": "Ada",
        "role": "customer",
        "guest": False,
        "confirmed": False,
        "locale": None,
        "currency": None,
        "notifications": {},
        "time_zone": None,
        "quiet_hours": None,
        "digest_at": "08:00",
    }
    assert user["id"].startswith("usr_")
    assert registered["token_type"] == "Bearer"
    assert registered["expires_in"] == settings.token_ttl_s

    status, session = await login(client, email="ADA@shop.example")
    assert (status, session["user"]) == (200, user)
    for token in (registered["access_token"], session["access_token"]):
        assert await me(client, token) == (200, user)


async def test_answers_with_tokens_are_kept_by_no_cache(client):
    response = await client.post("/api/v1/auth/register", json=ADA)
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_taken_address_answers_conflict(client, monkeypatch):
    await register(client)
    monkeypatch.delattr(bcrypt, "hashpw")  # what is refused anyway costs no hash
    status, problem = await register(client, email="Ada@SHOP.example")
    assert (status, problem["code"]) == (409, "conflict")
    assert "email" in problem["errors"]


async def test_of_many_who_register_one_address_at_once_one_gets_it(client):
    outcomes = await asyncio.gather(*(register(client, name=f"Ada {n}") for n in range(10)))
    assert sorted(status for status, _ in outcomes) == [201] + [409] * 9

    (winner,) = [body["user"] for status, body in outcomes if status == 201]
    assert (await login(client))[1]["user"] == winner


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", None),
        ("email", 7),
        ("email", ""),
        ("email", "ada"),
        ("email", "ada@shop.example\n"),
        ("email", "ada@shop.example, eve@shop.example"),
        ("email", "a" * 243 + "@shop.example"),
        ("password", None),
        ("password", 12345678),
        ("password", "1234567"),
        ("password", "x" * 1025),
        ("name", None),
        ("name", ["Ada"]),
        ("name", ""),
        ("name", " \t "),
        ("name", "A" * 101),
        ("name", "A\nda"),
        ("name", "A\x00da"),
        ("name", "A\u2028da"),
        ("name", "A\u202eda"),
        ("name", "\u200d"),
        ("role", "admin"),
        ("id", "usr_1"),
    ],
)
async def test_a_bad_field_is_named(client, field, value):
    status, problem = await register(client, **{field: value})
    assert (status, problem["code"]) == (400, "bad_request")
    assert list(problem["errors"]) == [field]
    # What was sent isn't repeated.
    assert not isinstance(value, str) or len(value) < 3 or value not in json.dumps(problem)


async def test_all_missing_fields_are_named(client):
    status, problem = await post(client, "register", {})
    assert (status, set(problem["errors"])) == (400, {"email", "password", "name"})


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"password": "x" * 8}, "Ada"),
        ({"password": "x" * 1024}, "Ada"),
        ({"name": "  Ada\t"}, "Ada"),
        ({"name": "A" * 100}, "A" * 100),
        ({"name": "👩\u200d🚀 Ünïcode"}, "👩\u200d🚀 Ünïcode"),
        ({"email": "ada+carts@bücher.example"}, "Ada"),
    ],
)
async def test_what_is_just_allowed_works(client, changes, name):
    status, registered = await register(client, **changes)
    assert (status, registered["user"]["name"]) == (201, name)
    account = {**ADA, **changes}
    status, session = await login(client, account["email"], account["password"])
    assert (status, session["user"]["name"]) == (200, name)


@pytest.mark.parametrize("tail", ["y", "\0", "\0y", ""])
async def test_a_long_passphrase_counts_in_full(client, tail):
    """bcrypt itself looks at 72 bytes, and stops at a NUL."""
    passphrase = "correct horse battery staple " * 4
    await register(client, password=passphrase + "x")

    assert (await login(client, password=passphrase + "x"))[0] == 200
    assert (await login(client, password=passphrase + tail))[0] == 401


async def test_a_password_typed_on_another_system_is_the_same(client):
    await register(client, password="caf\u00e9 caf\u00e9")
    assert (await login(client, password="cafe\u0301 cafe\u0301"))[0] == 200


async def test_known_and_unknown_addresses_get_one_answer_for_the_same_work(client, monkeypatch):
    await register(client)
    costs = []
    checkpw = bcrypt.checkpw

    def counting(password, hashed):
        costs.append(hashed[:7])
        return checkpw(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    known = await login(client, password="wrong password")
    unknown = await login(client, email="eve@shop.example")

    assert known == unknown
    assert known[0] == 401
    assert known[1]["code"] == "unauthorized"
    assert costs == [b"$2b$04$", b"$2b$04$"]


async def test_the_store_holds_no_password(client, database):
    await register(client)
    document = await database.collection("users").find_one({})
    assert ADA["password"] not in repr(document)
    assert document["password_hash"].startswith("$2b$04$")


@pytest.mark.parametrize("cost", [None, 4, 5, 6])
async def test_a_log_in_is_the_same_work_for_everybody(monkeypatch, cost):
    """With no account, or one from when hashes were cheaper, as with any other."""
    hashed = cost and bcrypt.hashpw(b"x", bcrypt.gensalt(cost)).decode()
    checkpw, work = bcrypt.checkpw, []

    def counting(digest, against):
        work.append(2 ** int(against.split(b"$")[2]))
        return checkpw(digest, against)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    passwords = Passwords(6)
    try:
        assert not await passwords.verify("not it", hashed)
    finally:
        passwords.close()
    assert sum(work) == 2**6


async def test_hashing_leaves_the_event_loop_free(client, monkeypatch):
    threads = set()
    for name in ("hashpw", "checkpw"):
        work = getattr(bcrypt, name)

        def noting(*args, work=work):
            threads.add(threading.current_thread().name.partition("_")[0])
            return work(*args)

        monkeypatch.setattr(bcrypt, name, noting)
    await register(client)
    await login(client)
    assert threads == {"passwords"}


@pytest.mark.parametrize(
    "make",
    [
        lambda settings, token: "",
        lambda settings, token: "nonsense",
        lambda settings, token: "a.b.c",
        lambda settings, token: "é.é.é",
        lambda settings, token: "x" * 5000,
        lambda settings, token: unsigned(token),
        lambda settings, token: signed("another one " * 3, claims_of(token)),
        lambda settings, token: changed(settings.jwt_secret, token, exp=1_000_000_000),
        lambda settings, token: token[:-2],
        lambda settings, token: changed(settings.jwt_secret, token, aud="cartroom:refresh"),
        lambda settings, token: changed(settings.jwt_secret, token, aud=None),
        lambda settings, token: changed(settings.jwt_secret, token, exp=None),
        lambda settings, token: changed(settings.jwt_secret, token, sub=None),
        lambda settings, token: changed(settings.jwt_secret, token, sid=None),
        lambda settings, token: changed(settings.jwt_secret, token, sub="usr_of_nobody"),
        lambda settings, token: changed(settings.jwt_secret, token, sid="ses_of_nobody"),
        lambda settings, token: changed(settings.jwt_secret, token, sid=7),
        lambda settings, token: signed(settings.jwt_secret, claims_of(token), "HS512"),
        lambda settings, token: signed(settings.jwt_secret, claims_of(token), kid="another"),
    ],
    ids=[
        "none", "nonsense", "three parts", "not ascii", "huge", "alg none", "another secret",
        "expired", "cut", "another kind", "no kind", "endless", "nobody", "no session",
        "unknown", "unknown session", "odd session", "HS512", "another kid",
    ],
)  # fmt: skip
async def test_a_token_that_is_not_good_opens_nothing(client, settings, make):
    token = (await register(client))[1]["access_token"]
    assert (await me(client, token))[0] == 200
    status, problem = await me(client, make(settings, token))
    assert (status, problem["code"]) == (401, "unauthorized")


async def test_a_token_from_a_clock_that_is_ahead_is_good(client, settings):
    session = (await register(client))[1]
    token = changed(settings.jwt_secret, session["access_token"], iat=int(time.time()) + 5)
    assert await me(client, token) == (200, session["user"])


def test_a_token_that_no_encoding_takes_is_refused():
    with pytest.raises(InvalidTokenError):
        Tokens("x" * 32, 60).read("\ud800.\ud800.\ud800")


@pytest.mark.parametrize("value", ["Basic {}", "Bearer", "Bearer ", "Token {}", "{}"])
async def test_another_kind_of_authorization_is_refused(client, value):
    token = (await register(client))[1]["access_token"]
    headers = {"Authorization": value.format(token)}
    response = await client.get("/api/v1/auth/me", headers=headers)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_full_queue_of_passwords_answers_try_again(settings, aiohttp_client, monkeypatch):
    monkeypatch.setitem(Passwords.__init__.__kwdefaults__, "workers", 1)
    monkeypatch.setitem(Passwords.__init__.__kwdefaults__, "queue_max", 1)
    client = await aiohttp_client(create_app(settings))
    hashpw, hashing, go_on = bcrypt.hashpw, threading.Event(), threading.Event()

    def slow(*args):
        hashing.set()
        go_on.wait(600)
        return hashpw(*args)

    monkeypatch.setattr(bcrypt, "hashpw", slow)
    try:
        first = asyncio.create_task(register(client))
        await eventually(hashing.is_set)
        second = asyncio.create_task(register(client, email="bob@shop.example"))
        await eventually(lambda: pending(client, 2))
        status, refused = await login(client)
        assert status == 503
        assert refused["code"] == "unavailable"
        assert refused["temporary"] is True
        assert refused["retry_after_s"] > 0
        assert (await client.get("/healthz")).status == 200
    finally:
        go_on.set()
    assert [(await task)[0] for task in (first, second)] == [201, 201]
    assert (await login(client))[0] == 200, "there is room again"


async def pending(client, number):
    """Whether so many passwords are at work or waiting, by the metrics."""
    text = await (await client.get("/metrics")).text()
    return f"cartroom_passwords_pending {number:.1f}" in text.splitlines()


async def test_who_gives_up_makes_no_room_in_the_queue(monkeypatch):
    go_on = threading.Event()
    passwords = Passwords(4, workers=1, queue_max=0)
    monkeypatch.setattr(bcrypt, "hashpw", lambda *_: go_on.wait(600) and b"")
    try:
        waiting = asyncio.create_task(passwords.hash("x"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(Exception, match="try again"):
            await passwords.hash("y")
    finally:
        go_on.set()
        passwords.close()


@pytest.fixture
async def accounts(database):
    await create_indexes(database)
    now = [0.0]
    accounts = Accounts(Users(database), Passwords(4), monotonic=lambda: now[0])
    accounts.now = now
    yield accounts
    accounts.close()


async def test_names_are_cached_for_a_while(accounts, database):
    user = await accounts.register(**ADA)
    assert await accounts.names({user.id, "usr_of_nobody"}) == {user.id: "Ada"}

    await database.collection("users").update_one({"_id": user.id}, {"$set": {"name": "Countess"}})
    accounts.now[0] = 29.0
    assert await accounts.names([user.id]) == {user.id: "Ada"}
    accounts.now[0] = 31.0
    assert await accounts.names([user.id]) == {user.id: "Countess"}


async def test_a_name_asked_for_before_it_changed_is_not_kept(accounts, database, monkeypatch):
    user = await accounts.register(**ADA)
    asked = Users.names

    async def changed_meanwhile(self, user_ids):
        found = await asked(self, user_ids)
        if found[user.id] == "Ada":
            await self.change(user.id, {"name": "Countess"})
            accounts.forget(user.id)
        return found

    monkeypatch.setattr(Users, "names", changed_meanwhile)
    await accounts.names([user.id])
    assert await accounts.names([user.id]) == {user.id: "Countess"}


async def test_the_cache_of_names_is_bounded(accounts, monkeypatch):
    users = [await accounts.register(f"{n}@shop.example", ADA["password"], f"N{n}") for n in "abc"]
    monkeypatch.setattr(accounts._names, "_size_max", 2)
    assert len(await accounts.names([user.id for user in users])) == 3
    assert len(accounts._names._entries) == 2


async def test_ensure_makes_an_account_once_and_gives_it_its_role(accounts):
    made = await asyncio.gather(*(accounts.ensure(**ADA) for _ in range(5)))
    assert len({user.id for user in made}) == 1

    admin = await accounts.ensure(ADA["email"], "another password", "Eve", role="admin")
    assert admin == replace(made[0], role="admin")
    assert await accounts.find(admin.id) == admin
    assert (await accounts.login(ADA["email"], ADA["password"])).role == "admin"
    assert (await accounts.ensure(**ADA)).role == "admin"
