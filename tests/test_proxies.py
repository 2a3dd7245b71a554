"""Who is at the other end, told by proxies: those named are believed, anybody else is not."""

from __future__ import annotations

import ipaddress
import logging
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from handlers.peers import peer_of
from server.app import create_app

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
async def ask(module_settings):
    """A function that makes a request behind trusted networks; what the service takes it for."""

    async def show(request):
        peer = peer_of(request)
        return web.json_response([peer.address, peer.secure])

    servers = {}
    async with AsyncExitStack() as exits:

        async def ask(trusted, headers):
            if tuple(trusted) not in servers:
                networks = tuple(ipaddress.ip_network(text) for text in trusted)
                app = create_app(replace(module_settings, trusted_proxies=networks))
                app.router.add_get("/peer", show)
                client = TestClient(TestServer(app))
                servers[tuple(trusted)] = await exits.enter_async_context(client)
            response = await servers[tuple(trusted)].get("/peer", headers=headers)
            return tuple(await response.json())

        yield ask


def forwarded(*values, proto=None):
    protos = [] if proto is None else [("X-Forwarded-Proto", proto)]
    return [*(("X-Forwarded-For", value) for value in values), *protos]


@pytest.mark.parametrize(
    ("trusted", "headers", "expected"),
    [
        # Nobody is trusted unless named.
        ([], forwarded("192.0.2.1", proto="https"), (HERE, False)),
        (["10.0.0.0/8"], forwarded("192.0.2.1", proto="https"), (HERE, False)),
        (["::1"], forwarded("192.0.2.1", proto="https"), (HERE, False)),
        # The right-most that isn't a proxy of ours; further left anybody may have written.
        ([HERE], forwarded("192.0.2.1"), ("192.0.2.1", False)),
        ([HERE], forwarded("6.6.6.6, 192.0.2.1"), ("192.0.2.1", False)),
        ([HERE], forwarded("6.6.6.6", "192.0.2.1"), ("192.0.2.1", False)),
        ([HERE], forwarded("6.6.6.6, 127.0.0.1, 192.0.2.1"), ("192.0.2.1", False)),
        ([HERE, "10.0.0.0/8"], forwarded("6.6.6.6, 192.0.2.1, 10.1.2.3"), ("192.0.2.1", False)),
        ([HERE, "10.0.0.0/8"], forwarded("10.9.9.9, 10.1.2.3"), ("10.9.9.9", False)),
        ([HERE], [], (HERE, False)),
        ([HERE], forwarded(""), (HERE, False)),
        # As proxies write addresses.
        ([HERE], forwarded("192.0.2.1:4711"), ("192.0.2.1", False)),
        ([HERE], forwarded("2001:db8::1"), ("2001:db8::1", False)),
        ([HERE], forwarded("[2001:db8::1]:4711"), ("2001:db8::1", False)),
        ([HERE], forwarded('"[2001:db8::1]"'), ("2001:db8::1", False)),
        ([HERE], forwarded("::ffff:192.0.2.1"), ("192.0.2.1", False)),
        ([HERE], forwarded("fe80::1%eth0"), ("fe80::1", False)),
        # Garbage ends what can be relied on.
        ([HERE], forwarded("unknown"), (HERE, False)),
        ([HERE], forwarded("192.0.2.1, _hidden"), (HERE, False)),
        ([HERE], forwarded("_hidden, 192.0.2.1"), ("192.0.2.1", False)),
        ([HERE, "10.0.0.0/8"], forwarded("192.0.2.1, x y, 10.1.2.3"), ("10.1.2.3", False)),
        ([HERE], forwarded(", ,192.0.2.1,,"), ("192.0.2.1", False)),
        ([HERE], forwarded("1" * 4000), (HERE, False)),
        ([HERE], forwarded("999.1.1.1"), (HERE, False)),
        # The scheme, of the proxy that saw the client.
        ([HERE], forwarded("192.0.2.1", proto="https"), ("192.0.2.1", True)),
        ([HERE], forwarded("192.0.2.1", proto="HTTPS"), ("192.0.2.1", True)),
        ([HERE], forwarded("192.0.2.1", proto="wss"), ("192.0.2.1", True)),
        ([HERE], forwarded("192.0.2.1", proto="httpsx"), ("192.0.2.1", False)),
        ([HERE], forwarded("192.0.2.1", proto="https, http"), ("192.0.2.1", False)),
        (
            [HERE, "10.0.0.0/8"],
            forwarded("192.0.2.1, 10.1.2.3", proto="https, http"),
            ("192.0.2.1", True),
        ),
        (
            [HERE, "10.0.0.0/8"],
            forwarded("192.0.2.1, 10.1.2.3", proto="https"),
            ("192.0.2.1", True),
        ),
        ([HERE], forwarded(proto="https"), (HERE, True)),
        # Other ways to say it are not believed of anybody.
        ([HERE], [("Forwarded", "for=192.0.2.1;proto=https")], (HERE, False)),
        ([HERE], [("X-Real-IP", "192.0.2.1"), ("X-Client-IP", "192.0.2.1")], (HERE, False)),
    ],
)
async def test_who_is_at_the_other_end(ask, trusted, headers, expected):
    assert await ask(trusted, headers) == expected


async def test_a_proxy_that_is_not_named_is_told_of_once(settings, aiohttp_client, caplog):
    client = await aiohttp_client(create_app(settings))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await client.get("/api/v1/catalog/products", headers=forwarded("192.0.2.1"))
    (told,) = [line for line in caplog.messages if "CARTROOM_TRUSTED_PROXIES" in line]
    assert "127.0.0.1" not in told
    assert "192.0.2" not in told
