"""Documents that carry what has still to be told of them: an outbox in each.

Whoever changes one sets `unsent` to all the places that are to be told, and raises `version` in
the same update. Who has told a place takes it out of `unsent`, only if the version is still the one
that was told. The last one takes the field away, and with it what was kept for telling. Places are
apart: one that is late, or that nobody tells, doesn't hold up the other.

`told_<place>` is up to which of its changes (`changes`, where it counts them) a place was told,
while the other one hasn't been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Final

from pymongo import DeleteOne, UpdateOne

from storage.mongo import Collection

UNSENT: Final = "unsent"
CHANGES: Final = "changes"


class Place(IntFlag):
    """Who is told. `unsent` is stored as the sum of those that haven't been."""

    NONE = 0
    RELAY = 1
    WEBHOOKS = 2
    ALL = 3

    @property
    def told(self) -> str:
        """The field that says up to where this one was told."""
        return f"told_{(self.name or '').lower()}"


@dataclass(frozen=True, slots=True)
class Unsent:
    """A document as it is to be told. `told`: up to which change its place has been before."""

    id: str
    version: int
    document: dict[str, Any]
    told: int = 0


async def find_unsent(collection: Collection, place: Place, limit: int) -> list[Unsent]:
    """Some documents of which a place is to be told, at most `limit`, in no order."""
    found: dict[str, dict[str, Any]] = {}
    for value in (int(Place.ALL), int(place)):  # each an equality, which every server has quickly
        left = limit - len(found)
        if left > 0:
            # In one answer: see `mongo.by_ids`.
            cursor = collection.find({UNSENT: value}, batch_size=left + 1).limit(left)
            found.update({one["_id"]: one for one in await cursor.to_list(None)})
    return [
        Unsent(one["_id"], one["version"], one, one.get(place.told, 0)) for one in found.values()
    ]


async def clear(
    collection: Collection,
    place: Place,
    told: Sequence[Unsent],
    fields: Sequence[str] = (),
    *,
    remove: bool,
) -> None:
    """A place was told of documents at these versions.

    Those of which nobody else is to be told lose these fields, or go if `remove`. One that has
    changed since then stays to be told of.
    """
    if not told:
        return
    as_read = [_cleared(one, place, one.document[UNSENT], fields, remove) for one in told]
    result = await collection.bulk_write(as_read, ordered=False)
    if result.matched_count + result.deleted_count < len(told):
        # The other place may have been told meanwhile.
        alone = [
            _cleared(one, place, place, fields, remove)
            for one in told
            if one.document[UNSENT] != place
        ]
        if alone:
            await collection.bulk_write(alone, ordered=False)


def _cleared(
    one: Unsent, place: Place, unsent: int, fields: Sequence[str], remove: bool
) -> UpdateOne | DeleteOne:
    """What takes the place out of a document in which these are `unsent`."""
    selected = {"_id": one.id, "version": one.version, UNSENT: int(unsent)}
    others = unsent & ~place
    if others:
        change = {UNSENT: int(others)}
        if CHANGES in one.document:
            change[place.told] = one.document[CHANGES]
        return UpdateOne(selected, {"$set": change})
    if remove:
        return DeleteOne(selected)
    gone = (UNSENT, *(each.told for each in (Place.RELAY, Place.WEBHOOKS)), *fields)
    return UpdateOne(selected, {"$unset": dict.fromkeys(gone, "")})
