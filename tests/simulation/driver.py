"""motor as the repositories use it: requests on their way to the store, and what befalls them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    NetworkTimeout,
    NotPrimaryError,
    PyMongoError,
    WriteConcernError,
)
from pymongo.results import InsertManyResult, UpdateResult

from tests.simulation.edge import Host
from tests.simulation.store import DUPLICATE_KEY, Doc, Store

LATENCY_S: Final = 0.003
SLOW_S: Final = 1.2
TIMEOUT_S: Final = 2.0
LATE_MAX_S: Final = 12.0

Projection = Mapping[str, int] | None


class SimDatabase:
    """One instance's connection to the store; what `storage.mongo.Database` is to repositories."""

    def __init__(self, store: Store, host: Host) -> None:
        self.store = store
        self.host = host

    def collection(self, name: str) -> SimCollection:
        return SimCollection(self, name)

    def raw_collection(self, name: str) -> SimCollection:
        return SimCollection(self, name, raw=True)

    async def ask(self, what: str, act: Callable[[], Any], fault: str | None) -> Any:
        """Send a request that does `act` at the server; `fault` is what becomes of it."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        _Request(self, what, act, answer).go(fault)
        return await answer


class _Request:
    """One request on its way, whose connection may outlive it or not."""

    def __init__(
        self, database: SimDatabase, what: str, act: Callable[[], Any], answer: asyncio.Future[Any]
    ) -> None:
        self._store = database.store
        self._host = database.host
        self._edge = database.store.edge
        self._what = what
        self._act = act
        self._answer = answer

    def go(self, fault: str | None) -> None:
        edge = self._edge
        edge.trace.note(self._host.name, f"asks the store: {self._what} [{fault or ''}]")
        there_s = edge.latency_s(LATENCY_S)
        match (fault or "").removeprefix("store: "):
            case "request lost" | "error" | "read fails" as how:
                edge.later(there_s, self._fail, how)
            case "never lands, time-out":
                edge.later(TIMEOUT_S, self._fail, "time-out")
            case "lands late, after the time-out":
                late_s = TIMEOUT_S + LATE_MAX_S * self._store.rng.random() ** 2
                edge.later(late_s, self._land, None, True)
                edge.later(TIMEOUT_S, self._fail, "time-out")
            case "answer lost" | "half of an insert done, answer lost":
                edge.later(there_s, self._land, "answer lost")
            case "slow" | "read slow":
                edge.later(SLOW_S * edge.rng.random(), self._land)
            case "instance crashes before it lands":
                edge.later(there_s * edge.rng.random(), self._host.crash)
                edge.later(there_s, self._land)
            case "instance crashes after it landed":
                edge.later(there_s, self._land)
                edge.later(there_s + 1e-6, self._host.crash)
            case "instance freezes meanwhile":
                edge.later(there_s / 2, self._host.freeze, 6 * edge.rng.random())
                edge.later(there_s, self._land)
            case _:
                edge.later(there_s, self._land)

    def _land(self, then: str | None = None, late: bool = False) -> None:
        """The request is at the server."""
        if self._store.away and not late:
            self._fail("connection refused")
            return
        try:
            result, error = self._act(), None
        except PyMongoError as raised:
            result, error = None, raised
        self._edge.trace.note("store", f"{self._what} -> {error!r}" if error else self._what)
        if late:
            return
        back_s = self._edge.latency_s(LATENCY_S)
        if then is None:
            self._edge.later(back_s, self._tell, result, error)
        else:
            self._edge.later(back_s, self._fail, then)

    def _fail(self, how: str) -> None:
        errors: dict[str, PyMongoError] = {
            "time-out": NetworkTimeout("timed out"),
            "error": NotPrimaryError("not primary", {"code": 10107}),
        }
        self._tell(None, errors.get(how, AutoReconnect(how)))

    def _tell(self, result: Any, error: PyMongoError | None) -> None:
        if not self._answer.done():
            if error is None:
                self._answer.set_result(result)
            else:
                self._answer.set_exception(error)


_WRITE: Final = (
    "store: request lost",
    "store: answer lost",
    "store: lands late, after the time-out",
    "store: never lands, time-out",
    "store: error",
    "store: slow",
    "store: instance crashes before it lands",
    "store: instance crashes after it landed",
    "store: instance freezes meanwhile",
)


class SimCollection:
    """The part of motor's collection that the repositories use."""

    def __init__(self, database: SimDatabase, name: str, *, raw: bool = False) -> None:
        self._database = database
        self._raw = raw
        self._store = database.store
        self._name = name

    # Writes

    async def insert_many(self, documents: Sequence[Any], *, ordered: bool) -> InsertManyResult:
        assert not ordered
        faults = self._store.edge.faults
        raws = [(document["_id"], document.raw) for document in documents]
        fault = faults.one_of(*_WRITE, "store: half of an insert done, answer lost")
        if fault is not None and "half" in fault:
            raws = [one for one in raws if self._store.rng.random() < 0.5]
        names = " ".join(f"{key}={bson.decode(raw)['commit'][:6]}" for key, raw in raws)
        what = f"insert {self._name} {names}"
        await self._database.ask(what, lambda: self._insert(raws), fault)
        return InsertManyResult([key for key, _ in raws], True)

    def _insert(self, raws: list[tuple[str, bytes]]) -> None:
        errors: list[Doc] = []
        for index, (key, raw) in enumerate(raws):
            if self._store.edge.faults.strikes("store: one document refused"):
                errors.append({"index": index, "code": 50, "errmsg": "operation exceeded time"})
            elif not self._store.insert(self._name, raw):
                errors.append({"index": index, "code": DUPLICATE_KEY, "errmsg": f"E11000 {key}"})
        concern = [{"code": 64, "errmsg": "no majority"}] if self._store.minority else []
        if errors or concern:
            raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": concern})

    async def update_one(self, query: Doc, change: Doc, *, upsert: bool) -> UpdateResult:
        assert upsert

        def act() -> Doc:
            result = self._store.update(self._name, query, change)
            if self._store.minority:
                raise WriteConcernError("no majority", 64)
            return result

        fault = self._store.edge.faults.one_of(*_WRITE)
        raw = await self._database.ask(f"update {self._name} {query['_id']}", act, fault)
        return UpdateResult(raw, True)

    async def bulk_write(self, updates: Sequence[Any], *, ordered: bool) -> None:
        """Upserts by `_id`."""
        assert not ordered

        def act() -> None:
            for one in updates:
                self._store.update(self._name, one._filter, one._doc)
            if self._store.minority:
                concern = [{"code": 64, "errmsg": "no majority"}]
                raise BulkWriteError({"writeErrors": [], "writeConcernErrors": concern})

        fault = self._store.edge.faults.one_of(*_WRITE)
        ids = " ".join(one._filter["_id"] for one in updates)
        await self._database.ask(f"update {self._name} {ids}", act, fault)

    # Reads

    async def find_one(self, query: Doc, projection: Projection = None) -> Doc | None:
        found = await self._read(query, projection)
        return found[0] if found else None

    def find(self, query: Doc, projection: Projection = None, *, batch_size: int) -> SimCursor:
        assert batch_size
        return SimCursor(self, query, projection)

    async def _read(self, query: Doc, projection: Projection) -> list[Doc]:
        """The documents found, as the store's answer brings them."""
        found = await self._fetch(query)
        if self._raw:
            return [RawBSONDocument(bson.encode(document)) for document in found]
        if projection is None:
            return found
        kept = {"_id", *projection}
        return [{key: doc[key] for key in doc if key in kept} for doc in found]

    async def _fetch(self, query: Doc) -> list[Doc]:
        faults = self._store.edge.faults
        what = f"find {self._name} {_shown(query)}"
        fault = faults.one_of("store: read fails", "store: never lands, time-out")
        if fault is None and faults.strikes("store: read slow"):
            fault = "store: read slow"
        found: list[Doc] = []
        if _is_many(query) and faults.strikes("store: read torn by writes"):
            # Some of the ids are looked up now, the others when more has been written.
            ids = query["_id"]["$in"]
            early = [key for key in ids if self._store.rng.random() < 0.5]
            query = {"_id": {"$in": [key for key in ids if key not in early]}}
            first = {"_id": {"$in": early}}
            found = await self._database.ask(what, lambda: self._find(first), None)
        return found + await self._database.ask(what, lambda: self._find(query), fault)

    def _find(self, query: Doc) -> list[Doc]:
        return self._store.find(self._name, query)


class SimCursor:
    """What `find` returns."""

    def __init__(self, collection: SimCollection, query: Doc, projection: Projection) -> None:
        self._collection = collection
        self._query = query
        self._projection = projection

    async def to_list(self, length: int | None) -> list[Doc]:
        assert length is None
        return await self._collection._read(self._query, self._projection)

    async def close(self) -> None:
        """Nothing is kept at the store."""

    async def __aiter__(self) -> AsyncIterator[Doc]:
        for document in await self._collection._read(self._query, self._projection):
            yield document


def _is_many(query: Doc) -> bool:
    wanted = query.get("_id")
    return isinstance(wanted, dict) and len(wanted["$in"]) > 1


def _shown(query: Doc) -> str:
    """The query, without the tail of a long list of ids."""
    if not isinstance(query.get("_id"), dict):
        return " ".join(f"{value}" for value in query.values())
    ids = query["_id"]["$in"]
    return f"{ids[0]} +{len(ids) - 1}" if ids else "nothing"
