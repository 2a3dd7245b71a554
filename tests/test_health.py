"""What a supervisor sees: alive, ready, metrics."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from handlers import keys
from server.app import create_app
from storage.mongo import Database
from tests.helpers import PATIENCE_S, eventually, steady_port
from tests.proxy import TcpProxy


async def ready(client):
    response = await client.get("/readyz")
    return response.status, await response.json()


def state(status, store="up", redis="up"):
    return {"status": status, "dependencies": {"store": store, "redis": redis}}


async def series(client):
    """The metrics: value by series."""
    text = await (await client.get("/metrics")).text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What is slow to answer isn't down."""
    monkeypatch.setattr("handlers.health.PROBE_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr("server.app.REDIS_TIMEOUT_S", PATIENCE_S)


async def test_alive_and_ready(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    response = await client.get("/healthz")
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert set(await response.json()) == {"status", "version"}
    assert await ready(client) == (200, state("ready"))


async def test_without_redis_it_is_degraded_and_serves(settings, redis_url, aiohttp_client):
    async with TcpProxy(urlsplit(redis_url).port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        client = await aiohttp_client(create_app(replace(settings, redis_url=url)))
        assert await ready(client) == (200, state("ready"))
        await proxy.cut()
        assert await ready(client) == (200, state("degraded", redis="down"))
        await proxy.restore()
        await eventually(lambda: is_ready(client))
        await client.close()


async def test_it_starts_without_redis(settings, aiohttp_client):
    url = f"redis://127.0.0.1:{steady_port()}/0"
    client = await aiohttp_client(create_app(replace(settings, redis_url=url)))
    assert await ready(client) == (200, state("degraded", redis="down"))


async def test_without_the_store_it_is_alive_and_not_ready(settings, mongodb_url, aiohttp_client):
    async with TcpProxy(urlsplit(mongodb_url).port) as proxy:
        url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        client = await aiohttp_client(create_app(replace(settings, mongodb_url=url)))
        await proxy.cut()
        assert await ready(client) == (503, state("unavailable", store="down"))
        assert (await client.get("/healthz")).status == 200
        await proxy.restore()
        await eventually(lambda: is_ready(client))
        await client.close()


async def is_ready(client):
    return await ready(client) == (200, state("ready"))


async def test_a_dependency_that_hangs_is_down(settings, aiohttp_client, monkeypatch):
    monkeypatch.setattr("handlers.health.PROBE_TIMEOUT_S", 5.0)  # enough for Redis
    client = await aiohttp_client(create_app(settings))

    async def hang(_):
        await asyncio.Event().wait()

    monkeypatch.setattr(Database, "ping", hang)
    async with asyncio.timeout(PATIENCE_S):
        assert await ready(client) == (503, state("unavailable", store="down"))


async def test_who_drains_is_not_ready(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    client.app[keys.DRAINING].set()
    assert await ready(client) == (503, state("draining"))


async def test_shutting_down_begins_with_draining(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    await client.app.shutdown()
    assert await ready(client) == (503, state("draining"))


async def test_metrics_count_requests_by_route(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    for path in ("/problems/conflict", "/problems/nothing", "/nothing", "/else?x=1", "/problems/x"):
        await client.get(path)
    await client.request("PROPFIND", "/nothing")

    found = await series(client)
    name = "cartroom_http_requests_total"
    assert found[f'{name}{{method="GET",route="/problems/{{code}}",status="200"}}'] == 1
    assert found[f'{name}{{method="GET",route="/problems/{{code}}",status="404"}}'] == 2
    assert found[f'{name}{{method="GET",route="unmatched",status="404"}}'] == 2
    assert found[f'{name}{{method="other",route="unmatched",status="404"}}'] == 1
    latency = "cartroom_http_request_seconds_count"
    assert found[f'{latency}{{method="GET",route="/problems/{{code}}"}}'] == 3
    assert found["cartroom_http_requests_in_flight"] == 1, "the one that asks"


async def test_metrics_tell_of_process_memory_and_rooms(settings, aiohttp_client):
    client = await aiohttp_client(create_app(settings))
    found = await series(client)
    assert found["process_resident_memory_bytes"] > 0
    assert 'python_gc_collections_total{generation="2"}' in found
    assert found["cartroom_rooms"] == 0


async def test_two_applications_count_apart(settings, aiohttp_client):
    first = await aiohttp_client(create_app(settings))
    second = await aiohttp_client(create_app(settings))
    await first.get("/healthz")
    name = 'cartroom_http_requests_total{method="GET",route="/healthz",status="200"}'
    assert name in await series(first)
    assert name not in await series(second)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/plain", "text/plain"),
        ("application/openmetrics-text", "application/openmetrics-text"),
    ],
)
async def test_metrics_come_in_the_format_asked_for(settings, aiohttp_client, accept, kind):
    client = await aiohttp_client(create_app(settings))
    response = await client.get("/metrics", headers={"Accept": accept})
    assert response.content_type == kind
