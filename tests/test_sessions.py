"""Sign-ins: what opens them, how they are renewed, when they end, and where one sees them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio

from commerce.accounts import policy, sessions
from handlers import keys
from server.settings import Settings
from tests.cast import PASSWORD, Cast, Somebody
from tests.client import Server, running_server

AUTH = "/api/v1/auth"
COOKIE = "cartroom_session"


@pytest.fixture
def cast(server: Server) -> Cast:
    return Cast(server)


@pytest.fixture
def later(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put the clock of sign-ins forward, by so many seconds from now."""

    def put(seconds: float) -> None:
        clock = server.app[keys.SESSIONS]
        monkeypatch.setattr(clock, "_now", lambda: time.time() + seconds)

    return put


async def ask(
    server: Server, method: str, path: str, headers: dict[str, str] | None = None, **body: Any
) -> tuple[int, Any, Any]:
    """Status, document and cookies of the answer."""
    server.http.cookie_jar.clear()
    options = {"json": body} if body else {}
    async with server.http.request(
        method, f"{server.url}{AUTH}/{path}", headers=headers, **options
    ) as response:
        text = await response.read()
        server.http.cookie_jar.clear()
        return response.status, json.loads(text) if text else None, response.cookies


async def is_in(server: Server, person: Somebody) -> bool:
    status, _, _ = await ask(server, "GET", "me", person.headers)
    assert status in (200, 401)
    return status == 200


async def renew(server: Server, token: str) -> tuple[int, Any]:
    status, answer, _ = await ask(server, "POST", "refresh", refresh_token=token)
    return status, answer


# Cookies


async def test_a_cookies_value_is_random_and_only_its_hash_is_stored(
    server: Server, cast: Cast, redis_url: str
) -> None:
    people = [await cast.one(policy.CUSTOMER, cookie=True) for _ in range(2)]
    values = [person.headers["Cookie"].removeprefix(f"{COOKIE}=") for person in people]
    assert values[0] != values[1]
    database = server.app[keys.DATABASE]
    stored = await database.collection("web_sessions").find({}).to_list(None)
    for value in values:
        assert len(value) >= 43  # 256 bits
        assert value not in json.dumps(stored)
        assert hashlib.sha256(value.encode()).hexdigest() in json.dumps(stored)
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        cached = [key async for key in client.scan_iter("*:web:*")]
        kept = " ".join([*cached, *await client.mget(cached)])
        assert not any(value in kept for value in values)


async def test_a_log_in_has_a_new_cookie_and_ends_the_one_before(
    server: Server, cast: Cast
) -> None:
    before = await cast.one(policy.CUSTOMER, cookie=True)
    credentials = {"email": before.email, "password": PASSWORD, "session": "cookie"}
    async with server.connect(await device(cast, before)) as elsewhere:
        status, answer, cookies = await ask(server, "POST", "login", before.headers, **credentials)
        assert status == 200
        value = cookies[COOKIE].value
        assert value not in before.headers["Cookie"]
        assert not await is_in(server, before)
        after = replace(before, headers={"Cookie": f"{COOKIE}={value}"})
        assert await is_in(server, after)
        assert answer["csrf_token"] != before.headers["X-CSRF-Token"]
        _, devices, _ = await ask(server, "GET", "devices", after.headers)
        assert len(devices["items"]) == 2  # this one, and the one elsewhere
        await elsewhere.request("ping")


async def device(cast: Cast, person: Somebody) -> Any:
    return (await cast.again(person)).account


async def test_nobody_else_chooses_a_cookies_value(server: Server, cast: Cast) -> None:
    """Session fixation: what a browser was made to send is not what it is signed in by."""
    person = await cast.one(policy.CUSTOMER)
    planted = {"Cookie": f"{COOKIE}=chosen-by-somebody-else"}
    credentials = {"email": person.email, "password": PASSWORD, "session": "cookie"}
    status, _, cookies = await ask(server, "POST", "login", planted, **credentials)
    assert status == 200
    assert cookies[COOKIE].value != "chosen-by-somebody-else"
    assert not await is_in(server, replace(person, headers=planted))


async def test_what_the_cookie_says_to_browsers(server: Server, cast: Cast) -> None:
    person = await cast.one(policy.CUSTOMER)
    credentials = {"email": person.email, "password": PASSWORD, "session": "cookie"}
    _, answer, cookies = await ask(server, "POST", "login", **credentials)
    cookie = cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["domain"] == ""
    assert "access_token" not in answer
    assert cookie.value not in json.dumps(answer)


async def test_an_empty_redis_signs_nobody_out(
    server: Server, cast: Cast, redis_url: str, settings: Settings
) -> None:
    person = await cast.one(policy.CUSTOMER, cookie=True)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        found = [key async for key in client.scan_iter(f"*{settings.mongodb_database}:web:*")]
        assert found
        await client.delete(*found)
    assert await is_in(server, person)


# Refresh tokens


async def test_a_refresh_token_gives_new_tokens_once(server: Server, cast: Cast) -> None:
    person = await cast.one(policy.CUSTOMER)
    status, answer = await renew(server, person.refresh_token)
    assert status == 200
    assert answer["refresh_token"] != person.refresh_token
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert await is_in(server, replace(person, headers=headers))
    # The answer may have got lost: the same again within 30 s.
    assert (await renew(server, person.refresh_token))[1]["refresh_token"] == (
        answer["refresh_token"]
    )
    assert (await renew(server, answer["refresh_token"]))[0] == 200


async def test_a_refresh_token_used_again_later_ends_the_session(
    server: Server, cast: Cast, later: Callable[[float], None]
) -> None:
    person = await cast.one(policy.CUSTOMER)
    elsewhere = await cast.again(person)
    _, answer = await renew(server, person.refresh_token)
    async with server.connect(person.account) as client:
        later(31)
        status, problem = await renew(server, person.refresh_token)
        assert (status, problem["code"]) == (401, "unauthorized")
        assert await client.closed() == 4503
    for token in (answer["refresh_token"], person.refresh_token):
        assert (await renew(server, token))[0] == 401
    assert not await is_in(server, person)
    assert (await renew(server, elsewhere.refresh_token))[0] == 200  # another device is left alone


async def test_a_made_up_refresh_token_ends_nothing(server: Server, cast: Cast) -> None:
    person = await cast.one(policy.CUSTOMER)
    session, generation, mac = person.refresh_token.split(".")
    for made_up in (
        f"{session}.{generation}.{mac[:-1]}{'0' if mac[-1] != '0' else '1'}",
        f"{session}.{int(generation) + 1}.{mac}",
        f"{session}.99999999999999999999.{mac}",
        f"{session}.-1.{mac}",
        f"ses_{'0' * 24}.{generation}.{mac}",
        person.token[:300],
        "..",
        "é.0.x",
    ):
        assert (await renew(server, made_up))[0] == 401, made_up
    assert (await renew(server, person.refresh_token))[0] == 200


async def test_a_new_secret_in_front_of_the_old_one_signs_nobody_out(settings: Settings) -> None:
    async with running_server(settings) as server:
        person = await Cast(server).one(policy.CUSTOMER)
    turned = replace(settings, jwt_secret="y" * 40, jwt_secrets_old=(settings.jwt_secret,))
    async with running_server(turned) as server:
        assert await is_in(server, person)
        status, answer = await renew(server, person.refresh_token)
        assert status == 200
    alone = replace(turned, jwt_secrets_old=())
    async with running_server(alone) as server:
        assert not await is_in(server, person)
        assert (await renew(server, person.refresh_token))[0] == 401
        assert (await renew(server, answer["refresh_token"]))[0] == 200


# When they end


async def test_a_session_ends_unused_and_at_the_latest(
    server: Server, cast: Cast, settings: Settings, later: Callable[[float], None]
) -> None:
    by_cookie = await cast.one(policy.CUSTOMER, cookie=True)
    by_token = await cast.one(policy.CUSTOMER)
    idle_s, max_s = settings.session_idle_s, settings.session_max_s
    later(idle_s - 60)
    assert await is_in(server, by_cookie)
    status, answer = await renew(server, by_token.refresh_token)
    assert status == 200
    later(2 * idle_s - 180)  # both were used meanwhile
    assert await is_in(server, by_cookie)
    assert (await renew(server, answer["refresh_token"]))[0] == 200
    later(max_s + 1)
    assert not await is_in(server, by_cookie)
    assert (await renew(server, answer["refresh_token"]))[0] == 401

    unused = await cast.one(policy.CUSTOMER)
    later(max_s + 1 + idle_s)
    assert (await renew(server, unused.refresh_token))[0] == 401


# Devices


async def test_devices_are_listed_and_ended(server: Server, cast: Cast) -> None:
    first = await cast.one(policy.CUSTOMER)
    second = await cast.again(first)
    status, answer, _ = await ask(server, "GET", "devices", second.headers)
    assert status == 200
    assert [one["current"] for one in answer["items"]] == [True, False]
    assert {one["kind"] for one in answer["items"]} == {"token"}
    other = answer["items"][1]["id"]
    async with server.connect(first.account) as client:
        assert (await ask(server, "DELETE", f"devices/{other}", second.headers))[0] == 204
        assert await client.closed() == 4503
    assert not await is_in(server, first)
    assert await is_in(server, second)
    assert len((await ask(server, "GET", "devices", second.headers))[1]["items"]) == 1
    assert (await ask(server, "DELETE", f"devices/{other}", second.headers))[0] == 404


async def test_more_devices_than_the_limit(
    server: Server, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_PER_USER_MAX", 3)
    people = [await cast.one(policy.CUSTOMER)]
    people += [await cast.again(people[0]) for _ in range(3)]
    assert [await is_in(server, person) for person in people] == [False, True, True, True]
