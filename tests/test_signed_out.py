"""Signed out on one instance, out on the other: by token and by cookie, heard of or found out."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import redis.asyncio as aioredis

from realtime import signin_checks
from server.settings import Settings
from storage.times import rfc3339
from tests.client import (
    Account,
    Ahead,
    Client,
    Door,
    Message,
    Server,
    read_to_the_end,
    refused,
    running_server,
)
from tests.faults import FaultProxy, is_commit, proxy_of
from tests.forging import changed, claims_of
from tests.instances import running_instances

PASSWORD = "correct horse"
KINDS = ("token", "cookie")


@dataclass(frozen=True)
class SignIn:
    """One device on which somebody is signed in."""

    email: str
    account: Account
    headers: dict[str, str]
    refresh_token: str = ""


async def sign_in(door: Door, kind: str, name: str = "Ana", email: str = "") -> SignIn:
    """Register, or with `email` log in on another device."""
    body = {"email": email or f"{uuid.uuid4().hex}@shop.example", "password": PASSWORD}
    body = {**body, "session": kind} if email else {**body, "session": kind, "name": name}
    answer, cookie = await post(door, "login" if email else "register", body)
    user, token = answer["user"]["id"], answer.get("access_token")
    if kind == "cookie":
        headers = {"Cookie": cookie, "X-CSRF-Token": answer["csrf_token"]}
    else:
        headers = {"Authorization": f"Bearer {token}"}
    account = Account(user, name, token)
    return SignIn(body["email"], account, headers, answer.get("refresh_token", ""))


async def post(
    door: Door, path: str, body: Message, headers: dict[str, str] | None = None
) -> tuple[Any, str]:
    """The answer's document, None without one, and its cookie."""
    url = f"{door.url}/api/v1/auth/{path}"
    async with door.http.post(url, json=body, headers=headers) as response:
        assert response.status < 300, await response.text()
        cookies = [f"{name}={one.value}" for name, one in response.cookies.items()]
        document = await response.json() if response.status != 204 else None
        return document, "; ".join(cookies)


@asynccontextmanager
async def connected(door: Door, device: SignIn) -> AsyncIterator[Client]:
    """A socket of that device, which has said `hello`."""
    headers = {"Cookie": device.headers["Cookie"]} if "Cookie" in device.headers else {}
    async with door.socket(additional_headers=headers) as socket:
        client = Client(socket, device.account, str(uuid.uuid4()))
        try:
            await client.greet(device.account)
            yield client
        finally:
            await client.close()


# Ways to sign somebody out. Each is told the device that is to go, and another of the same user.


async def log_out(door: Door, gone: SignIn, _other: SignIn) -> None:
    await post(door, "logout", {}, gone.headers)


async def log_out_everywhere(door: Door, _gone: SignIn, other: SignIn) -> None:
    await post(door, "logout-everywhere", {}, other.headers)


async def end_device(door: Door, gone: SignIn, other: SignIn) -> None:
    url = f"{door.url}/api/v1/auth/devices"
    async with door.http.get(url, headers=gone.headers) as response:
        (device,) = [one for one in (await response.json())["items"] if one["current"]]
    async with door.http.delete(f"{url}/{device['id']}", headers=other.headers) as response:
        assert response.status == 204


End = Callable[[Door, SignIn, SignIn], Awaitable[None]]
WAYS: tuple[End, ...] = (log_out, log_out_everywhere, end_device)


@dataclass
class Scene:
    """Olga and a member, both on one instance, in a cart of hers."""

    cart: str
    olga: Client
    member: Client
    owner: SignIn
    gone: SignIn
    other: SignIn


@asynccontextmanager
async def scene(here: Door, there: Door, kind: str) -> AsyncIterator[Scene]:
    """The member has two devices: one of `kind`, on `there`, and one signed in on `here`."""
    owner = await sign_in(there, "token", "Olga")
    gone = await sign_in(there, kind, "Max")
    other = await sign_in(here, "token", "Max", gone.email)
    async with connected(there, owner) as olga, connected(there, gone) as member:
        cart = await olga.create()
        await olga.share(cart, gone.account)
        await member.join(cart)
        yield Scene(cart, olga, member, owner, gone, other)


async def ops_of(client: Client, cart: str) -> list[tuple[str, str]]:
    """Who did what, by the history."""
    ops = (await client.request("cart.history", cart=cart))["ops"]
    return [(op["by"], op["op"]["kind"]) for op in ops]


# Processes


async def test_what_ends_in_one_process_ends_in_the_other(settings: Settings) -> None:
    """With an op that waits there behind a commit on its way, be it ended in whatever way."""
    async with running_instances(settings, 2) as (here, there):
        for way, kind in itertools.product(WAYS, KINDS):
            async with scene(here, there, kind) as one:
                end = partial(way, here, one.gone, one.other)
                await queued_op_is_refused(there.store, one, end)
        async with scene(here, there, "token") as one:
            await removed_with_an_op_queued(here, there.store, one)
        # Without Redis it is found out.
        async with scene(here, there, "token") as one, scene(here, there, "cookie") as two:
            await here.redis.down()
            await there.redis.down()
            await log_out_everywhere(here, one.gone, one.other)
            await log_out(here, two.gone, two.other)
            assert [await one.member.closed(), await two.member.closed()] == [4503, 4503]


async def queued_op_is_refused(
    store: FaultProxy, one: Scene, end: Callable[[], Awaitable[None]]
) -> None:
    hold = store.hold(is_commit)
    ahead = one.olga.start_op(one.cart, "rename", name="On its way")
    await hold.reached()
    queued = one.member.start_op(one.cart, "clear")
    await one.member.request("ping")  # so it has come there
    await end()
    refused(await queued, "unauthorized")
    assert await one.member.closed() == 4503
    hold.release()
    assert (await ahead)["type"] == "ok"
    assert [kind for _, kind in await ops_of(one.olga, one.cart)] == ["create", "share", "rename"]


async def removed_with_an_op_queued(here: Door, store: FaultProxy, one: Scene) -> None:
    """Membership ends: the op is judged on the very state that it would commit on."""
    async with connected(here, one.owner) as olga:
        hold = store.hold(is_commit)
        ahead = one.olga.start_op(one.cart, "rename", name="On its way")
        await hold.reached()
        queued = one.member.start_op(one.cart, "clear")
        await one.member.request("ping")
        await olga.op(one.cart, "unshare", user=one.member.user)
        hold.release()
        refused(await queued, "not_found")
        assert (await one.member.push("cart.gone"))["reason"] == "removed"
        assert (await ahead)["type"] == "ok"
        kinds = [kind for _, kind in await ops_of(one.olga, one.cart)]
        assert kinds == ["create", "share", "unshare", "rename"]
        await one.member.request("ping")  # the socket goes on


# What is told


async def test_what_ends_is_told_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By announcements alone: here nobody looks for what has ended."""
    for name in ("EVERY_S", "EVERY_DEAF_S", "AT_ONCE_S"):
        monkeypatch.setattr(signin_checks, name, 3600.0)
    async with two_servers(settings) as (here, there):
        for way, kind in itertools.product(WAYS, KINDS):
            async with scene(here, there, kind) as one:
                await way(here, one.gone, one.other)
                assert await one.member.closed() == 4503
                await one.olga.request("ping")


# What is found out


@asynccontextmanager
async def two_servers(settings: Settings) -> AsyncIterator[tuple[Server, Server]]:
    async with running_server(settings) as here, running_server(settings) as there:
        yield here, there


async def test_an_announcement_that_nobody_gets_is_found_out(
    settings: Settings, redis_url: str
) -> None:
    """Only who announces is cut off: the other has no reason to think that it misses anything."""
    lasting = replace(settings, lease_s=600.0)
    async with (
        proxy_of(redis_url, framed=False) as redis,
        running_server(replace(lasting, redis_url=redis.url)) as here,
        running_server(lasting) as there,
        scene(here, there, "token") as one,
    ):
        await redis.down()
        await log_out(here, one.gone, one.other)
        assert await one.member.closed() == 4503
        assert there.hub.services.bus.fresh


async def test_an_emptied_redis_is_made_up_for(settings: Settings, redis_url: str) -> None:
    """Inboxes and leases are gone with it; whoever comes back asks the store at once."""
    async with two_servers(settings) as (here, there), scene(here, there, "cookie") as one:
        async with aioredis.Redis.from_url(redis_url) as client:
            await client.flushall()
        await log_out(here, one.gone, one.other)
        assert await one.member.closed() == 4503


# Who opens a socket, and for how long


async def test_a_browser_opens_a_socket_with_its_cookie(two_servers: tuple[Server, Server]) -> None:
    here, there = two_servers
    ana = await sign_in(here, "cookie")
    async with connected(there, ana) as client:
        assert client.welcome["user"] == {"id": ana.account.user, "name": "Ana"}
        again = await client.request("auth.renew")
        assert again["expires_at"] == client.welcome["expires_at"]
        await client.create()
    await log_out(here, ana, ana)
    for headers in ({"Cookie": ana.headers["Cookie"]}, {"Cookie": "cartroom_session=made-up"}, {}):
        async with there.socket(additional_headers=headers) as socket:
            await socket.send(json.dumps({"id": 1, "type": "hello", "client": str(uuid.uuid4())}))
            (error,), code = await read_to_the_end(socket)
            assert (error["code"], code) == ("unauthorized", 4501)


async def test_a_token_of_an_ended_session_opens_nothing(server: Server) -> None:
    ana = await sign_in(server, "token")
    await log_out(server, ana, ana)
    async with server.socket() as socket:
        hello = {"id": 1, "type": "hello", "client": str(uuid.uuid4()), "token": ana.account.token}
        await socket.send(json.dumps(hello))
        (error,), code = await read_to_the_end(socket)
        assert (error["code"], code) == ("unauthorized", 4501)


async def test_a_socket_goes_on_under_another_token(server: Server) -> None:
    ana, ben = await sign_in(server, "token"), await sign_in(server, "token", "Ben")
    phone = await sign_in(server, "token", email=ana.email)
    async with connected(server, ana) as client:
        told = client.welcome["expires_at"]
        for code, token in (("forbidden", ben.account.token), ("unauthorized", "made-up")):
            await client.refusal(code, "auth.renew", token=token)
        await client.refusal("unauthorized", "auth.renew")  # there is no cookie
        answer, _ = await post(server, "refresh", {"refresh_token": ana.refresh_token})
        assert (await client.request("auth.renew", token=answer["access_token"]))["type"] == "ok"
        reply = await client.request("auth.renew", token=phone.account.token)
        ends = claims_of(phone.account.token)["exp"]
        assert reply["expires_at"] == rfc3339(1_000 * ends) >= told
        # From now on it speaks for the phone.
        await log_out(server, ana, ana)
        await client.refusal("unauthorized", "auth.renew", token=answer["access_token"])
        cart = await client.create()
        await log_out(server, phone, phone)
        assert await client.closed() == 4503
    async with connected(server, await sign_in(server, "token", email=ana.email)) as client:
        assert (await client.join(cart))["role"] == "owner"


async def test_a_token_is_renewed_before_it_ends_or_the_socket_closes(
    settings: Settings, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = Ahead(server, monkeypatch)
    renewed, left = [await sign_in(server, "token") for _ in range(2)]
    async with connected(server, renewed) as client, connected(server, left) as other:
        answer, _ = await post(server, "refresh", {"refresh_token": renewed.refresh_token})
        assert settings.jwt_secret is not None
        ends = claims_of(answer["access_token"])["exp"] + 600
        later = changed(settings.jwt_secret, answer["access_token"], exp=ends)
        await client.request("auth.renew", token=later)
        ahead.wall_s = settings.token_ttl_s + 1
        assert await other.closed() == 4502
        await client.request("ping")
        ahead.wall_s += 600
        assert await client.closed() == 4502
