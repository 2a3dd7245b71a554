"""One-time links that were mailed, one document a purpose and user.

`{_id: "<purpose>:<user>", hash, expires_at, used_by, v}`; `hash` is that of the link's secret,
`expires_at` milliseconds since the epoch, `used_by` names the request that has used it up. A new
link takes the place of the one before, so that one at a time is good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from storage.mongo import Database, Index

COLLECTION: Final = "links"
FORMAT_VERSION: Final = 1

INDEXES: Final[tuple[Index, ...]] = ()
"""None but `_id`."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is stored."""

    hash: str
    expires_at: int
    used: bool


class Links:
    """The links of a database. What the driver raises when the store is away passes through."""

    def __init__(self, database: Database) -> None:
        self._links = database.collection(COLLECTION)

    async def put(self, purpose: str, user: str, digest: str, expires_at: int) -> None:
        """Store a link; the one that was there before is good no more."""
        link = {"hash": digest, "expires_at": expires_at, "used_by": None, "v": FORMAT_VERSION}
        for last in (False, True):
            try:
                # The embedded store gives what a replace_one adds an id of its own.
                await self._links.update_one(
                    {"_id": _id(purpose, user)}, {"$set": link}, upsert=True
                )
            except DuplicateKeyError:
                if last:  # two at once have both tried to add it; the second time it is there
                    raise
            else:
                return

    async def get(self, purpose: str, user: str) -> Link | None:
        """The link, used or not, or None where none was ever mailed."""
        found = await self._links.find_one({"_id": _id(purpose, user)})
        if found is None:
            return None
        return Link(found["hash"], found["expires_at"], found["used_by"] is not None)

    async def use(self, purpose: str, user: str, digest: str, request: str) -> bool:
        """Use the link up: true for one `request` and no other.

        A lost answer is asked for once more.
        """
        unused = {"_id": _id(purpose, user), "hash": digest, "used_by": None}
        mark = {"$set": {"used_by": request}}
        try:
            result = await self._links.update_one(unused, mark)
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            result = await self._links.update_one(unused, mark)
        if result.matched_count == 1:
            return True
        found = await self._links.find_one({"_id": _id(purpose, user)})
        return found is not None and found["used_by"] == request

    async def delete_of(self, user: str, purposes: Iterable[str]) -> None:
        """Remove a user's links."""
        for purpose in purposes:
            await self._links.delete_one({"_id": _id(purpose, user)})


def _id(purpose: str, user: str) -> str:
    return f"{purpose}:{user}"
