"""Who is to be mailed about changes, and when: one document a user, for as long as that is open.

`{_id: <user>, due, noted, lease, claim, tries, mailed_at}`. `due` is when to look at what there is
to mail. `noted` rises with everything that is to be looked at, so that whoever has looked can tell
whether something has come in the meantime. `lease` is until when the one who has the `claim` is
left alone. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "mail_due"
INDEXES: Final = (Index(COLLECTION, "due"),)


@dataclass(frozen=True, slots=True)
class Due:
    """`tries` of sending in a row have failed. `mailed_at` is when the last mail left, or 0."""

    user: str
    due: int
    noted: int
    lease: int
    tries: int
    mailed_at: int


class MailDue:
    """Methods raise PyMongoError when the store is away; then ask again."""

    def __init__(self, database: Database) -> None:
        self._due: Collection = database.collection(COLLECTION)

    async def note(self, user: str, due: int) -> None:
        """Have somebody look, at `due` or before. More often is as once."""
        change = {
            "$min": {"due": due},
            "$inc": {"noted": 1},
            "$setOnInsert": {"lease": 0, "tries": 0, "mailed_at": 0},
        }
        try:
            await self._due.update_one({"_id": user}, change, upsert=True)
        except DuplicateKeyError:  # two have both tried to add it
            await self._due.update_one({"_id": user}, change, upsert=True)

    async def due_by(self, now: int, limit: int) -> list[Due]:
        """Those that are due and that nobody has claimed, at most `limit`, in no order."""
        query = {"due": {"$lte": now}, "lease": {"$lte": now}}
        # In one answer: see `mongo.by_ids`.
        cursor = self._due.find(query, limit=limit, batch_size=limit + 1)
        return [_due(one) for one in await cursor.to_list(None)]

    async def claim(self, due: Due, claim: str, until: int) -> bool:
        """Be the one who sees to it, until then; False where another is, or was since.

        A lost answer is asked for once more.
        """
        # By `due`, too: one who has seen to it meanwhile leaves the others as they were.
        as_seen = {"_id": due.user, "due": due.due, "noted": due.noted, "lease": due.lease}
        change = {"$set": {"lease": until, "claim": claim}}
        try:
            result = await self._due.update_one(as_seen, change)
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            await self._due.update_one(as_seen, change)
            found = await self._due.find_one({"_id": due.user})
            return found is not None and found.get("claim") == claim
        return result.matched_count == 1

    async def settle(self, due: Due, claim: str, then: int | None, **fields: int) -> None:
        """Give the claim back: look again at `then`, or not until something is noted.

        What has been noted since the claim is looked at at once. `fields` are set, too. Without
        effect for who has the claim no more.
        """
        unchanged = {"_id": due.user, "claim": claim, "noted": due.noted}
        given_back: dict[str, Any] = {"lease": 0, "claim": None, **fields}
        if then is None:
            result = await self._due.delete_one(unchanged)
            if result.deleted_count:
                return
        else:
            change = {"$set": {**given_back, "due": then}}
            if (await self._due.update_one(unchanged, change)).matched_count:
                return
        await self._due.update_one(
            {"_id": due.user, "claim": claim}, {"$set": {**given_back, "due": 0}}
        )

    async def forget(self, user: str) -> None:
        """Remove what there is of a user."""
        await self._due.delete_one({"_id": user})


def _due(document: dict[str, Any]) -> Due:
    return Due(
        document["_id"],
        document["due"],
        document["noted"],
        document["lease"],
        document["tries"],
        document["mailed_at"],
    )
