"""Invitations by e-mail, one document a cart and address.

`{_id: "inv_…", cart, email, email_key, role, by, created_at, expires_at, hash, accepted_by, v}`.
The `_id` is made from cart and address, so another invitation of the same address takes the place
of the one before. Times are milliseconds since the epoch. `hash` is of the secret in the mailed
link. `accepted_by` is None while it is pending; an accepted one holds no address, and is kept
until it ends, for who accepts it again. `entering` is until when its addressee, who is coming in,
is left alone: it isn't taken back then.

Where somebody is told what becomes of invitations, a document carries that as well, until they
were: `{name, version, changes, steps: […], unsent}`, see `storage.unsent`. `name` is random, as the
`_id` can be computed from an address; `changes` counts its steps; a step is JSON text `{what, at,
cart, role, by, …}`, since the embedded store can't append documents. One that has ended is left
with nothing but these and `ended_at`, and goes when they were told; where nobody tells webhooks,
after a while.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from storage.mongo import Collection, Database, Index
from storage.unsent import UNSENT, Place, Unsent, clear, find_unsent
from storage.users import email_key

COLLECTION: Final = "invitations"
FORMAT_VERSION: Final = 1
INDEXES: Final[tuple[Index, ...]] = (
    Index(COLLECTION, "cart"),
    Index(COLLECTION, "by"),
    Index(COLLECTION, "email_key"),
    Index(COLLECTION, UNSENT),
)

CREATED: Final = "created"
ACCEPTED: Final = "accepted"
WITHDRAWN: Final = "withdrawn"
"""What a step tells."""

ENDING_AT_ONCE: Final = 100
WEBHOOKS_MS: Final = 7 * 86_400_000
"""How long what has ended waits for somebody who tells webhooks of it."""


class EnteringError(Exception):
    """Somebody is coming in by the invitation."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """`by` is the user who invites. `email` is None once it is accepted."""

    id: str

    cart: str
    email: str | None
    role: str
    by: str
    created_at: int
    expires_at: int
    hash: str
    accepted_by: str | None = None
    entering: int = 0


def invitation_id(cart: str, email: str) -> str:
    """Of the invitation of this address, in any spelling, to this cart."""
    digest = hashlib.sha256(f"{cart} {email_key(email)}".encode()).hexdigest()
    return f"inv_{digest[:24]}"


class Invitations:
    """Methods raise PyMongoError when the store is away. Repeating any has no further effect.

    Documents carry their steps until all of `places` were told.
    """

    def __init__(
        self,
        database: Database,
        *,
        places: Place = Place.NONE,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._invitations: Collection = database.collection(COLLECTION)
        self._places = places
        self._now_ms = now_ms

    async def put(self, invitation: Invitation, email: str) -> None:
        """Store an invitation of this address, in the place of an earlier one to that cart."""
        change = {
            "$set": {
                "cart": invitation.cart,
                "email": email,
                "email_key": email_key(email),
                "role": invitation.role,
                "by": invitation.by,
                "created_at": invitation.created_at,
                "expires_at": invitation.expires_at,
                "hash": invitation.hash,
                "accepted_by": None,
                "entering": None,
                "v": FORMAT_VERSION,
            }
        }
        change = self._step(change, CREATED, invitation, expires_at=invitation.expires_at)
        selected = {"_id": invitation.id}
        try:
            await self._invitations.update_one(selected, change, upsert=True)
        except DuplicateKeyError:
            # Another one was first there at the same moment; now it is there to be replaced.
            await self._invitations.update_one(selected, change)

    async def find(self, identity: str) -> Invitation | None:
        """The invitation of this id, ended or not, or None."""
        found = await self._invitations.find_one({"_id": identity})
        return None if found is None or _is_rest(found) else _invitation(found)

    async def of_cart(self, cart: str, limit: int) -> list[Invitation]:
        """At most `limit` invitations to a cart, accepted and ended ones too, in no order."""
        return await self._some({"cart": cart}, limit)

    async def of_inviter(self, user: str, limit: int) -> list[Invitation]:
        """At most `limit` that a user has made, accepted and ended ones too, in no order."""
        return await self._some({"by": user}, limit)

    async def to_address(self, email: str, limit: int) -> list[Invitation]:
        """At most `limit` that went to an address and weren't accepted, in no order."""
        return await self._some({"email_key": email_key(email)}, limit)

    async def begin(self, invitation: Invitation, until_ms: int) -> bool:
        """Have nobody take this invitation back until then. False if it isn't pending any more."""
        pending = {"_id": invitation.id, "hash": invitation.hash, "accepted_by": None}
        change = {"$set": {"entering": until_ms}}
        return (await self._invitations.update_one(pending, change)).matched_count == 1

    async def give_up(self, invitation: Invitation) -> None:
        """Nobody comes in by it for now."""
        begun = {"_id": invitation.id, "hash": invitation.hash}
        await self._invitations.update_one(begun, {"$set": {"entering": None}})

    async def accept(self, invitation: Invitation, user: str) -> None:
        """This invitation, unless another has taken its place, was accepted: forget its address."""
        change = {"$set": {"accepted_by": user}, "$unset": {"email": "", "email_key": ""}}
        await self._invitations.update_one(
            {"_id": invitation.id, "hash": invitation.hash, "accepted_by": None},
            self._step(change, ACCEPTED, invitation, user=user),
        )

    async def remove(self, invitation: Invitation) -> bool:
        """Remove this invitation, but not one that has taken its place. False if it is gone."""
        selected = {"_id": invitation.id, "hash": invitation.hash}
        return await self._end(selected, "void") > 0

    async def remove_from(self, cart: str, identity: str) -> bool:
        """Remove the pending invitation of this id to this cart. False if there is none.

        Raises EnteringError.
        """
        found = await self.find(identity)
        if found is None or found.cart != cart or found.accepted_by is not None:
            return False
        if found.entering > self._now_ms():
            raise EnteringError
        as_read = {"hash": found.hash, "accepted_by": None, "entering": found.entering or None}
        if await self._end({"_id": identity, **as_read}, "taken_back"):
            return True
        return await self.remove_from(cart, identity)  # it has become another meanwhile

    async def remove_cart(self, cart: str) -> None:
        """Remove all invitations to a cart."""
        await self._end({"cart": cart}, "cart_deleted")

    async def remove_user(self, user: str, email: str | None) -> None:
        """Remove all invitations by a user and all to an address, in any spelling."""
        await self._end({"by": user}, "account_deleted")
        if email is not None:
            await self._end({"email_key": email_key(email)}, "account_deleted")

    async def remove_ended(self, now_ms: int) -> int:
        """Remove what has ended by then; answers how many there were."""
        late = {"$lte": now_ms - WEBHOOKS_MS}
        await self._invitations.delete_many(
            {UNSENT: int(Place.WEBHOOKS), "cart": None, "ended_at": late}
        )
        return await self._end({"expires_at": {"$lte": now_ms}}, "ended")

    # Telling

    async def unsent(self, limit: int, place: Place = Place.RELAY) -> list[Unsent]:
        """Some invitations with steps to tell a place, at most `limit`, in no order."""
        found = await find_unsent(self._invitations, place, limit)
        nameless = [one for one in found if "name" not in one.document]
        for one in nameless:  # made by an earlier version
            change = {"$set": {"name": _name()}}
            await self._invitations.update_one({"_id": one.id, "name": None}, change)
        return await find_unsent(self._invitations, place, limit) if nameless else found

    async def sent(self, told: Sequence[Unsent], place: Place = Place.RELAY) -> None:
        """A place was told the steps of these; of further ones it has to be, too."""
        rests = [one for one in told if _is_rest(one.document)]
        others = [one for one in told if not _is_rest(one.document)]
        await clear(self._invitations, place, rests, remove=True)
        await clear(self._invitations, place, others, ("steps",), remove=False)

    def _step(
        self, change: dict[str, Any], what: str, invitation: Invitation, **more: Any
    ) -> dict[str, Any]:
        """The change, and that what it makes is to be told."""
        if not self._places:
            return change
        step = {
            "what": what,
            "at": self._now_ms(),
            "cart": invitation.cart,
            "role": invitation.role,
            "by": invitation.by,
            **more,
        }
        return {
            **change,
            "$set": {**change.get("$set", {}), UNSENT: int(self._places)},
            "$inc": {"version": 1, "changes": 1},
            "$push": {"steps": json.dumps(step)},
            "$setOnInsert": {"name": _name()},
        }

    async def _end(self, selected: dict[str, Any], reason: str) -> int:
        """Remove what is selected; what has to be told first is left with that alone."""
        if not self._places:
            return (await self._invitations.delete_many(selected)).deleted_count
        ended = 0
        while found := await self._documents(selected, ENDING_AT_ONCE):
            for document in found:
                ended += await self._end_one(document, reason)
        return ended

    async def _end_one(self, document: dict[str, Any], reason: str) -> int:
        """1 if it has ended, 0 if it was changed meanwhile and is to be looked at once more."""
        as_read = {name: document.get(name) for name in ("version", "entering")}
        selected = {"_id": document["_id"], **as_read}
        rest = {
            "$unset": dict.fromkeys(_OF_A_LIVING_ONE, ""),
            "$set": {"ended_at": self._now_ms()},
        }
        if document["accepted_by"] is None:
            change = self._step(rest, WITHDRAWN, _invitation(document), reason=reason)
        elif UNSENT in document:
            change = {**rest, "$inc": {"version": 1}}
        else:
            return (await self._invitations.delete_one(selected)).deleted_count
        return (await self._invitations.update_one(selected, change)).matched_count

    async def _some(self, selected: dict[str, str], limit: int) -> list[Invitation]:
        return [_invitation(found) for found in await self._documents(selected, limit)]

    async def _documents(self, selected: dict[str, Any], limit: int) -> list[dict[str, Any]]:
        # In one answer: see `mongo.by_ids`.
        return (
            await self._invitations.find(selected, batch_size=limit + 1).limit(limit).to_list(None)
        )


_OF_A_LIVING_ONE: Final = (
    "cart",
    "email",
    "email_key",
    "role",
    "by",
    "created_at",
    "expires_at",
    "hash",
    "accepted_by",
    "entering",
)


def _is_rest(document: dict[str, Any]) -> bool:
    """Whether it has ended, and is there only to be told of."""
    return "cart" not in document


def _name() -> str:
    return f"inv_{secrets.token_hex(12)}"


def _invitation(document: dict[str, Any]) -> Invitation:
    return Invitation(
        id=document["_id"],
        cart=document["cart"],
        email=document.get("email"),
        role=document["role"],
        by=document["by"],
        created_at=document["created_at"],
        expires_at=document["expires_at"],
        hash=document["hash"],
        accepted_by=document["accepted_by"],
        entering=document.get("entering") or 0,
    )
