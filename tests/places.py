"""Instances in this process, each with a way of its own to the store that a test can harm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
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


@contextmanager
def patient(places: Sequence[Place]) -> Iterator[None]:
    """Commits meanwhile may take as long as a slow machine needs."""
    all_services = [place.server.hub.services for place in places]
    before = [services.timing for services in all_services]
    for services in all_services:
        services.timing = replace(services.timing, commit_timeout_s=PATIENCE_S)
    try:
        yield
    finally:
        for services, timing in zip(all_services, before, strict=True):
            services.timing = timing
        for place in places:
            for room in place.server.hub.open_rooms():
                room._watching = False  # it looks at the times as seldom as they were long
