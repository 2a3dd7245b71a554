"""A MongoDB server, as far as the repositories need one.

Documents are kept as BSON. The server's primary holds `latest`; what a majority has, and reads
with concern `majority` return, is `durable`. The two differ only while there is no majority.
"""

from __future__ import annotations

import random
from typing import Any, Final

import bson
from pymongo.errors import (
    DuplicateKeyError,
)

from tests.simulation.edge import Edge

DUPLICATE_KEY: Final = 11_000

Doc = dict[str, Any]
Rows = dict[str, bytes]


class Store:
    """The server. `away` and `minority` are set by the world."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.away = False
        self.minority = False
        self.signed_out: dict[str, None] = {}
        """Sessions that have ended; the token is the session's id."""
        self.rng = random.Random(edge.rng.random())
        self._latest: dict[str, Rows] = {}
        self._durable: dict[str, Rows] = {}
        self._doubtful: dict[tuple[str, str], None] = {}

    def rows(self, collection: str) -> Rows:
        return self._durable.setdefault(collection, {})

    def find(self, collection: str, query: Doc) -> list[Doc]:
        """By `_id`, a list of them, or the value of a field; as a majority has it."""
        rows = self.rows(collection)
        wanted = query.get("_id")
        if isinstance(wanted, dict):
            return [bson.decode(rows[key]) for key in wanted["$in"] if key in rows]
        if wanted is not None:
            return [bson.decode(rows[wanted])] if wanted in rows else []
        found = map(bson.decode, rows.values())
        return [doc for doc in found if all(doc.get(key) == query[key] for key in query)]

    def insert(self, collection: str, raw: bytes) -> bool:
        """False for a duplicate key."""
        key = bson.decode(raw)["_id"]
        if key in self._latest.setdefault(collection, {}):
            return False
        self._put(collection, key, raw)
        return True

    def update(self, collection: str, query: Doc, change: Doc) -> Doc:
        """An upsert by `_id` with at most `rev: {$lt: …}`. Raises DuplicateKeyError."""
        key = query["_id"]
        raw = self._latest.setdefault(collection, {}).get(key)
        if raw is None:
            doc = {"_id": key, **change.get("$setOnInsert", {}), **_changed({}, change)}
            self._put(collection, key, bson.encode(doc))
            return {"n": 1, "nModified": 0, "upserted": key}
        doc = bson.decode(raw)
        if "rev" in query and not doc["rev"] < query["rev"]["$lt"]:
            raise DuplicateKeyError("E11000 duplicate key", DUPLICATE_KEY)
        self._put(collection, key, bson.encode(_changed(doc, change)))
        return {"n": 1, "nModified": 1}

    def _put(self, collection: str, key: str, raw: bytes) -> None:
        self._latest[collection][key] = raw
        if self.minority:
            self._doubtful[(collection, key)] = None
        else:
            self.rows(collection)[key] = raw

    def end_minority(self, *, keep: bool) -> None:
        """A majority is back: what was written meanwhile is kept, or it never happened."""
        self.minority = False
        for collection, key in self._doubtful:
            latest, durable = self._latest[collection], self.rows(collection)
            if keep:
                durable[key] = latest[key]
            elif key in durable:
                latest[key] = durable[key]
            else:
                del latest[key]
        self._doubtful.clear()


def _changed(doc: Doc, change: Doc) -> Doc:
    """What `$set`, `$inc` and `$max` make of a document."""
    raised = {key: doc.get(key, 0) + by for key, by in change.get("$inc", {}).items()}
    highest = {key: max(doc.get(key, by), by) for key, by in change.get("$max", {}).items()}
    return {**doc, **change.get("$set", {}), **raised, **highest}
