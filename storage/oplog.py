"""The op log: commits of carts, the source of truth.

`cart_ops` holds `{_id: "<cart>:<rev of its first op>", cart, last, commit, v, ops: […]}`, one or
more consecutive ops, under the unique `_id`; `commit` is random, and tells whose a document is
when an insert's outcome was unknown. Commits are read whole and never deleted.

A commit holds at most `COMMIT_OPS_MAX` ops, so those that cover a range of revs have their `_id`
among a bounded set of candidates: every read here is one `$in` on `_id`, which every
MongoDB-compatible server answers from its index, however long the log.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, PyMongoError

from storage.mongo import Collection, Database, IncompleteReadError, Index, by_ids

COLLECTION: Final = "cart_ops"
INDEXES: Final[tuple[Index, ...]] = ()
"""None but `_id`: every read goes by it, and an index on `cart` costs a tenth of all inserts."""
COMMIT_OPS_MAX: Final = 256
CANDIDATES_MAX: Final = 1_000
"""Ids asked for in one read."""
TAIL_WINDOW: Final = 64
"""Ids asked for first when following a cart's chain; doubled while it goes on."""
READ_ATTEMPTS: Final = 5
DUPLICATE_KEY: Final = 11_000

log = logging.getLogger(__name__)

CommitDocument = dict[str, Any]


class Outcome(enum.Enum):
    COMMITTED = "committed"
    LOST = "lost"
    """Another commit holds the `_id`."""
    UNKNOWN = "unknown"
    """The store gave no clean word. Insert the same bytes again to find out."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit on its way: its `_id`, its random id, and the document's BSON."""

    id: str
    token: str
    raw: bytes


def commit_id(cart: str, first: int) -> str:
    return f"{cart}:{first}"


def first_rev(document: CommitDocument) -> int:
    return document["last"] - len(document["ops"]) + 1  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class RawCommit:
    """A commit as it was read."""

    last: int
    raw: bytes

    def document(self) -> CommitDocument:
        return bson.decode(self.raw)


@dataclass(frozen=True, slots=True)
class Following:
    """What follows in some carts, without gaps. Reading ended early unless it is `whole`."""

    chains: dict[str, list[RawCommit]]
    whole: bool


class Log(Protocol):
    """What rooms and committer ask of the log. `OpLog` is the real one."""

    async def insert(self, commits: Sequence[Commit]) -> list[Outcome]:
        """Try to make the commits durable; one outcome each, in order. No store error is raised."""

    async def tail(self, cart: str, after: int) -> list[CommitDocument]:
        """The chain of commits that follows rev `after`, which must be a commit's end."""

    async def covering(self, cart: str, low: int, high: int) -> list[CommitDocument]:
        """The commits that hold any op with low <= rev <= high, ascending.

        All these revs must be in the log. Raises IncompleteReadError when some were not found.
        """

    async def moved(self, heads: Sequence[tuple[str, int]]) -> set[str]:
        """Of the (cart, head rev) given, the carts that have a commit beyond it."""


class OpLog:
    """The log on a MongoDB-compatible server. Reads raise PyMongoError when it doesn't answer."""

    def __init__(self, database: Database) -> None:
        self._ops: Collection = database.collection(COLLECTION)
        self._raw_ops = database.raw_collection(COLLECTION)

    async def insert(self, commits: Sequence[Commit]) -> list[Outcome]:
        outcomes = [Outcome.COMMITTED] * len(commits)
        try:
            await self._ops.insert_many(
                [RawBSONDocument(commit.raw) for commit in commits],
                ordered=False,
            )
        except BulkWriteError as error:
            await self._sort_out(commits, outcomes, error.details)
        except PyMongoError as error:
            log.warning("Outcome of %d commits is unknown: %s", len(commits), type(error).__name__)
            return [Outcome.UNKNOWN] * len(commits)
        return outcomes

    async def _sort_out(
        self, commits: Sequence[Commit], outcomes: list[Outcome], details: Any
    ) -> None:
        """Fill in the outcomes of a bulk insert that reported errors."""
        if details.get("writeConcernErrors"):
            outcomes[:] = [Outcome.UNKNOWN] * len(commits)
        duplicates: list[int] = []
        for error in details["writeErrors"]:
            index = error["index"]
            outcomes[index] = Outcome.UNKNOWN
            if error["code"] == DUPLICATE_KEY:
                duplicates.append(index)
            else:
                log.error("The store refused %s with code %s", commits[index].id, error["code"])
        if duplicates:
            await self._resolve_duplicates(commits, outcomes, duplicates)

    async def _resolve_duplicates(
        self, commits: Sequence[Commit], outcomes: list[Outcome], duplicates: list[int]
    ) -> None:
        """A duplicate key that carries our own token is our success, any other's our loss."""
        ids = [commits[index].id for index in duplicates]
        tokens: dict[str, str] = {}
        try:
            for start in range(0, len(ids), CANDIDATES_MAX):
                part = ids[start : start + CANDIDATES_MAX]
                for document in await by_ids(self._ops, part, {"commit": 1}):
                    tokens[document["_id"]] = document["commit"]
        except PyMongoError as error:
            log.warning("Can't read whose %d commits are: %s", len(ids), type(error).__name__)
        for index in duplicates:
            token = tokens.get(commits[index].id)
            # Not found although its key is taken: not yet durable. It stays unknown.
            if token is not None:
                own = token == commits[index].token
                outcomes[index] = Outcome.COMMITTED if own else Outcome.LOST

    async def tail(self, cart: str, after: int) -> list[CommitDocument]:
        chain: list[CommitDocument] = []
        head, window, gaps = after, TAIL_WINDOW, 0
        while True:
            asked = head + window
            found = {first_rev(doc): doc for doc in await self._read(cart, head + 1, window)}
            while (document := found.get(head + 1)) is not None:
                chain.append(document)
                head = document["last"]
            if head < asked and max(found, default=0) <= head:
                # The next was asked for, and wasn't there. Asking once more would be no surer,
                # and while somebody else writes the cart there would be no end to it.
                return chain
            if head < asked:
                # Something beyond it was there: the answer lacks what was written meanwhile.
                gaps += 1
                if gaps == READ_ATTEMPTS:
                    raise IncompleteReadError(f"No commit of {cart} follows rev {head}")
            window = min(window * 2, CANDIDATES_MAX)

    async def covering(self, cart: str, low: int, high: int) -> list[CommitDocument]:
        found: list[CommitDocument] = []
        first = max(1, low - COMMIT_OPS_MAX + 1)
        while first <= high:
            count = min(CANDIDATES_MAX, high - first + 1)
            found += await self._read(cart, first, count)
            first += count
        found.sort(key=first_rev)
        covering = [document for document in found if document["last"] >= low]
        reached = low - 1
        for document in covering:
            if first_rev(document) > reached + 1:
                break
            reached = document["last"]
        if reached < high:
            raise IncompleteReadError(f"Commits of {cart} around rev {reached + 1} are missing")
        return covering

    async def _read(self, cart: str, first: int, count: int) -> list[CommitDocument]:
        ids = [commit_id(cart, rev) for rev in range(first, first + count)]
        return await by_ids(self._ops, ids)

    async def following(self, wanted: Sequence[tuple[str, int, int]], bytes_max: int) -> Following:
        """The chains that follow: of (cart, rev, window), what begins within `window` after `rev`.

        `rev` must be a commit's end. Ask for at most `CANDIDATES_MAX` revs in all, each cart once.
        """
        ids = [
            commit_id(cart, first)
            for cart, rev, window in wanted
            for first in range(rev + 1, rev + 1 + window)
        ]
        found: dict[str, RawBSONDocument] = {}
        size, whole = 0, True
        cursor = self._raw_ops.find({"_id": {"$in": ids}}, batch_size=len(ids) + 1)
        try:
            async for raw in cursor:
                found[raw["_id"]] = raw
                size += len(raw.raw)
                if size >= bytes_max:
                    whole = False
                    break
        finally:
            await cursor.close()
        chains = {cart: _chain(cart, rev, found) for cart, rev, _window in wanted}
        return Following(chains, whole)

    async def moved(self, heads: Sequence[tuple[str, int]]) -> set[str]:
        carts: set[str] = set()
        for start in range(0, len(heads), CANDIDATES_MAX):
            chunk = heads[start : start + CANDIDATES_MAX]
            ids = [commit_id(cart, head + 1) for cart, head in chunk]
            carts.update([found["cart"] for found in await by_ids(self._ops, ids, {"cart": 1})])
        return carts


def _chain(cart: str, rev: int, found: Mapping[str, RawBSONDocument]) -> list[RawCommit]:
    """What of `found` follows `rev`, up to the first gap."""
    chain: list[RawCommit] = []
    while (raw := found.get(commit_id(cart, rev + 1))) is not None:
        rev = raw["last"]
        chain.append(RawCommit(rev, bytes(raw.raw)))
    return chain
