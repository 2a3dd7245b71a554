"""Work that an instance does at start and from then on regularly, whoever else does it, too."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from storage.mongo import StoreError

EVERY_S: Final = 30.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def upkeep(
    work: Mapping[str, Callable[[], Awaitable[None]]], every_s: float = EVERY_S
) -> AsyncIterator[None]:
    """Do each of `work`, named for the logs, again and again until the end of the block."""
    task = asyncio.create_task(_go_on(work, every_s), name="upkeep")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _go_on(work: Mapping[str, Callable[[], Awaitable[None]]], every_s: float) -> None:
    while True:
        for name, do in work.items():
            try:
                await do()
            except StoreError as error:
                log.warning("Upkeep waits for the store: %s (%s)", name, type(error).__name__)
            except Exception:
                log.exception("Upkeep failed: %s", name)
        # Instances that start together spread out.
        await asyncio.sleep(every_s * (0.5 + random.random()))  # noqa: S311
