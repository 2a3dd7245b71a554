"""Look-ups by `_id` that go together: one query at a time, for all who asked meanwhile.

After a restart ten thousand clients come back within seconds. One by one their look-ups are most
of what the store does then; together they cost it about as much as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from storage.mongo import Collection, by_ids

IDS_PER_QUERY_MAX: Final = 500


class BatchedReads:
    """Finds documents of a collection. What comes back was read after it was asked for."""

    def __init__(self, collection: Collection, projection: Mapping[str, int] | None = None) -> None:
        self._collection = collection
        self._projection = projection
        self._waiting: dict[str, asyncio.Future[dict[str, Any] | None]] = {}
        self._work: asyncio.Task[None] | None = None

    async def find(self, identity: str) -> dict[str, Any] | None:
        """The document, not to be changed, or None. What the driver raises passes through."""
        # Others may wait for the same document: who gives up doesn't give up for them.
        return await asyncio.shield(self.ask(identity))

    def ask(self, identity: str) -> asyncio.Future[dict[str, Any] | None]:
        """The answer of `find` to come. It may be left alone; don't cancel it, others wait too."""
        future = self._waiting.get(identity)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[identity] = future
        if self._work is None:
            self._work = asyncio.create_task(self._read(), name="batched reads")
        return future

    async def _read(self) -> None:
        try:
            while self._waiting:
                await self._read_some()
        finally:
            self._work = None

    async def _read_some(self) -> None:
        ids = list(self._waiting)[:IDS_PER_QUERY_MAX]
        asked = {identity: self._waiting.pop(identity) for identity in ids}
        try:
            documents = await by_ids(self._collection, ids, self._projection)
            found = {one["_id"]: one for one in documents}
        except Exception as error:
            for future in asked.values():
                future.set_exception(error)
                future.exception()  # if nobody waits for it any more, it is of no interest
        else:
            for identity, future in asked.items():
                future.set_result(found.get(identity))
