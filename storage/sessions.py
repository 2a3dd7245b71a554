"""Sign-ins, one document a device.

`{_id: "ses_…", user, epoch, kind, device, created_at, used_at, expires_at, ended_at, salt,
generation, rotated_at, v}`. Times are milliseconds since the epoch. A session counts while it is
here, not ended, not past its time, and its `epoch` is its user's or its user has `kept` it. It
holds nothing that opens a door: refresh tokens are made from `salt`, `generation` and a key that
isn't here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from storage.batched import BatchedReads
from storage.mongo import Database, Index, by_ids

COLLECTION: Final = "sessions"
FORMAT_VERSION: Final = 1
IDS_PER_QUERY_MAX: Final = 500

INDEXES: Final[tuple[Index, ...]] = (Index(COLLECTION, "user"),)


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A sign-in. `kind` is `token` or `cookie`; `generation` counts refresh tokens."""

    id: str
    user: str
    epoch: int
    kind: str
    device: str
    created_at: int
    used_at: int
    expires_at: int
    ended_at: int | None = None
    salt: str = ""
    generation: int = 0
    rotated_at: int = 0


class SessionRecords:
    """The sign-ins of a database. What the driver raises when the store is away passes through."""

    def __init__(self, database: Database) -> None:
        self._sessions = database.collection(COLLECTION)
        self._reads = BatchedReads(self._sessions)

    async def insert(self, record: SessionRecord) -> None:
        """Add a sign-in. A lost answer is asked for once more."""
        try:
            await self._insert_once(record)
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            await self._insert_once(record)

    async def insert_many(self, records: Sequence[SessionRecord]) -> None:
        """Add many at once: for benchmarks and replays."""
        await self._sessions.insert_many([_document(record) for record in records])

    async def find(self, session: str) -> SessionRecord | None:
        found = await self._reads.find(session)
        return None if found is None else _record(found)

    async def find_many(self, sessions: Sequence[str]) -> list[SessionRecord]:
        """Those of these that there are, in no order."""
        records: list[SessionRecord] = []
        for start in range(0, len(sessions), IDS_PER_QUERY_MAX):
            part = sessions[start : start + IDS_PER_QUERY_MAX]
            records.extend(_record(found) for found in await by_ids(self._sessions, part))
        return records

    async def of_user(self, user: str) -> list[SessionRecord]:
        """All of a user's, ended ones included, the one used last first."""
        found = await self._sessions.find({"user": user}).to_list(None)
        return sorted((_record(one) for one in found), key=lambda one: (-one.used_at, one.id))

    async def rotate(self, session: str, generation: int, now_ms: int, expires_at: int) -> bool:
        """Go on to the next refresh token. False unless `generation` is the current one."""
        result = await self._sessions.update_one(
            {"_id": session, "generation": generation, "ended_at": None},
            {
                "$set": {"rotated_at": now_ms, "used_at": now_ms, "expires_at": expires_at},
                "$inc": {"generation": 1},
            },
        )
        return result.matched_count == 1

    async def touch(self, session: str, now_ms: int, expires_at: int) -> None:
        """Note that the device was used."""
        await self._sessions.update_one(
            {"_id": session, "ended_at": None},
            {"$set": {"used_at": now_ms, "expires_at": expires_at}},
        )

    async def end(self, session: str, user: str, now_ms: int) -> bool:
        """End a sign-in of this user. False when they have none of this id; twice is fine."""
        result = await self._sessions.update_one(
            {"_id": session, "user": user}, {"$set": {"ended_at": now_ms}}
        )
        return result.matched_count == 1

    async def delete(self, session: str) -> None:
        """Forget a sign-in, for which it is no more than ended."""
        await self._sessions.delete_one({"_id": session})

    async def delete_of(self, user: str) -> None:
        """Forget all sign-ins of a user."""
        await self._sessions.delete_many({"user": user})

    async def _insert_once(self, record: SessionRecord) -> None:
        try:
            await self._sessions.insert_one(_document(record))
        except DuplicateKeyError:
            return  # ids are random: it is our own, from before the lost answer


def _document(record: SessionRecord) -> dict[str, Any]:
    document = asdict(record)
    document["_id"] = document.pop("id")
    document["v"] = FORMAT_VERSION
    return document


def _record(document: dict[str, Any]) -> SessionRecord:
    fields = {name: value for name, value in document.items() if name not in ("_id", "v")}
    return SessionRecord(id=document["_id"], **fields)
