"""What goes to webhooks' endpoints: one document a delivery, one a lane that has any waiting.

A delivery is `{_id: "<endpoint>:<message>", endpoint, message, place, lane, turn, sequence, type,
key, time_ms, data, status, attempts, tries, created_at, give_up_at, next_at, done_at, last, v}`.
`message` is the same for an event at all endpoints and whenever it is sent. `place` is `<endpoint>:
<when it was made>:<number>:<part of message>`, by which an endpoint's are read in order. `lane` is
`<endpoint>:<hash of the stream>`: those of one lane go out one after the other. `turn`, `<lane>:
<sequence>`, is there only while it waits. `attempts` are all there have been, `tries` those since
it was last put in line. `data` is JSON text.

A lane is `{_id: lane, due, mark, claim}`. `due` is `<endpoint>:<when>`: whoever moves it on has
the lane until then. `mark` is another one whenever something was put in line, so that a lane is
never removed over a delivery that has just come.

Every read is by `_id` or by a range of one index (`place`, `turn`, `due`), which every
MongoDB-compatible server answers from it; counting is not.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection as Some
from collections.abc import Sequence
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from storage.mongo import Collection, Database, Index, NotDurableError, by_ids
from storage.webhook_documents import (
    NOBODYS,
    WAITING,
    Answer,
    Delivery,
    Lane,
    Message,
    beginning,
    delivery_id,
    delivery_of,
    new_document,
    padded,
    turn_in,
)

DELIVERIES: Final = "webhook_deliveries"
LANES: Final = "webhook_lanes"
INDEXES: Final = (
    Index(DELIVERIES, "place"),
    Index(DELIVERIES, "turn"),
    Index(LANES, "due"),
)
DUPLICATE_KEY: Final = 11_000
INSERTS_MAX: Final = 5


class WebhookDeliveries:
    """Methods raise PyMongoError when the store is away. Repeating any has no further effect."""

    def __init__(self, database: Database) -> None:
        self._deliveries: Collection = database.collection(DELIVERIES)
        self._lanes: Collection = database.collection(LANES)

    # Putting in line

    async def put(
        self, wanted: Sequence[tuple[str, Message]], now_ms: int, give_up_at: int
    ) -> None:
        """Put messages in line for endpoints, but those that have been before.

        They are stored in one go, and durable when this returns.
        """
        documents = [
            new_document(endpoint, message, number, now_ms, give_up_at)
            for number, (endpoint, message) in enumerate(wanted)
        ]
        await self._insert(documents)
        await self._mark({one["lane"]: one["endpoint"] for one in documents}, now_ms)

    async def _insert(self, documents: list[dict[str, Any]]) -> None:
        """Insert those that aren't there, in their order: nobody sees one before those ahead."""
        for _ in range(INSERTS_MAX):
            try:
                await self._deliveries.insert_many(documents, ordered=True)
            except BulkWriteError as error:
                codes = {one["code"] for one in error.details["writeErrors"]}
                if error.details.get("writeConcernErrors") or codes != {DUPLICATE_KEY}:
                    raise
            else:
                return
            found = await by_ids(self._deliveries, [one["_id"] for one in documents], {"_id": 1})
            there = {one["_id"] for one in found}
            documents = [one for one in documents if one["_id"] not in there]
            if not documents:
                return
        # What is there may be of an earlier attempt that no majority has yet.
        raise NotDurableError("Deliveries are there, but not yet durably so")

    async def _mark(self, lanes: dict[str, str], now_ms: int) -> None:
        """Note that something waits in these lanes (by id, with their endpoints)."""
        writes = [
            UpdateOne(
                {"_id": lane},
                {
                    "$set": {"mark": secrets.token_hex(8)},
                    "$setOnInsert": {"due": f"{endpoint}:{padded(now_ms)}", "claim": NOBODYS},
                },
                upsert=True,
            )
            for lane, endpoint in lanes.items()
        ]
        try:
            await self._lanes.bulk_write(writes, ordered=False)
        except BulkWriteError:
            # Most likely somebody made the same lane between look and insert, which not every
            # server says by a code. Now it is there to be marked.
            await self._lanes.bulk_write(writes, ordered=False)

    # Lanes

    async def due(self, endpoint: str, now_ms: int, limit: int) -> list[tuple[str, str]]:
        """At most `limit` lanes of the endpoint that are due, the longest first: id and `due`."""
        span = {"$gt": f"{endpoint}:", "$lte": f"{endpoint}:{padded(now_ms)}"}
        cursor = self._lanes.find({"due": span}, {"due": 1}, batch_size=limit + 1)
        return [(one["_id"], one["due"]) async for one in cursor.sort("due", 1).limit(limit)]

    async def claim(self, lane: str, due: str, until_ms: int) -> Lane | None:
        """Take the lane, which was seen `due` so, until then. None if another has it, or none."""
        endpoint, claim = lane.partition(":")[0], secrets.token_hex(8)
        result = await self._lanes.update_one(
            {"_id": lane, "due": due},
            {"$set": {"due": f"{endpoint}:{padded(until_ms)}", "claim": claim}},
        )
        return Lane(lane, endpoint, claim) if result.matched_count == 1 else None

    async def hold(self, lane: Lane, until_ms: int) -> bool:
        """Keep the lane until then. False if another has it by now."""
        return await self._move(lane, until_ms, lane.claim)

    async def give_back(self, lane: Lane, due_ms: int) -> bool:
        """Leave the lane to whoever comes then. False if another has it by now."""
        return await self._move(lane, due_ms, NOBODYS)

    async def _move(self, lane: Lane, due_ms: int, claim: str) -> bool:
        result = await self._lanes.update_one(
            {"_id": lane.id, "claim": lane.claim},
            {"$set": {"due": f"{lane.endpoint}:{padded(due_ms)}", "claim": claim}},
        )
        return result.matched_count == 1

    async def mark_of(self, lane: Lane) -> str | None:
        """What tells whether something was put in line since; None if another has the lane."""
        found = await self._lanes.find_one({"_id": lane.id, "claim": lane.claim}, {"mark": 1})
        return None if found is None else str(found["mark"])

    async def end(self, lane: Lane, mark: str) -> bool:
        """Remove the lane, in which nothing waits. False if something was put in line since."""
        selected = {"_id": lane.id, "claim": lane.claim, "mark": mark}
        return (await self._lanes.delete_one(selected)).deleted_count == 1

    async def waiting(self, lane: Lane, limit: int) -> list[Delivery]:
        """At most `limit` that wait in the lane, in their order."""
        cursor = self._deliveries.find({"turn": beginning(lane.id)}, batch_size=limit + 1)
        return [delivery_of(one) async for one in cursor.sort("turn", 1).limit(limit)]

    async def wait_more_than(self, endpoint: str, count: int) -> bool:
        """Whether more than `count` wait at the endpoint."""
        cursor = self._deliveries.find({"turn": beginning(endpoint)}, {"_id": 1}).sort("turn", 1)
        return bool(await cursor.skip(count).limit(1).to_list(None))

    # What becomes of them

    async def done(self, delivery: Delivery, status: str, answer: Answer) -> bool:
        """It is delivered, or given up. False if it doesn't wait any more."""
        return await self._attempted(
            delivery, answer, {"status": status, "done_at": answer.at, "next_at": None}, out=True
        )

    async def retry(self, delivery: Delivery, answer: Answer, next_at: int) -> bool:
        """It is to be tried again then. False if it doesn't wait any more."""
        return await self._attempted(delivery, answer, {"next_at": next_at}, out=False)

    async def _attempted(
        self, delivery: Delivery, answer: Answer, values: dict[str, Any], *, out: bool
    ) -> bool:
        change: dict[str, Any] = {
            "$set": {
                **values,
                "attempts": delivery.attempts + 1,
                "tries": delivery.tries + 1,
                "last": {
                    "at": answer.at,
                    "took_ms": answer.took_ms,
                    "status": answer.status,
                    "error": answer.error,
                    "text": answer.text,
                },
            }
        }
        if out:
            change["$unset"] = {"turn": ""}
        result = await self._deliveries.update_one({"_id": delivery.id, "status": WAITING}, change)
        return result.matched_count == 1

    # Looking, and sending again

    async def find(self, endpoint: str, message: str) -> Delivery | None:
        found = await self._deliveries.find_one({"_id": delivery_id(endpoint, message)})
        return None if found is None else delivery_of(found)

    async def newest(
        self, endpoint: str, limit: int, *, before: str | None = None, status: str | None = None
    ) -> list[Delivery]:
        """At most `limit` of an endpoint's, the newest first, from below the place `before` on."""
        span = beginning(endpoint)
        if before is not None:
            span["$lt"] = min(before, span["$lt"])
        return await self._in(span, -1, limit, status)

    async def made_since(
        self, endpoint: str, since_ms: int, limit: int, *, after: str | None = None
    ) -> list[Delivery]:
        """At most `limit` that were made since then, the oldest first, from above `after` on."""
        span = beginning(endpoint)
        span["$gt"] = after or f"{endpoint}:{padded(since_ms)}"
        return await self._in(span, 1, limit, None)

    async def _in(
        self, span: dict[str, str], direction: int, limit: int, status: str | None
    ) -> list[Delivery]:
        selected: dict[str, Any] = {"place": span}
        if status is not None:
            selected["status"] = status
        cursor = self._deliveries.find(selected, batch_size=limit + 1).sort("place", direction)
        return [delivery_of(one) async for one in cursor.limit(limit)]

    async def put_back(self, deliveries: Some[Delivery], now_ms: int, give_up_at: int) -> None:
        """Put these in line again, in the places that their sequences give them."""
        writes = [
            UpdateOne(
                {"_id": one.id},
                {
                    "$set": {
                        "turn": turn_in(one.lane, one.sequence),
                        "status": WAITING,
                        "tries": 0,
                        "give_up_at": give_up_at,
                        "next_at": now_ms,
                        "done_at": None,
                    }
                },
            )
            for one in deliveries
        ]
        if not writes:
            return
        lanes = {one.lane: one.endpoint for one in deliveries}
        await self._deliveries.bulk_write(writes, ordered=False)
        await self.remind(deliveries, now_ms)
        now = padded(now_ms)
        hurry = [
            UpdateOne({"_id": lane, "claim": NOBODYS}, {"$set": {"due": f"{endpoint}:{now}"}})
            for lane, endpoint in lanes.items()
        ]
        await self._lanes.bulk_write(hurry, ordered=False)

    async def remind(self, deliveries: Some[Delivery], now_ms: int) -> None:
        """See to it that these, which wait, are sent: who put them in line may have failed then."""
        lanes = {one.lane: one.endpoint for one in deliveries}
        if lanes:
            await self._mark(lanes, now_ms)

    # Forgetting

    async def prune(self, endpoint: str, before_ms: int, kept: int, limit: int) -> int:
        """Remove those made before then, and of those that don't wait the oldest beyond `kept`.

        At most `limit` of the latter at once. Answers how many went.
        """
        old = {"$gt": f"{endpoint}:", "$lt": f"{endpoint}:{padded(before_ms)}"}
        removed = (await self._deliveries.delete_many({"place": old})).deleted_count
        done = {"place": beginning(endpoint), "status": {"$ne": WAITING}}
        cursor = self._deliveries.find(done, {"_id": 1}, batch_size=limit + 1)
        over = [one["_id"] async for one in cursor.sort("place", -1).skip(kept).limit(limit)]
        if over:
            selected = {"_id": {"$in": over}, "status": {"$ne": WAITING}}
            removed += (await self._deliveries.delete_many(selected)).deleted_count
        return removed

    async def stranger(self, known: Some[str]) -> str | None:
        """An endpoint with deliveries or lanes that isn't one of these, or None."""
        for collection, field in ((self._deliveries, "place"), (self._lanes, "due")):
            lower = ""
            for endpoint in (*sorted(known), None):
                span = {"$gt": lower} if endpoint is None else {"$gt": lower, "$lt": f"{endpoint}:"}
                cursor = collection.find({field: span}, {field: 1}).sort(field, 1)
                for found in await cursor.limit(1).to_list(None):
                    return str(found[field]).partition(":")[0]
                lower = f"{endpoint};"
        return None

    async def forget(self, endpoint: str) -> None:
        """Remove all of an endpoint's."""
        await self._deliveries.delete_many({"place": beginning(endpoint)})
        await self._lanes.delete_many({"due": beginning(endpoint)})
