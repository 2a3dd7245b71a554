"""What happens in carts, put straight into the log, and what members are to be told of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import bson

from events.event import Event
from events.from_log import events_of
from storage.notifications import CHANGES
from storage.oplog import Commit, OpLog, commit_id

NOW_MS = 4_000_000_000_000
"""Later than any test: nothing is too old to be told."""
USERS = ("ana", "bea", "cem", "dora")
Step = tuple[str, str, int]
"""Who does what, how many seconds after the step before."""


class History:
    """What happened in one cart, as valid as the steps allow, and what comes of it by the rules."""

    def __init__(self, steps: Sequence[Step], prefix: str) -> None:
        self.prefix = prefix
        self.cart = f"crt_{prefix}"
        self.ops: list[dict[str, Any]] = []
        self.expected: dict[str, list[tuple[str, int]]] = {user: [] for user in USERS}
        """By user, which kinds of notification tell of which revs."""
        self._members = {"ana"}
        self._at = NOW_MS
        self._log("ana", {"kind": "create", "name": "Picnic", "currency": "EUR"})
        for who, what, pause_s in steps:
            self._at += pause_s * 1_000
            self._step(who, what)

    def user(self, name: str) -> str:
        return f"usr_{self.prefix}_{name}"

    def _step(self, who: str, what: str) -> None:
        members = self._members
        if what == "share" and who not in members and members:
            by = min(members)
            self._tell(by, members)
            self.expected[who].append(("shared", len(self.ops) + 1))
            grant = {"user": self.user(who), "role": "editor"}
            self._log(by, {"kind": "share", "users": [grant]})
            members.add(who)
        elif what in ("remove", "leave") and who in members and len(members) > 1:
            by = who if what == "leave" else min(members - {who})
            members.discard(who)
            if by != who:
                self.expected[who].append(("removed", len(self.ops) + 1))
            self._tell(by, members)
            self._log(by, {"kind": "unshare", "user": self.user(who)})
        elif what == "delete" and who in members:
            for other in members - {who}:
                self.expected[other].append(("deleted", len(self.ops) + 1))
            members.clear()
            self._log(who, {"kind": "delete"})
        elif what in ("add", "clear", "refuse") and who in members:
            if what != "refuse":
                self._tell(who, members)
            items = [{"line": "lin_1_0", "sku": "APPLE", "name": "Apple", "qty": 1}]
            self._log(who, {"kind": what, **({"items": items} if what == "add" else {})})

    def _tell(self, by: str, members: set[str]) -> None:
        for other in members - {by}:
            self.expected[other].append((CHANGES, len(self.ops) + 1))

    def _log(self, by: str, op: dict[str, Any]) -> None:
        entry = {"op_id": None, "by": self.user(by), "at": self._at, "hash": "", "op": op}
        self.ops.append(entry)

    def add_op(self, by: str, **op: Any) -> None:
        """One more op, of which the rules above know nothing."""
        self._log(by, op)

    def commits(self) -> list[dict[str, Any]]:
        return [
            {
                "_id": commit_id(self.cart, rev),
                "cart": self.cart,
                "last": rev,
                "commit": secrets.token_hex(8),
                "v": 3,
                "ops": [op],
            }
            for rev, op in enumerate(self.ops, start=1)
        ]

    def events(self) -> list[Event]:
        return [event for commit in self.commits() for event in events_of(commit)]

    async def write(self, log: OpLog) -> None:
        documents = self.commits()
        await log.insert([Commit(one["_id"], one["commit"], bson.encode(one)) for one in documents])
