"""What other sites' pages can't do with a visitor's cookie, nor without it."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pymongo
import pytest
from aiohttp import ClientSession, DummyCookieJar
from websockets.exceptions import InvalidStatus

from commerce.accounts import policy
from handlers.guard import CSRF_HEADER, SAFE_METHODS
from handlers.openapi import Route
from handlers.routes import ROUTES
from server.settings import Settings
from tests.cast import PASSWORD, Cast, Somebody
from tests.client import Server, read_to_the_end, running_server
from tests.test_limits import networks

SHOP = "https://shop.example"
ALLOWED = frozenset({SHOP})
CLIENT = "7d0c9a52-5d3c-4f5e-9a51-0f6a4b1f2c3d"
AUTH = "/api/v1/auth"
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://["},
    {"Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def guarded_unsafe(route: Route) -> bool:
    return route.method not in SAFE_METHODS and not policy.is_public(route.action)


@pytest.fixture(scope="module")
async def doors(module_settings: Settings) -> AsyncIterator[Server]:
    async with running_server(replace(module_settings, allowed_origins=ALLOWED)) as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    """Sends the cookies that it is told to, and keeps none."""
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        yield session


@pytest.fixture
async def ada(doors: Server) -> Somebody:
    """An administrator, signed in by a cookie."""
    return await Cast(doors).one(policy.ADMIN, cookie=True)


def cookie(person: Somebody, **more: str) -> dict[str, str]:
    """The headers of a request with somebody's cookie, but without the token against forgery."""
    return {"Cookie": person.headers["Cookie"], **more}


def path_of(route: Route) -> str:
    """An address of the route; what is named in it doesn't exist."""
    path = route.path.replace(":.+", "")
    return path.replace("{code}", "conflict").replace("{name}", "x").format_map(_Anything())


class _Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "nothing"


async def status(http: ClientSession, method: str, url: str, **options: Any) -> int:
    async with http.request(method, url, **options) as response:
        if response.status == 403:
            assert (await response.json(content_type=None))["code"] == "forbidden"
            assert "Set-Cookie" not in response.headers
        return response.status


async def test_a_cookie_alone_changes_nothing(doors, http, ada, caplog) -> None:
    bob = await Cast(doors).one(policy.ADMIN, cookie=True)
    logout = f"{doors.url}{AUTH}/logout"
    for sent in ("", "x", bob.headers["X-CSRF-Token"], ada.headers["X-CSRF-Token"][:-1], "\udcff"):
        headers = cookie(ada, **{"X-CSRF-Token": sent})
        assert await status(http, "POST", logout, headers=headers) == 403
    with caplog.at_level(logging.INFO, "commerce.security"):
        assert await status(http, "POST", logout, headers=cookie(ada)) == 403
    (noted,) = [one for one in caplog.records if one.name == "commerce.security"]
    assert (vars(noted)["event"], vars(noted)["by"]) == ("forgery_refused", ada.user)
    assert await status(http, "GET", f"{doors.url}{AUTH}/me", headers=cookie(ada)) == 200
    assert await status(http, "POST", logout, headers=ada.headers) == 204
    assert await status(http, "GET", f"{doors.url}{AUTH}/me", headers=cookie(ada)) == 401


async def test_every_door_that_changes_something_wants_the_token(doors, http, ada) -> None:
    asked = 0
    for route in filter(guarded_unsafe, ROUTES):
        url = f"{doors.url}{path_of(route)}"
        async with http.request(route.method, url, headers=cookie(ada), json={}) as response:
            assert response.status == 403, route.path
            assert CSRF_HEADER in (await response.json(content_type=None))["detail"], route.path
        asked += 1
    assert asked >= 8
    assert await status(http, "GET", f"{doors.url}{AUTH}/me", headers=ada.headers) == 200


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
async def test_other_pages_change_nothing_even_with_the_token(doors, http, ada, foreign) -> None:
    for route in ROUTES:
        if route.method not in SAFE_METHODS:
            url, headers = f"{doors.url}{path_of(route)}", {**ada.headers, **foreign}
            assert await status(http, route.method, url, headers=headers, json={}) == 403, route


@pytest.mark.parametrize("foreign", [*FOREIGN, {"Origin": SHOP}], ids=str)
async def test_a_cookie_counts_on_our_own_page_only(doors, http, ada, foreign) -> None:
    me = f"{doors.url}{AUTH}/me"
    assert await status(http, "GET", me, headers=cookie(ada, **foreign)) == 401
    for ours in ({"Origin": doors.url}, {"Sec-Fetch-Site": "same-origin"}, {}):
        assert await status(http, "GET", me, headers=cookie(ada, **ours)) == 200


async def test_a_page_on_the_list_asks_with_a_token(doors, http) -> None:
    bob = await Cast(doors).one(policy.CUSTOMER)
    headers = {**bob.headers, "Origin": SHOP, "Sec-Fetch-Site": "cross-site"}
    assert await status(http, "GET", f"{doors.url}{AUTH}/me", headers=headers) == 200
    assert await status(http, "POST", f"{doors.url}{AUTH}/logout", headers=headers) == 204


@pytest.mark.parametrize("foreign", [*FOREIGN, {"Origin": SHOP}], ids=str)
async def test_no_other_page_signs_a_visitor_in(doors, http, ada, foreign) -> None:
    body = {"email": ada.email, "password": PASSWORD, "session": "cookie"}
    login = f"{doors.url}{AUTH}/login"
    assert await status(http, "POST", login, headers=foreign, json=body) == 403
    new = {**body, "email": f"{uuid.uuid4().hex}@shop.example", "name": "Eve"}
    register = f"{doors.url}{AUTH}/register"
    assert await status(http, "POST", register, headers=foreign, json=new) == 403
    ours = {"Origin": doors.url}
    assert await status(http, "POST", login, headers=ours, json=body) == 200
    assert await status(http, "POST", register, headers=ours, json=new) == 201, "nobody had it"


async def test_no_host_is_not_the_origin_of_nobody(doors, http) -> None:
    headers = {"Host": "", "Origin": "null"}
    assert await status(http, "POST", f"{doors.url}{AUTH}/login", headers=headers, json={}) == 403


async def test_forms_and_plain_text_are_no_requests_of_ours(doors, http, ada) -> None:
    """What a page may send to another site without asking first isn't understood."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        body = json.dumps({"email": ada.email, "password": PASSWORD})
        headers = {"Content-Type": kind}
        login = f"{doors.url}{AUTH}/login"
        assert await status(http, "POST", login, headers=headers, data=body) == 415


def dump(settings: Settings) -> dict[str, Any]:
    """Every document of the database, without the times at which something was merely used."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_url) as client:
        database = client[settings.mongodb_database]
        return {
            name: sorted(
                (
                    {key: value for key, value in one.items() if key != "used_at"}
                    for one in database[name].find()
                ),
                key=lambda one: str(one["_id"]),
            )
            for name in sorted(database.list_collection_names())
        }


async def test_reading_changes_nothing(doors, http, ada, module_settings) -> None:
    before, read = dump(module_settings), 0
    assert before["users"]
    for route in ROUTES:
        if route.method not in SAFE_METHODS or route.path == "/ws":
            continue
        for method in ("GET", "HEAD"):
            code = await status(http, method, f"{doors.url}{path_of(route)}", headers=ada.headers)
            assert code in (200, 400, 404), route.path
            read += 1
    assert read > 20
    assert dump(module_settings) == before


# Sockets


async def greeted(doors: Server, headers: dict[str, str], token: str | None = None) -> Any:
    """Open a socket and say hello; the answer's type, or its code."""
    origin = headers.pop("Origin", None)
    async with doors.socket(origin=origin, additional_headers=headers) as socket:
        hello = {"id": 1, "type": "hello", "client": CLIENT, **({"token": token} if token else {})}
        await socket.send(json.dumps(hello))
        answer = json.loads(await socket.recv())
        return answer.get("code", answer["type"])


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
async def test_other_pages_open_no_socket(doors, ada, foreign) -> None:
    origin = foreign.get("Origin")
    headers = cookie(ada, **({} if origin is not None else foreign))
    with pytest.raises(InvalidStatus) as refused:
        async with doors.socket(origin=origin, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403


async def test_who_opens_sockets(doors, ada) -> None:
    bob = await Cast(doors).one(policy.CUSTOMER)
    assert await greeted(doors, cookie(ada, Origin=doors.url)) == "welcome"
    assert await greeted(doors, cookie(ada)) == "welcome", "no browser"
    assert await greeted(doors, cookie(ada, Origin=SHOP)) == "unauthorized"
    assert await greeted(doors, {"Origin": SHOP}, bob.token) == "welcome"
    assert await greeted(doors, cookie(ada, Origin=SHOP), bob.token) == "welcome"


async def test_nobody_is_told_apart_by_the_close(doors, ada) -> None:
    async with doors.socket(origin=SHOP, additional_headers=cookie(ada)) as socket:
        await socket.send(json.dumps({"id": 1, "type": "hello", "client": CLIENT}))
        assert (await read_to_the_end(socket))[1] == 4501


# Behind a proxy


async def test_our_own_page_behind_a_proxy(settings, http) -> None:
    proxied = replace(
        settings, trusted_proxies=networks("127.0.0.1"), public_url="https://carts.example/"
    )
    async with running_server(proxied) as doors:
        url = f"{doors.url}{AUTH}/login"
        host = doors.url.removeprefix("http://")
        tls = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
        body = {"email": "nobody@shop.example", "password": "x", "session": "cookie"}
        for origin, expected in (
            (f"https://{host}", 401),
            (f"http://{host}", 403),  # a page that anybody on the way could have changed
            ("https://carts.example", 401),  # the proxy has written another Host
            ("https://CARTS.example", 401),
            ("http://carts.example", 403),
        ):
            headers = {**tls, "Origin": origin}
            assert await status(http, "POST", url, headers=headers, json=body) == expected, origin
        headers = {**tls, "Host": "shop.example:443", "Origin": "https://shop.example"}
        assert await status(http, "POST", url, headers=headers, json=body) == 401


async def test_the_cookie_is_for_tls_alone_where_there_is_tls(settings, http) -> None:
    proxied = replace(settings, trusted_proxies=networks("127.0.0.1"))
    async with running_server(proxied) as doors:
        ada = await Cast(doors).one(policy.CUSTOMER)
        url = f"{doors.url}{AUTH}/login"
        body = {"email": ada.email, "password": PASSWORD, "session": "cookie"}
        tls = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
        for headers, secure in (({}, False), (tls, True)):
            async with http.post(url, json=body, headers=headers) as response:
                assert response.status == 200
                (line,) = response.headers.getall("Set-Cookie")
            name, *attributes = line.split("; ")
            assert name.startswith("__Host-") is secure
            assert ("Secure" in attributes) is secure
            assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
            assert not any(one.startswith("Domain") for one in attributes)
            assert "no-store" in response.headers["Cache-Control"]
