"""Background tasks that are neither lost nor silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """Holds tasks until they end, logs what they raise, cancels what is left at the stop.

    What a timer or an ending task starts after that is cancelled before it begins.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lasting: set[asyncio.Task[Any]] = set()
        self._stopped = False

    def start(
        self, work: Coroutine[Any, Any, Any], name: str, *, lasting: bool = False
    ) -> asyncio.Task[Any]:
        """Have `work` done. A `lasting` one is not expected to end before the stop."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        if lasting:
            self._lasting.add(task)
        task.add_done_callback(self._ended)
        if self._stopped:
            task.cancel()
        return task

    async def settled(self) -> None:
        """Return once what is under way now has ended, save what lasts."""
        under_way = self._tasks - self._lasting
        if under_way:
            await asyncio.wait(under_way)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._lasting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("Task %s failed", task.get_name(), exc_info=task.exception())

    async def stop(self) -> None:
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
