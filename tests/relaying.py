"""What the relay's tests have in common: logs that are written as rooms write them, and sinks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import bson

from events.relay.follower import Follower
from events.relay.metrics import RelayMetrics
from events.sink import CartEvents, SinkAwayError
from realtime.ports import SystemClock
from storage.mongo import Database
from storage.oplog import Commit, OpLog, Outcome, commit_id
from storage.outbox import SHARDS, Outbox


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def commit(cart: str, first: int, count: int = 1, at_ms: int | None = None) -> Commit:
    """A commit of renames."""
    entries = [
        {
            "op_id": f"client:{rev}",
            "by": "usr_ana",
            "at": at_ms or now_ms(),
            "hash": b"",
            "op": {"kind": "rename", "name": f"{cart} {rev}"},
        }
        for rev in range(first, first + count)
    ]
    document: dict[str, Any] = {
        "_id": commit_id(cart, first),
        "cart": cart,
        "last": first + count - 1,
        "commit": secrets.token_hex(16),
        "v": 1,
        "ops": entries,
    }
    return Commit(document["_id"], document["commit"], bson.encode(document))


async def write(oplog: OpLog, *commits: Commit) -> None:
    for start in range(0, len(commits), 500):
        outcomes = await oplog.insert(commits[start : start + 500])
        assert set(outcomes) <= {Outcome.COMMITTED}


class Whole:
    """Somebody whose all carts are."""

    def mine(self) -> Sequence[int]:
        return range(SHARDS)


class RecordingSink:
    """Takes what it is given, unless told otherwise, and notes it."""

    def __init__(self) -> None:
        self.away = False
        self.most_at_once: int | None = None
        """Of a cart; None: all."""
        self.refused: set[str] = set()
        """Carts of which it takes nothing."""
        self.given: list[CartEvents] = []
        self.taken: list[tuple[str, int]] = []
        """Cart and rev of each event, in the order of their coming."""

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        if self.away:
            raise SinkAwayError("away")
        self.given += carts
        revs: dict[str, int] = {}
        for one in carts:
            if one.cart in self.refused:
                continue
            for event in one.events[: self.most_at_once]:
                self.taken.append((one.cart, event.sequence))
                revs[one.cart] = event.sequence
        return revs

    def revs(self, cart: str) -> list[int]:
        """The revs of a cart, repeats included."""
        return [rev for one, rev in self.taken if one == cart]


def first_comings(revs: Sequence[int]) -> list[int]:
    """Revs in the order of their first coming."""
    return list(dict.fromkeys(revs))


def follower_on(
    database: Database, sink: RecordingSink, place: str = "relay", **options: float
) -> Follower:
    """A follower of all carts."""
    return Follower(
        place,
        sink,
        outbox=Outbox(database),
        oplog=OpLog(database),
        shards=Whole(),
        clock=SystemClock(),
        metrics=RelayMetrics(),
        **{"every_s": 0.05, "mark_life_s": 300.0, **options},
    )
