"""An orderly stop: what is under way ends first, and nothing outlives what it works on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientError
from pymongo.errors import AutoReconnect
from redis.asyncio import Redis

from commerce.catalog.service import Catalog
from server import lifecycle
from server.app import drain
from server.settings import Settings
from storage.mongo import Database
from storage.seen import Seen
from tests.client import running_server
from tests.helpers import PATIENCE_S, eventually
from tests.stage import Stage, turns


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop waits for what is under way for as long as a slow machine may take."""
    monkeypatch.setattr("realtime.hub.LAST_WORK_S", PATIENCE_S)


async def ends_soon(task: asyncio.Task[None]) -> bool:
    """Whether it ends though nothing lets it: the longer this waits, the surer it finds out."""
    done, _ = await asyncio.wait([task], timeout=0.3)
    return bool(done)


async def test_a_snapshot_that_is_being_stored_is_waited_for(patient: None) -> None:
    """A timer has begun it; the one that draining stores overtakes it."""
    async with Stage(snapshot_every_s=0.0) as stage:
        save, go, begun, stored = stage.carts.save, asyncio.Event(), 0, 0

        async def the_first_is_held(snapshot: Any) -> bool:
            nonlocal begun, stored
            begun += 1
            if begun == 1:
                await go.wait()
            stored += 1
            return await save(snapshot)

        stage.carts.save = the_first_is_held  # type: ignore[method-assign]
        ana = await stage.connect()
        await ana.create()
        await eventually(lambda: begun == 1, what="a snapshot begun by a timer")
        stopping = asyncio.create_task(stage.hub.drain(PATIENCE_S))
        await eventually(lambda: begun == 2, what="the one of draining")
        ana.session.on_closed()
        stage.hub.remove_session(ana.session)
        ended_early = await ends_soon(stopping)
        go.set()
        await stopping
        assert not ended_early
        assert stored == 2


async def test_after_the_stop_nothing_is_stored_any_more() -> None:
    """The store fails, so a snapshot is tried again and again: not once its client may be closed.

    The service closed, and tried for ever after.
    """
    async with Stage(snapshot_every_s=0.0) as stage:
        tried = 0

        async def fail(_snapshot: Any) -> bool:
            nonlocal tried
            tried += 1
            raise AutoReconnect("away")

        stage.carts.save = fail  # type: ignore[method-assign]
        ana = await stage.connect()
        await ana.create()
        await eventually(lambda: tried > 2, what="snapshots that fail")
        await stage.hub.stop()
        until_then = tried
        await turns(100)
        assert tried == until_then


async def test_a_commit_that_has_not_left_stays_here_after_the_stop() -> None:
    async with Stage() as stage:
        ana = await stage.connect()
        cart = await ana.create()
        ana.rename(cart, "Too late")
        await stage.hub.stop()
        await turns(100)
        assert [entry["op"]["kind"] for entry in stage.store.entries(cart)] == ["create"]


async def test_who_has_seen_what_is_stored_when_the_stop_comes_while_it_is_being_stored(
    settings: Settings, database: Database, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, go, held = Seen.note, asyncio.Event(), 0

    async def note_when_let(self: Seen, seen: Any) -> None:
        nonlocal held
        held += not go.is_set()
        await go.wait()
        await note(self, seen)

    monkeypatch.setattr(Seen, "note", note_when_let)
    go.set()
    async with running_server(replace(settings, seen_every_s=0.05)) as server:
        owner, other = await server.account(), await server.account()
        async with server.connect(owner) as client:
            cart = await client.create()
            await client.share(cart, other)

            async def has_seen(rev: int) -> bool:
                await client.request("ping")
                return await Seen(database).of_cart(cart) == {owner.user: rev}

            await eventually(lambda: has_seen(2), what="what was seen to be stored")
            go.clear()
            await client.op(cart, "clear")
        await eventually(lambda: held, what="what was seen last to be on its way")
        stopping = asyncio.create_task(drain(server.app))
        ended_early = await ends_soon(stopping)
        go.set()
        await stopping
        assert not ended_early
    assert await Seen(database).of_cart(cart) == {owner.user: 3}


async def test_a_request_that_does_not_end_keeps_nothing_from_being_closed(
    settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the others went on with an instance that was gone, until its lease had ended."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def get(_self: Catalog, _sku: str) -> None:
        asked.set()
        await go.wait()

    monkeypatch.setattr(Catalog, "get", get)
    monkeypatch.setattr(lifecycle, "CLOSING_S", 0.2)
    monkeypatch.setattr(lifecycle, "CUT_OFF_S", PATIENCE_S)
    async with running_server(settings, may_log_errors=True) as server:
        url = f"{server.url}/api/v1/catalog/products/NONE"
        request = asyncio.create_task(server.http.get(url))
        await asked.wait()
        instances = f"cartroom:{settings.mongodb_database}:instances"
        async with Redis.from_url(redis_url) as redis:
            assert await redis.zcard(instances) == 1
            await lifecycle.close(server.runner, drain_s=0.1)
            assert await redis.zcard(instances) == 0
        with pytest.raises(ClientError):
            await request
        go.set()
        await eventually(lambda: not server.runner.server.connections, what="the request's end")
