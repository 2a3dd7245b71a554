"""The connection to MongoDB. The only module that imports motor, which is in maintenance only.

Repositories take a `Database` and ask it for collections. Reads come from the primary with read
concern `majority`: what they return was not and will not be rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    PyMongoError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern

Collection = AsyncIOMotorCollection[dict[str, Any]]
RawCollection = AsyncIOMotorCollection[RawBSONDocument]

_RAW = CodecOptions(document_class=RawBSONDocument)

WIRE_VERSION_MIN = 17  # MongoDB 6.0

StoreError = PyMongoError
"""Whatever the driver raises."""

STORE_AWAY_ERRORS = (ConnectionFailure, ExecutionTimeout, WriteConcernError)
"""Of these, those that say: it can't be reached, or didn't confirm in time."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a repository needs: one field, since the embedded store uses no other kind."""

    collection: str
    field: str
    unique: bool = False


class IncompleteReadError(PyMongoError):
    """The server's answer lacks documents that must be there. Ask again."""


class NotDurableError(PyMongoError):
    """What was written may yet be rolled back. Write it again."""


async def by_ids(
    collection: Collection, ids: Sequence[str], projection: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """The documents with these `_id`s that there are, in no order.

    They come in one answer, as long as that is below the 16 MiB of any answer. The rest of a
    longer one is fetched over whichever connection is free, and the embedded store calls it empty,
    not lost, when the connection that asked first has broken meanwhile.
    """
    if not ids:
        return []
    query = {"_id": {"$in": list(ids)}}
    return await collection.find(query, projection, batch_size=len(ids) + 1).to_list(None)


async def check_reached(collection: Collection, identity: str, rev: int) -> None:
    """Raise NotDurableError unless the document is durably at `rev` or above.

    For an upsert that met one already there: that may be an earlier attempt of its own, which no
    majority has yet. The driver tells of the duplicate key then, and not of the write concern.
    """
    found = await collection.find_one({"_id": identity}, {"rev": 1})
    if found is None or found["rev"] < rev:
        raise NotDurableError(f"{identity} is at rev {rev}, but not yet durably so")


class StoreUnusableError(Exception):
    """The server can't be reached, or is too old. The message says what to do."""


class Database:
    """One logical database on one MongoDB-compatible server.

    `journal` asks for `j: true` beside `w: majority`: an `ok` then survives a power cut, too.
    `timeout_s` bounds every single operation, server selection included.
    """

    def __init__(
        self, url: str, name: str, *, journal: bool, timeout_s: float = 5.0, pool_max: int = 50
    ) -> None:
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            url,
            serverSelectionTimeoutMS=int(timeout_s * 1000),
            connectTimeoutMS=int(timeout_s * 1000),
            socketTimeoutMS=int(timeout_s * 1000),
            maxPoolSize=pool_max,
            # What a failed write did is for its caller to find out: see oplog.py.
            retryWrites=False,
            uuidRepresentation="standard",
            appname="cartroom",
        )
        concern = WriteConcern(w="majority", j=True) if journal else WriteConcern(w="majority")
        self._db: AsyncIOMotorDatabase[dict[str, Any]] = self._client.get_database(
            name,
            write_concern=concern,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    def collection(self, name: str) -> Collection:
        return self._db.get_collection(name)

    def raw_collection(self, name: str) -> RawCollection:
        """The same, but its documents come as the BSON that they are."""
        collection: Any = self._db.get_collection(name, codec_options=_RAW)
        return cast("RawCollection", collection)

    async def ping(self) -> None:
        """One round trip to the server. Raises a PyMongoError when it doesn't answer."""
        await self._db.command("ping")

    async def check(self) -> None:
        """Raise StoreUnusableError, with the fix in its message, unless the server will do."""
        try:
            hello = await self._db.command("hello")
        except PyMongoError as error:
            raise StoreUnusableError(
                "No MongoDB-compatible server answers at MONGODB_URL. Start it, or correct"
                " MONGODB_URL, or unset it to run on the embedded store."
                f" ({type(error).__name__})"
            ) from error
        if hello.get("maxWireVersion", 0) < WIRE_VERSION_MIN:
            raise StoreUnusableError(
                "The server at MONGODB_URL is older than MongoDB 6.0"
                f" (its wire version is {hello.get('maxWireVersion')}, needed is"
                f" {WIRE_VERSION_MIN}). Upgrade it, or unset MONGODB_URL."
            )
        if not hello.get("isWritablePrimary", False):
            raise StoreUnusableError(
                "The server at MONGODB_URL is no primary. Name the whole replica set in the URL"
                " (`?replicaSet=…`), or wait until it has elected one."
            )

    async def drop(self) -> None:
        """Remove the whole database. For tests and benchmarks."""
        await self._client.drop_database(self._db.name)

    def close(self) -> None:
        self._client.close()
