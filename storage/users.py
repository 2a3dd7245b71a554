"""Users, one document each.

`{_id: "usr_…", email, email_key, name, role, password_hash, created_at, v}`, and where it differs
from the default `guest`, `confirmed_at`, `disabled`, `epoch`, `kept`, `locale`, `currency`,
`notifications`. `email_key` is what makes an address unique: the address with differences of case
and composition folded away. A guest has no address, and `guest:<id>` for a key. `merging_into`
names the account that a guest becomes part of, `deleting` says since when somebody is on the way
out; `deleted_at` stands where nothing is left of a user but the id.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Collection as Some
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from storage.batched import BatchedReads
from storage.mongo import Database, Index, by_ids
from storage.times import now_ms

COLLECTION: Final = "users"
FORMAT_VERSION: Final = 1
CHANGES: Final = ("digest", "at_once", "none")
"""What can be wanted of mails about changes in one's carts; the first without a choice."""
DIGEST_AT: Final = "08:00"
IDS_PER_QUERY_MAX: Final = 500

INDEXES: Final[tuple[Index, ...]] = (Index(COLLECTION, "email_key", unique=True),)


class DuplicateEmailError(Exception):
    """Another user has this address."""


@dataclass(frozen=True, slots=True)
class User:
    """Who somebody is. `role` is one of customer, seller, support, admin.

    A guest's `email` is None. `epoch` rises to end all sessions that were opened before, but for
    the one `kept`.
    `confirmed` tells that the address is theirs, `disabled` that they are locked out.
    `notifications` holds what they chose: `shared`, on without a choice, and `changes`, one of
    `CHANGES`. `quiet_hours`, from and to, and `digest_at` are times of day like "08:00" in
    `time_zone`, UTC where that is None.
    `going`: they are about to be nobody.
    """

    id: str
    email: str | None
    name: str
    role: str = "customer"
    guest: bool = False
    confirmed: bool = False
    disabled: bool = False
    epoch: int = 0
    kept: str | None = None
    going: bool = False
    locale: str | None = None
    currency: str | None = None
    notifications: Mapping[str, bool | str] = field(default_factory=dict)
    time_zone: str | None = None
    quiet_hours: Mapping[str, str] | None = None
    digest_at: str = DIGEST_AT

    @property
    def changes(self) -> str:
        """Which mails they want about changes in their carts, one of `CHANGES`."""
        return str(self.notifications.get("changes", CHANGES[0]))


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with what proves that it is them."""

    user: User
    password_hash: str | None


def email_key(email: str) -> str:
    """Equal for addresses that people take for the same."""
    return unicodedata.normalize("NFKC", email).casefold()


def guest_key(user_id: str) -> str:
    """What stands in the place of the address that a guest doesn't have."""
    return f"guest:{user_id}"


# Not about to be nobody.
_STAYING: Final = {"merging_into": None, "deleting": None, "deleted_at": None}


class Users:
    """The users of a database. Whatever the driver raises when the store is away passes through."""

    def __init__(self, database: Database) -> None:
        self._users = database.collection(COLLECTION)
        self._reads = BatchedReads(self._users)

    async def insert(self, user: User, password_hash: str | None) -> None:
        """Add `user`. Raises DuplicateEmailError when another one has the address.

        Repeating it with the same `user.id` has no further effect, so a lost answer is asked
        for once more here.
        """
        document = {
            "_id": user.id,
            "email": user.email,
            "email_key": guest_key(user.id) if user.email is None else email_key(user.email),
            "name": user.name,
            "role": user.role,
            "password_hash": password_hash,
            "created_at": datetime.now(UTC),
            "v": FORMAT_VERSION,
        }
        if user.guest:
            document["guest"] = True
        try:
            await self._insert_once(document)
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            await self._insert_once(document)

    async def find(self, user_id: str) -> User | None:
        """The user, or None where there is none with this id."""
        return await self.asking(user_id)()

    def asking(self, user_id: str) -> Callable[[], Awaitable[User | None]]:
        """Ask as `find` does, now, and call what is returned for the answer, or never."""
        asked = self._reads.ask(user_id)

        async def answer() -> User | None:
            found = await asyncio.shield(asked)  # others may wait for it, too
            return _user(found) if _is_somebody(found) else None

        return answer

    async def find_record(self, user_id: str) -> UserRecord | None:
        """The user with what proves that it is them, or None."""
        found = await self._users.find_one({"_id": user_id})
        return UserRecord(_user(found), found["password_hash"]) if _is_somebody(found) else None

    async def times(self, user_id: str) -> tuple[float | None, float | None]:
        """When the user came and was confirmed, in milliseconds since the epoch, where known."""
        found = await self._users.find_one({"_id": user_id}, {"created_at": 1, "confirmed_at": 1})
        created_at, confirmed_at = map((found or {}).get, ("created_at", "confirmed_at"))
        return _ms(created_at), _ms(confirmed_at)

    async def find_many(self, user_ids: Some[str]) -> list[User]:
        """Those of these that there are, in no order."""
        ids = list(user_ids)
        users: list[User] = []
        for start in range(0, len(ids), IDS_PER_QUERY_MAX):
            found = await by_ids(self._users, ids[start : start + IDS_PER_QUERY_MAX])
            users.extend(_user(one) for one in found if _is_somebody(one))
        return users

    async def find_by_email(self, email: str) -> UserRecord | None:
        """The user with this address, in any spelling of it, or None."""
        found = await self._users.find_one({"email_key": email_key(email)})
        return None if found is None else UserRecord(_user(found), found["password_hash"])

    async def names(self, user_ids: Some[str]) -> dict[str, str]:
        """Display names by id. Ids of nobody are not in the answer."""
        ids = list(user_ids)
        names: dict[str, str] = {}
        for start in range(0, len(ids), IDS_PER_QUERY_MAX):
            part = ids[start : start + IDS_PER_QUERY_MAX]
            for found in await by_ids(self._users, part, {"name": 1, "deleted_at": 1}):
                if found.get("deleted_at") is None:
                    names[found["_id"]] = found["name"]
        return names

    async def names_of_staying(self, user_ids: Some[str]) -> dict[str, str]:
        """Display names by id, without those who are about to be nobody."""
        going = dict.fromkeys(("deleted_at", "deleting", "merging_into"), 1)
        names: dict[str, str] = {}
        for found in await by_ids(self._users, sorted(user_ids), {"name": 1, **going}):
            if all(found.get(field) is None for field in going):
                names[found["_id"]] = found["name"]
        return names

    async def going(self, user_ids: Some[str]) -> dict[str, str | None]:
        """Of these, who is nobody or about to be; with the account that a guest becomes part of."""
        gone: dict[str, str | None] = {}
        for found in await by_ids(self._users, sorted(user_ids), dict.fromkeys(_STAYING, 1)):
            if any(found.get(field) is not None for field in _STAYING):
                gone[found["_id"]] = found.get("merging_into")
        return gone

    # Guests

    async def become_account(
        self, guest: str, email: str, name: str, password_hash: str
    ) -> User | None:
        """Make an account of a guest, and end all sessions that it had as one.

        Returns it; None where there is no such guest (any more). Raises DuplicateEmailError.
        A lost answer is asked for once more.
        """
        condition = {"_id": guest, "email_key": guest_key(guest), **_STAYING}
        fields = {
            "email": email,
            "email_key": email_key(email),
            "name": name,
            "password_hash": password_hash,
            "guest": False,
        }
        change = {"$set": fields, "$inc": {"epoch": 1}}
        try:
            try:
                await self._users.update_one(condition, change)
            except ServerSelectionTimeoutError:
                raise  # nothing was sent
            except AutoReconnect:
                await self._users.update_one(condition, change)
        except OperationFailure as error:
            # Of an update, FerretDB doesn't say with a code that a key is taken.
            if isinstance(error, DuplicateKeyError) or await self._is_taken(email, guest):
                raise DuplicateEmailError from None
            raise
        found = await self._users.find_one({"_id": guest})
        # Hashes are salted: this one is there only if we have put it there.
        is_ours = found is not None and found["password_hash"] == password_hash
        return _user(found) if found is not None and is_ours else None

    async def begin_merge(self, guest: str, into: str) -> int | None:
        """Keep a guest from being anything but a part of `into`, and end all of its sessions.

        Returns its epoch; None where there is no such guest, or it belongs to another account.
        Twice is as once.
        """
        condition = {"_id": guest, "email_key": guest_key(guest), **_STAYING}
        change = {"$set": {"merging_into": into}, "$inc": {"epoch": 1}}
        await self._users.update_one(condition, change)
        found = await self._users.find_one({"_id": guest})
        if found is None or found.get("merging_into") != into:
            return None
        return int(found["epoch"])

    async def bury_guest(self, guest: str) -> None:
        """Leave of a guest who was merged nothing but the id. Twice is as once."""
        await self._users.update_one(
            {"_id": guest, "email_key": guest_key(guest), "deleted_at": None},
            {"$set": {"name": "", "deleted_at": datetime.now(UTC)}},
        )

    # The end

    async def begin_deletion(self, user_id: str, since_ms: int) -> User | None:
        """Keep a user from coming in, for good, and end all of their sessions.

        Returns them as they are; None for a guest who is on the way into an account. Twice is as
        once, also after `bury`.
        """
        condition = {"_id": user_id, **_STAYING}
        change = {
            "$set": {"deleting": since_ms, "password_hash": None, "kept": None},
            "$inc": {"epoch": 1},
        }
        await self._users.update_one(condition, change)
        found = await self._users.find_one({"_id": user_id})
        return None if found is None or found.get("deleting") is None else _user(found)

    async def bury(self, user_id: str) -> bool:
        """Leave of a user that is being deleted nothing but the id. True for the first time."""
        chosen = ("locale", "currency", "notifications", "time_zone", "quiet_hours", "digest_at")
        gone = ("confirmed_at", "guest", "created_at", *chosen)
        result = await self._users.update_one(
            {"_id": user_id, "deleting": {"$ne": None}, "deleted_at": None},
            {
                "$set": {
                    "email": None,
                    "email_key": f"deleted:{user_id}",
                    "name": "",
                    "role": "customer",
                    "deleted_at": now_ms(),
                },
                "$unset": dict.fromkeys(gone, ""),
            },
        )
        return result.modified_count == 1

    async def set_role(self, user_id: str, role: str) -> bool:
        """Give the user this role. False when there is no such user."""
        result = await self._users.update_one({"_id": user_id}, {"$set": {"role": role}})
        return result.matched_count == 1

    async def change(
        self, user_id: str, changes: Mapping[str, Any], *, end_sessions: bool = False
    ) -> bool:
        """Set these fields of the user. False when there is no such user, or not for long.

        `end_sessions`: all sessions that the user has now end with it.
        """
        update: dict[str, Any] = {"$set": dict(changes)}
        if end_sessions:
            update = {"$set": {**changes, "kept": None}, "$inc": {"epoch": 1}}
        result = await self._users.update_one({"_id": user_id, **_STAYING}, update)
        return result.matched_count == 1

    async def raise_epoch(self, user_id: str, keep: str | None = None) -> None:
        """End all sessions that the user has now, but for `keep`. No matter how often."""
        await self._users.update_one(
            {"_id": user_id}, {"$set": {"kept": keep}, "$inc": {"epoch": 1}}
        )

    async def confirm(self, user_id: str) -> None:
        """Note that the address is theirs."""
        await self._users.update_one(
            {"_id": user_id, "confirmed_at": None, **_STAYING},
            # Not a date: the embedded store makes text of one that an update sets.
            {"$set": {"confirmed_at": now_ms()}},
        )

    async def set_password_hash(
        self, user_id: str, password_hash: str, instead_of: str | None = None
    ) -> bool:
        """Have another password open the account, or the same in another form.

        False when there is no such user, or their hash isn't `instead_of`.
        """
        condition = {"_id": user_id, **_STAYING}
        if instead_of is not None:
            condition["password_hash"] = instead_of
        result = await self._users.update_one(condition, {"$set": {"password_hash": password_hash}})
        return result.matched_count == 1

    async def change_password(
        self,
        user_id: str,
        password_hash: str,
        *,
        instead_of: UserRecord | None = None,
        keep: str | None = None,
    ) -> bool:
        """In one step have another password open the account, and end all sessions but `keep`.

        False when there is no such user, or `instead_of` is given, and since it was read their
        hash has become another or sessions have ended: `keep` may be one of those.
        """
        condition: dict[str, Any] = {"_id": user_id, **_STAYING}
        if instead_of is not None:
            condition["password_hash"] = instead_of.password_hash
            condition["epoch"] = instead_of.user.epoch or None  # at 0 there is no such field
        change = {"$set": {"password_hash": password_hash, "kept": keep}, "$inc": {"epoch": 1}}
        try:
            result = await self._users.update_one(condition, change)
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            result = await self._users.update_one(condition, change)
        if result.matched_count == 1:
            return True
        found = await self._users.find_one({"_id": user_id}, {"password_hash": 1})
        # Hashes are salted: it is ours from before the lost answer, or not at all.
        return found is not None and found.get("password_hash") == password_hash

    async def _is_taken(self, email: str, user_id: str) -> bool:
        """Whether another account has the address."""
        found = await self._users.find_one({"email_key": email_key(email)}, {"_id": 1})
        return found is not None and found["_id"] != user_id

    async def _insert_once(self, document: dict[str, Any]) -> None:
        try:
            await self._users.insert_one(dict(document))
        except DuplicateKeyError:
            existing = await self._users.find_one({"email_key": document["email_key"]}, {"_id": 1})
            if existing is None or existing["_id"] != document["_id"]:
                raise DuplicateEmailError from None


def _ms(time_: object) -> float | None:
    if isinstance(time_, datetime):
        return time_.replace(tzinfo=UTC).timestamp() * 1000
    return time_ if isinstance(time_, int | float) else None


def _is_somebody(document: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    return document is not None and document.get("deleted_at") is None


def _user(document: dict[str, Any]) -> User:
    # The embedded store gives back 1 for a true that an update has set.
    return User(
        id=document["_id"],
        email=document["email"],
        name=document["name"],
        role=document["role"],
        guest=bool(document.get("guest", False)),
        confirmed=document.get("confirmed_at") is not None,
        disabled=bool(document.get("disabled", False)),
        epoch=document.get("epoch", 0),
        kept=document.get("kept"),
        going=any(document.get(field) is not None for field in _STAYING),
        locale=document.get("locale"),
        currency=document.get("currency"),
        notifications={
            kind: wanted if isinstance(wanted, str) else bool(wanted)
            for kind, wanted in document.get("notifications", {}).items()
        },
        time_zone=document.get("time_zone"),
        quiet_hours=document.get("quiet_hours"),
        digest_at=document.get("digest_at", DIGEST_AT),
    )
