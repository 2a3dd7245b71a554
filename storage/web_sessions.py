"""What browsers' cookies stand for, one document a cookie.

`{_id: hash of the cookie's value, user, data, expires_at, v}`; `data` is JSON text, `expires_at`
milliseconds since the epoch. Whether somebody is still signed in is told by `sessions`, not here.
"""

from __future__ import annotations

from typing import Final

from storage.mongo import Database, Index

COLLECTION: Final = "web_sessions"
FORMAT_VERSION: Final = 1

INDEXES: Final[tuple[Index, ...]] = (Index(COLLECTION, "user"),)


class WebSessions:
    """Browsers' sessions. What the driver raises when the store is away passes through."""

    def __init__(self, database: Database) -> None:
        self._sessions = database.collection(COLLECTION)

    async def put(self, key: str, user: str, data: str, expires_at: int) -> None:
        """Store what `key` stands for, whatever it stood for before."""
        # Not `replace_one`: the embedded store would give the new document an `_id` of its own.
        document = {"user": user, "data": data, "expires_at": expires_at, "v": FORMAT_VERSION}
        await self._sessions.update_one({"_id": key}, {"$set": document}, upsert=True)

    async def get(self, key: str, now_ms: int) -> tuple[str, int] | None:
        """The data and until when it is good, or None where there is nothing (any more)."""
        found = await self._sessions.find_one({"_id": key})
        if found is None or found["expires_at"] <= now_ms:
            return None
        return found["data"], found["expires_at"]

    async def delete(self, key: str) -> None:
        await self._sessions.delete_one({"_id": key})

    async def of_user(self, user: str) -> dict[str, str]:
        """The data of a user's, those whose time is over included, by key."""
        found = await self._sessions.find({"user": user}, {"data": 1}).to_list(None)
        return {one["_id"]: one["data"] for one in found}

    async def delete_of(self, user: str) -> list[str]:
        """Remove all of a user's; returns their keys, for caches."""
        found = await self._sessions.find({"user": user}, {"_id": 1}).to_list(None)
        await self._sessions.delete_many({"user": user})
        return [one["_id"] for one in found]
