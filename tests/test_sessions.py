"""Sign-ins: renewed, listed, ended; by tokens and by cookies."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace

import aiohttp
import jwt
import pytest
from yarl import URL

from commerce.accounts import sessions
from commerce.accounts.sessions import REUSE_GRACE_S, Sessions
from commerce.accounts.tokens import key_id
from handlers import keys
from storage.sessions import SessionRecords
from tests.client import running_server
from tests.helpers import steady_port
from tests.mailbox import mails_to, text_of
from tests.people import PASSWORD, Person, browser, cookie_of, mail_settled, person

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(scope="module")
async def server(module_settings):
    """One for all tests here: each has people of its own."""
    async with running_server(module_settings) as server:
        yield server


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the time of sign-ins is ahead of when the test began; else it stands still."""
    ahead, began = [0.0], time.time()
    make = Sessions.__init__

    def make_with_clock(self, *args, **kwargs):
        make(self, *args, **kwargs, now=lambda: began + ahead[0])

    monkeypatch.setattr(Sessions, "__init__", make_with_clock)
    return ahead


async def refresh(someone, token=None):
    return await someone.post("refresh", {"refresh_token": token or someone.refresh_token})


async def renewed(someone, token=None):
    """Have new tokens; returns the refresh token."""
    status, answer = await refresh(someone, token)
    assert status == 200, answer
    someone.token, someone.refresh_token = answer["access_token"], answer["refresh_token"]
    return someone.refresh_token


# Refresh tokens


async def test_a_refresh_token_gives_new_ones_each_for_one_use(server):
    ada = await person(server)
    tokens = [ada.refresh_token, *[await renewed(ada) for _ in range(3)]]
    assert len(set(tokens)) == 4
    assert await ada.is_signed_in()
    assert len((await ada.done("GET", "devices"))["items"]) == 1, "it is one sign-in all the while"


async def test_one_whose_answer_was_lost_gives_the_same_again(settings, clock):
    async with running_server(settings) as server:
        ada = await person(server)
        first = ada.refresh_token
        second = await renewed(ada)
        clock[0] = REUSE_GRACE_S - 5
        assert await renewed(ada, first) == second
        assert await renewed(ada, first) == second
        assert await ada.is_signed_in()
        assert await renewed(ada, second) not in (first, second)


async def test_one_that_is_used_again_later_ends_the_sign_in_and_is_told_by_mail(
    settings, clock, caplog
):
    caplog.set_level("INFO")
    async with running_server(settings) as server:
        ada = await person(server, headers={"User-Agent": FIREFOX})
        elsewhere = await ada.again()
        first = ada.refresh_token
        second = await renewed(ada)
        clock[0] = REUSE_GRACE_S + 1
        thief = Person(server, "")
        status, problem = await refresh(thief, first)

        assert (status, problem["code"]) == (401, "unauthorized")
        assert "used before" in problem["detail"]
        assert not await ada.is_signed_in()
        assert (await refresh(ada, second))[0] == 401
        assert await elsewhere.is_signed_in(), "the others are no part of it"
        (mail,) = await mails_to(ada.folder, ada.email, "sign_in_ended")
        assert "Firefox on Linux" in text_of(mail)
        events = [r.event for r in caplog.records if r.name == "commerce.security"]
        assert "refresh_token_reused" in events


async def test_one_from_longer_ago_ends_it_at_once(server):
    ada = await person(server)
    first = ada.refresh_token
    await renewed(ada)
    third = await renewed(ada)
    assert (await refresh(ada, first))[0] == 401
    assert (await refresh(ada, third))[0] == 401
    assert not await ada.is_signed_in()


@pytest.mark.parametrize(
    "make",
    [
        lambda session, generation, mac: f"{session}.{generation}.{'0' * 64}",
        lambda session, generation, mac: f"{session}.{int(generation) + 1}.{mac}",
        lambda session, generation, mac: f"{session}.{generation}.{mac[:-1]}",
        lambda session, generation, mac: f"{session}.{generation}.",
        lambda session, generation, mac: f"{session}.\u0663.{mac}",
        lambda session, generation, mac: f"{session}.-1.{mac}",
        lambda session, generation, mac: f"ses_of_nobody.{generation}.{mac}",
        lambda session, generation, mac: f"{session}",
        lambda session, generation, mac: f"{session}.{'9' * 150}.{mac}",
        lambda session, generation, mac: "x" * 300,
    ],
    ids=["no mac", "next", "cut", "empty", "odd digit", "negative", "nobody", "id", "huge", "long"],
)
async def test_a_made_up_one_gives_nothing_and_ends_nothing(server, make):
    ada = await person(server)
    await renewed(ada)
    status, problem = await refresh(ada, make(*ada.refresh_token.split(".")))
    assert (status, problem["code"]) == (401, "unauthorized")
    assert await ada.is_signed_in()
    await renewed(ada)


async def test_many_who_use_one_at_once_get_the_same(two_servers):
    ada = await person(two_servers[0])
    there = replace(ada, server=two_servers[1])
    answers = await asyncio.gather(*(refresh(one) for one in [ada, there] * 4))
    assert {status for status, _ in answers} == {200}
    (token,) = {answer["refresh_token"] for _, answer in answers}
    await renewed(ada, token)
    assert await ada.is_signed_in()


async def test_tokens_of_one_kind_are_none_of_another(server):
    ada = await person(server)
    assert (await refresh(ada, ada.token[:290]))[0] == 401
    for token in (ada.refresh_token, ada.refresh_token.partition(".")[0]):
        assert not await replace(ada, token=token).is_signed_in()
    async with browser() as page:
        session = (await log_in(page, server, ada.email))["session"]
        assert (await refresh(ada, f"{session}.0.{'0' * 64}"))[0] == 401


async def test_a_sign_in_that_is_not_used_ends_and_none_goes_on_for_ever(settings, clock):
    settings = replace(settings, session_idle_s=1_000.0, session_max_s=2_500.0)
    async with running_server(settings) as server:
        ada = await person(server)
        idle = await ada.again()
        for clock[0] in (900.0, 1_800.0):
            await renewed(ada)
            assert await ada.is_signed_in()
        assert not await idle.is_signed_in()
        assert (await refresh(idle))[0] == 401
        clock[0] = 2_400.0
        await renewed(ada)
        clock[0] = 2_501.0
        assert not await ada.is_signed_in()
        assert (await refresh(ada))[0] == 401


# Keys


async def test_keys_are_changed_while_people_stay_signed_in(settings):
    old, new = settings.jwt_secret, secrets.token_hex(32)
    async with running_server(settings) as server:
        ada = await person(server)
    both = replace(settings, jwt_secret=new, jwt_secrets_old=(old,))
    async with running_server(both) as server:
        ada.server = server
        before = replace(ada)
        assert await ada.is_signed_in()
        await renewed(ada)
        kids = [jwt.get_unverified_header(one.token)["kid"] for one in (before, ada)]
        assert kids == [key_id(old), key_id(new)]
        await renewed(ada)
    async with running_server(replace(settings, jwt_secret=new)) as server:
        before.server = ada.server = server
        assert not await before.is_signed_in()
        assert await ada.is_signed_in()


# Devices


async def test_devices_are_listed_and_ended(server):
    ada = await person(server, headers={"User-Agent": FIREFOX})
    phone = await ada.again()
    items = (await ada.done("GET", "devices"))["items"]
    by_current = {item["current"]: item for item in items}
    assert len(items) == 2
    assert by_current[True]["device"] == "Firefox on Linux"
    assert [item["kind"] for item in items] == ["token", "token"]

    bea = await person(server, "Bea")
    other = by_current[False]["id"]
    for device in (other, "ses_of_nobody"):
        status, problem = await bea.ask("DELETE", f"devices/{device}")
        assert (status, problem["code"]) == (404, "not_found")
    assert await phone.is_signed_in()

    assert await ada.ask("DELETE", f"devices/{other}") == (204, None)
    assert not await phone.is_signed_in()
    assert (await refresh(phone))[0] == 401
    assert (await ada.ask("DELETE", f"devices/{other}"))[0] == 404
    assert await ada.is_signed_in()


async def test_logging_out_here_and_everywhere(server):
    ada = await person(server)
    second, third = await ada.again(), await ada.again()
    assert await second.post("logout") == (204, None)
    assert [await one.is_signed_in() for one in (ada, second, third)] == [True, False, True]
    assert (await refresh(second))[0] == 401

    assert await ada.post("logout-everywhere") == (204, None)
    assert [await one.is_signed_in() for one in (ada, third)] == [False, False]
    assert await (await ada.again()).is_signed_in()


async def test_the_device_used_longest_ago_makes_room(server, monkeypatch):
    monkeypatch.setattr(sessions, "SESSIONS_PER_USER_MAX", 3)
    ada = await person(server)
    devices = [ada, *[await ada.again() for _ in range(2)]]
    await renewed(ada)
    devices.append(await ada.again())
    alive = [await one.is_signed_in() for one in devices]
    assert sum(alive) == 3
    assert alive[0]
    assert alive[3]


async def test_devices_that_sign_in_at_once_are_no_more_than_that(server, monkeypatch):
    monkeypatch.setattr(sessions, "SESSIONS_PER_USER_MAX", 3)
    ada = await person(server)
    devices = [ada, *[await ada.again() for _ in range(2)]]
    insert, together = SessionRecords.insert, asyncio.Barrier(3)

    async def stored_together(self, record):
        async with asyncio.timeout(60):
            await together.wait()
        await insert(self, record)

    monkeypatch.setattr(SessionRecords, "insert", stored_together)
    devices += await asyncio.gather(*(ada.again() for _ in range(3)))
    alive = [await one.is_signed_in() for one in devices]
    assert alive == [False] * 3 + [True] * 3


async def test_every_event_of_a_sign_in_is_logged_with_ids_alone(server, caplog):
    caplog.set_level("INFO")
    ada = await person(server)
    await ada.can_log_in("wrong horse")
    await ada.post("logout")
    lines = [vars(r) for r in caplog.records if r.name == "commerce.security"]
    told = [(line["event"], line["by"]) for line in lines]
    assert told == [
        ("registered", ada.id),
        ("signed_in", ada.id),
        ("sign_in_failed", None),
        ("signed_out", ada.id),
    ]
    assert ada.email not in str(lines)
    assert ada.name not in str(lines)


# Cookies


async def log_in(page, server, email):
    """Sign a browser in; answers what it is told, the attributes of its cookie, its session."""
    body = {"email": email, "password": PASSWORD, "session": "cookie"}
    async with page.post(f"{server.url}/api/v1/auth/login", json=body) as response:
        answer = await response.json()
        assert response.status == 200, answer
    sessions = server.app[keys.DATABASE].collection("sessions")
    stored = await sessions.find_one({"kind": "cookie", "user": answer["user"]["id"]})
    return {**answer, "cookie": response.headers["Set-Cookie"], "session": stored["_id"]}


async def who(page, server, cookie=None):
    """Who is signed in there, or nobody. `cookie` is sent in place of the browser's."""
    headers = {} if cookie is None else {"Cookie": f"cartroom_session={cookie}"}
    async with page.get(f"{server.url}/api/v1/auth/me", headers=headers) as response:
        return (await response.json())["id"] if response.status == 200 else None


async def test_a_cookie_is_for_the_browser_alone_and_holds_nothing(server):
    ada = await person(server)
    async with browser() as page:
        told = await log_in(page, server, ada.email)
        assert "access_token" not in told
        assert "refresh_token" not in told
        attributes = {part.strip().lower() for part in told["cookie"].split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= attributes
        assert not any(part.startswith("domain") for part in attributes)
        assert await who(page, server) == ada.id
        value = cookie_of(page, server)
    web_sessions = server.app[keys.DATABASE].collection("web_sessions")
    stored = await web_sessions.find({"user": ada.id}).to_list(None)
    assert len(stored) == 1
    assert value not in str(stored)


async def test_logging_in_changes_the_cookie_and_ends_the_one_before(server):
    """What somebody has put into a visitor's browser stands for nobody, before and after."""
    ada, eve = await person(server), await person(server, "Eve")
    async with browser() as page, aiohttp.ClientSession() as attacker:
        page.cookie_jar.update_cookies({"cartroom_session": "planted"}, URL(server.url))
        await log_in(page, server, ada.email)
        first = cookie_of(page, server)
        assert first != "planted"
        assert await who(attacker, server, "planted") is None

        await log_in(page, server, ada.email)
        second = cookie_of(page, server)
        assert second != first
        devices = await server.app[keys.SESSIONS].devices(ada.id)
        assert [one.kind for one in devices].count("cookie") == 1
        assert await who(attacker, server, first) is None
        await log_in(page, server, eve.email)
        assert await who(attacker, server, second) is None
        assert await who(page, server) == eve.id


async def test_logging_out_ends_the_cookie_for_whoever_has_a_copy(server):
    ada = await person(server)
    async with browser() as page, aiohttp.ClientSession() as copy:
        csrf = (await log_in(page, server, ada.email))["csrf_token"]
        value = cookie_of(page, server)
        assert await who(copy, server, value) == ada.id
        url = f"{server.url}/api/v1/auth/logout"
        async with page.post(url, headers={"X-CSRF-Token": csrf}) as response:
            assert response.status == 204
        assert not cookie_of(page, server)
        assert await who(copy, server, value) is None
    assert await ada.is_signed_in()


async def test_cookies_outlive_redis_and_what_it_held(settings, database_name):
    nowhere = replace(settings, redis_url=f"redis://127.0.0.1:{steady_port()}/0")
    async with running_server(settings) as server, browser() as page:
        ada = await person(server)
        await log_in(page, server, ada.email)
        redis = server.app[keys.REDIS]
        held = [key async for key in redis.scan_iter(f"cartroom:{database_name}:web:*")]
        assert len(held) == 1
        await redis.delete(*held)
        assert await who(page, server) == ada.id
        assert await redis.exists(*held), "it is kept there again"
        value = cookie_of(page, server)
    async with running_server(nowhere) as server, aiohttp.ClientSession() as page:
        assert await who(page, server, value) == ada.id
        async with browser() as another:
            await log_in(another, server, ada.email)
            assert await who(another, server) == ada.id


async def test_cookies_whose_sign_ins_have_ended_are_forgotten(server, monkeypatch):
    """However often somebody signs in who keeps no cookie."""
    monkeypatch.setattr(sessions, "SESSIONS_PER_USER_MAX", 2)
    ada = await person(server)
    cookies = []
    for _ in range(4):
        async with browser() as page:
            await log_in(page, server, ada.email)
            cookies.append(cookie_of(page, server))
    web_sessions = server.app[keys.DATABASE].collection("web_sessions")
    assert len(await web_sessions.find({"user": ada.id}).to_list(None)) == 2
    async with aiohttp.ClientSession() as page:
        found = [await who(page, server, cookie) for cookie in cookies]
    assert found == [None, None, ada.id, ada.id]


async def test_a_cookie_ends_with_its_device(server):
    ada = await person(server)
    async with browser() as page:
        told = await log_in(page, server, ada.email)
        await ada.done("DELETE", f"devices/{told['session']}")
        assert await who(page, server) is None
    await mail_settled(server)
