"""Which stores a command works on: those configured, those of a running service, or its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from server.embedded import DataFolder, EmbeddedServices, FolderInUseError, running
from server.errors import UnusableError
from server.settings import Settings

STARTING_WAIT_S: Final = 15.0
POLL_S: Final = 0.1


@contextlib.asynccontextmanager
async def own_stores(settings: Settings, command: str) -> AsyncIterator[Settings]:
    """Settings with every address filled in; what isn't configured runs embedded meanwhile.

    Raises EmbeddedError, its kind FolderInUseError when another process holds the data folder.
    """
    settings = _with_secret(settings)
    if settings.mongodb_url is not None and settings.redis_url is not None:
        yield settings
        return
    async with EmbeddedServices(
        settings.data,
        command=command,
        store=settings.mongodb_url is None,
        cache=settings.redis_url is None,
    ) as services:
        yield _filled(settings, services.mongodb_url, services.redis_url)


@contextlib.asynccontextmanager
async def open_stores(settings: Settings, command: str) -> AsyncIterator[Settings]:
    """As `own_stores`, but what a `cartroom serve` on the same data folder runs is shared.

    One that is just starting is waited for.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STARTING_WAIT_S
    while True:
        shared = _shared(settings)
        if shared is not None:
            yield shared
            return
        try:
            async with contextlib.AsyncExitStack() as entering:
                own = await entering.enter_async_context(own_stores(settings, command))
                exits = entering.pop_all()
        except FolderInUseError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(POLL_S)
            continue
        async with exits:
            yield own
        return


async def shared_stores(settings: Settings) -> Settings:
    """Settings with every address filled in, of servers that others run.

    A `cartroom serve` on the same data folder may; one that is just starting is waited for.
    Raises UnusableError when nobody runs what isn't configured.
    """
    if settings.mongodb_url is not None and settings.redis_url is not None:
        return _with_secret(settings)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STARTING_WAIT_S
    while (shared := _shared(settings)) is None:
        if loop.time() > deadline:
            raise UnusableError(
                f"No `cartroom serve` runs on the data folder {settings.data}. Start it first, or"
                " set MONGODB_URL and REDIS_URL."
            )
        await asyncio.sleep(POLL_S)
    return shared


def _shared(settings: Settings) -> Settings | None:
    """The settings filled from a service that runs on the data folder; None if none will do."""
    endpoints = running(settings.data)
    if endpoints is None or endpoints.command != "serve":
        return None
    if settings.mongodb_url is None and endpoints.mongodb_url is None:
        return None
    if settings.redis_url is None and endpoints.redis_url is None:
        return None
    return _filled(_with_secret(settings), endpoints.mongodb_url, endpoints.redis_url)


def _with_secret(settings: Settings) -> Settings:
    if settings.jwt_secret is not None:
        return settings
    return replace(settings, jwt_secret=DataFolder(settings.data).secret())


def _filled(settings: Settings, mongodb_url: str | None, redis_url: str | None) -> Settings:
    journal = settings.journal
    if settings.mongodb_url is None and journal is None:
        # On the embedded store `j` is an fsync a document, at a quarter of the speed.
        journal = False
    return replace(
        settings,
        mongodb_url=settings.mongodb_url or mongodb_url,
        redis_url=settings.redis_url or redis_url,
        journal=journal,
    )
