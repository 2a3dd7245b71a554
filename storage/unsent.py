"""Documents that carry what has still to be told of them: an outbox in each.

Whoever changes one sets `unsent` and raises `version` in the same update. Whoever tells of it
clears `unsent` only if the version is still the one that was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo import DeleteOne, UpdateOne

from storage.mongo import Collection

UNSENT: Final = "unsent"


@dataclass(frozen=True, slots=True)
class Unsent:
    """A document as it is to be told."""

    id: str
    version: int
    document: dict[str, Any]


async def find_unsent(collection: Collection, limit: int) -> list[Unsent]:
    """Some documents that are to be told of, at most `limit`, in no order."""
    # In one answer: see `mongo.by_ids`.
    cursor = collection.find({UNSENT: 1}, batch_size=limit + 1).limit(limit)
    return [Unsent(one["_id"], one["version"], one) for one in await cursor.to_list(None)]


async def clear(
    collection: Collection, told: Sequence[Unsent], fields: Sequence[str] = (), *, remove: bool
) -> None:
    """Documents were told of at these versions: clear these fields, too, or `remove` them.

    One that has changed since then stays to be told of.
    """
    writes: list[UpdateOne | DeleteOne] = []
    for one in told:
        selected = {"_id": one.id, "version": one.version}
        cleared = dict.fromkeys((UNSENT, *fields), "")
        writes.append(DeleteOne(selected) if remove else UpdateOne(selected, {"$unset": cleared}))
    if writes:
        await collection.bulk_write(writes, ordered=False)
