"""Instances in this process, each with a way of its own to the store that a test can harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from server.settings import Settings
from tests.client import Server, running_server
from tests.faults import FaultProxy, proxy_of
from tests.helpers import PATIENCE_S


@dataclass
class Place:
    """An instance, and its way to the store."""

    server: Server
    store: FaultProxy


@asynccontextmanager
async def places(
    settings: Settings, mongodb_url: str, count: int, *, commit_timeout_s: float = PATIENCE_S
) -> AsyncIterator[list[Place]]:
    async with AsyncExitStack() as exits:
        found = []
        for _ in range(count):
            store = await exits.enter_async_context(proxy_of(mongodb_url))
            restless = replace(
                settings,
                mongodb_url=store.url,
                commit_timeout_s=commit_timeout_s,
                catch_up_every_s=0.5,
                snapshot_every_s=0.5,
                room_idle_s=0.3,
            )
            server = await exits.enter_async_context(running_server(restless))
            found.append(Place(server, store))
        yield found
