"""What users are told of what happened in their carts: one document a user, the inbox.

Each change of an inbox is one conditional update, so that it is whole: what is kept, what has to
go for it, and how much is unread. Whoever changes it says what it is to become of what it is, and
is asked again where somebody else was faster.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pymongo.errors import DuplicateKeyError, PyMongoError

from storage.batched import BatchedReads
from storage.mongo import Collection, Database, Index

COLLECTION: Final = "notifications"
INDEXES: Final[tuple[Index, ...]] = ()

NOTIFICATIONS_MAX: Final = 200
"""Of a user; the oldest make room."""

CHANGES: Final = "changes"
"""Kind: what one member did in a cart within a while."""
SHARED: Final = "shared"
"""Kind: the user was let in to a cart."""
REMOVED: Final = "removed"
"""Kind: the user was taken out of a cart."""
DELETED: Final = "deleted"
"""Kind: a cart was deleted."""

ATTEMPTS: Final = 50
WAIT_S: Final = 0.02


class InboxBusyError(PyMongoError):
    """Too many change the same inbox at once. Try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """`actor` is who did it. `window` is the rev that its collection begins with, for everybody.

    `first_rev` and `last_rev` are of the ops told, `count` of them, `kinds` by kind of op. `lines`
    are some of what was added, `{line, sku, name, qty}`. Times are in milliseconds.
    """

    id: str
    kind: str
    cart: str
    cart_name: str
    actor: str
    window: int
    first_rev: int
    last_rev: int
    count: int
    opened_at: int
    at: int
    kinds: Mapping[str, int] = field(default_factory=dict)
    lines: Sequence[Mapping[str, Any]] = ()
    read: bool = False
    mailed: bool = False


@dataclass(frozen=True, slots=True)
class Inbox:
    """`items` are the latest first. `version` rises with each change; 0: there is none yet.

    `made` tells it from one of before that has gone, with which versions begin anew.
    """

    user: str
    version: int = 0
    items: tuple[Notification, ...] = ()
    made: str = field(default="", compare=False)

    @property
    def unread(self) -> int:
        return sum(not one.read for one in self.items)

    def find(self, identity: str) -> Notification | None:
        return next((one for one in self.items if one.id == identity), None)


Edit = Callable[[Inbox], Iterable[Notification] | None]
"""What the items are to be, in any order; None: as they are. Doing it again changes nothing."""


def notification_id(user: str, cart: str, actor: str, kind: str, window: int) -> str:
    """Always the same for the same: so whoever makes it, and however often, makes one."""
    words = f"{user} {cart} {actor} {kind} {window}"
    return f"ntf_{hashlib.sha256(words.encode()).hexdigest()[:24]}"


class Notifications:
    """Methods raise PyMongoError when the store is away; what was asked may be done all the same.

    Then ask for it again.
    """

    def __init__(self, database: Database) -> None:
        self._inboxes: Collection = database.collection(COLLECTION)
        self._unread = BatchedReads(self._inboxes, {"unread": 1})

    async def inbox(self, user: str) -> Inbox:
        found = await self._inboxes.find_one({"_id": user})
        return Inbox(user) if found is None else _inbox(found)

    async def unread(self, user: str) -> int:
        """How many are unread."""
        return await self.asking_unread(user)()

    def asking_unread(self, user: str) -> Callable[[], Awaitable[int]]:
        """Ask as `unread` does, now, and call what is returned for the answer, or never."""
        asked = self._unread.ask(user)

        async def answer() -> int:
            found = await asyncio.shield(asked)  # others may wait for it, too
            return 0 if found is None else int(found["unread"])

        return answer

    async def change(self, user: str, edit: Edit) -> tuple[Inbox, bool]:
        """Make of an inbox what `edit` says; answers what it is then, and whether it was changed.

        Raises InboxBusyError.
        """
        for _ in range(ATTEMPTS):
            inbox = await self.inbox(user)
            items = edit(inbox)
            if items is None:
                return inbox, False
            changed = Inbox(user, inbox.version + 1, _latest(items))
            if changed.items == inbox.items:
                return inbox, False
            if await self._replace(inbox, changed):
                return changed, True
            await asyncio.sleep(WAIT_S * random.random())  # noqa: S311 - jitter
        raise InboxBusyError(f"The inbox of {user} changes all the time")

    async def _replace(self, was: Inbox, inbox: Inbox) -> bool:
        values: dict[str, Any] = {
            "version": inbox.version,
            "unread": inbox.unread,
            "items": [_document(one) for one in inbox.items],
        }
        if was.version:
            result = await self._inboxes.update_one(_as_read(was), {"$set": values})
            return result.matched_count == 1
        try:
            made = {"_id": inbox.user, "made": secrets.token_hex(8)}
            await self._inboxes.insert_one({**made, **values})
        except DuplicateKeyError:
            return False
        return True

    async def mark_read(
        self, user: str, ids: Sequence[str] | None = None
    ) -> tuple[Inbox, list[str]]:
        """Mark these as read, or all; answers the inbox then, and which of them were unread."""
        wanted = None if ids is None else set(ids)
        return await self._mark_read(user, lambda one: wanted is None or one.id in wanted)

    async def mark_seen(self, user: str, revs: Mapping[str, int]) -> tuple[Inbox, list[str]]:
        """As `mark_read`, of what tells of these carts up to these revs."""
        return await self._mark_read(user, lambda one: one.last_rev <= revs.get(one.cart, 0))

    async def _mark_read(
        self, user: str, is_meant: Callable[[Notification], bool]
    ) -> tuple[Inbox, list[str]]:
        marked: list[str] = []

        def edit(inbox: Inbox) -> Iterable[Notification] | None:
            marked[:] = [one.id for one in inbox.items if not one.read and is_meant(one)]
            if not marked:
                return None
            return [replace(one, read=True) if one.id in marked else one for one in inbox.items]

        inbox, _ = await self.change(user, edit)
        return inbox, marked

    async def mark_mailed(self, user: str, mailed: Iterable[Notification]) -> None:
        """Note that these have been told by mail, but for one that has more to tell since."""
        last_revs = {one.id: one.last_rev for one in mailed}

        def edit(inbox: Inbox) -> Iterable[Notification]:
            return [
                replace(one, mailed=True) if one.last_rev <= last_revs.get(one.id, 0) else one
                for one in inbox.items
            ]

        await self.change(user, edit)

    async def move(self, user: str, into: str, cart: str | None = None) -> tuple[Inbox, bool]:
        """Give what a user was told, of this cart or of all, to another one, whose they are now.

        Answers the other's inbox, and whether it was changed. Doing it again has no effect. What
        comes meanwhile goes along, or stays for the next time. Raises InboxBusyError.
        """
        theirs, changed = Inbox(into), False

        async def give(moved: Sequence[Notification]) -> None:
            nonlocal theirs, changed
            theirs, was_changed = await self._give(into, moved)
            changed = changed or was_changed

        await self._part(user, cart, give)
        return theirs, changed

    async def drop(self, user: str, cart: str) -> None:
        """Remove what a user was told of a cart. Raises InboxBusyError."""

        async def give(moved: Sequence[Notification]) -> None:
            """To nobody."""

        await self._part(user, cart, give)

    async def _part(
        self, user: str, cart: str | None, give: Callable[[Sequence[Notification]], Awaitable[None]]
    ) -> None:
        """Have what a user was told, of this cart or of all, given away, and then not be theirs."""
        for _ in range(ATTEMPTS):
            mine = await self.inbox(user)
            moved = [one for one in mine.items if cart in (None, one.cart)]
            if moved:
                await give(moved)
            kept = [one for one in mine.items if cart not in (None, one.cart)]
            if await self._keep(mine, kept):
                return
            await asyncio.sleep(WAIT_S * random.random())  # noqa: S311 - jitter
        raise InboxBusyError(f"The inbox of {user} changes all the time")

    async def _give(self, user: str, items: Iterable[Notification]) -> tuple[Inbox, bool]:
        """Have somebody told what another one was. Nobody is told of their own doing."""
        given = [_of(user, one) for one in items if one.actor != user]

        def add(inbox: Inbox) -> Iterable[Notification]:
            held = {one.id: one for one in inbox.items}
            for one in given:
                known = held.get(one.id)
                if known is None or known.last_rev < one.last_rev:
                    held[one.id] = one
            return held.values()

        return await self.change(user, add)

    async def _keep(self, was: Inbox, items: Sequence[Notification]) -> bool:
        """Have an inbox hold these alone, or go; False where it isn't what it was any more."""
        if len(items) == len(was.items) and (items or not was.version):
            return True
        if items:
            return await self._replace(was, Inbox(was.user, was.version + 1, tuple(items)))
        return (await self._inboxes.delete_one(_as_read(was))).deleted_count == 1

    async def forget(self, user: str) -> None:
        """Remove all that a user was told."""
        await self._inboxes.delete_one({"_id": user})


def _of(user: str, one: Notification) -> Notification:
    """The same, told to another user."""
    identity = notification_id(user, one.cart, one.actor, one.kind, one.window)
    return replace(one, id=identity)


def _as_read(inbox: Inbox) -> dict[str, Any]:
    # What an earlier version has stored says nothing of when it was made.
    return {"_id": inbox.user, "version": inbox.version, "made": inbox.made or None}


def _latest(items: Iterable[Notification]) -> tuple[Notification, ...]:
    ordered = sorted(items, reverse=True, key=lambda one: (one.at, one.id))
    return tuple(ordered[:NOTIFICATIONS_MAX])


_FIELDS: Final = tuple(Notification.__dataclass_fields__)


def _document(one: Notification) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _FIELDS} | {
        "kinds": dict(one.kinds),
        "lines": [dict(line) for line in one.lines],
    }


def _inbox(document: dict[str, Any]) -> Inbox:
    items = (
        Notification(**{name: item[name] for name in _FIELDS if name in item})
        for item in document["items"]
    )
    made = document.get("made") or ""
    return Inbox(document["_id"], document["version"], tuple(items), made)
