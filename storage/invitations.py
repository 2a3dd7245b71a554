"""Invitations by e-mail, one document a cart and address.

`{_id: "inv_…", cart, email, email_key, role, by, created_at, expires_at, hash, accepted_by, v}`.
The `_id` is made from cart and address, so another invitation of the same address takes the place
of the one before. Times are milliseconds since the epoch. `hash` is of the secret in the mailed
link. `accepted_by` is None while it is pending; an accepted one holds no address, and is kept
until it ends, for who accepts it again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from storage.mongo import Collection, Database, Index
from storage.users import email_key

COLLECTION: Final = "invitations"
FORMAT_VERSION: Final = 1
INDEXES: Final[tuple[Index, ...]] = (
    Index(COLLECTION, "cart"),
    Index(COLLECTION, "by"),
    Index(COLLECTION, "email_key"),
)


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


def invitation_id(cart: str, email: str) -> str:
    """Of the invitation of this address, in any spelling, to this cart."""
    digest = hashlib.sha256(f"{cart} {email_key(email)}".encode()).hexdigest()
    return f"inv_{digest[:24]}"


class Invitations:
    """Methods raise PyMongoError when the store is away. Repeating any has no further effect."""

    def __init__(self, database: Database) -> None:
        self._invitations: Collection = database.collection(COLLECTION)

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
                "v": FORMAT_VERSION,
            }
        }
        selected = {"_id": invitation.id}
        try:
            await self._invitations.update_one(selected, change, upsert=True)
        except DuplicateKeyError:
            # Another one was first there at the same moment; now it is there to be replaced.
            await self._invitations.update_one(selected, change)

    async def find(self, identity: str) -> Invitation | None:
        """The invitation of this id, ended or not, or None."""
        found = await self._invitations.find_one({"_id": identity})
        return None if found is None else _invitation(found)

    async def of_cart(self, cart: str, limit: int) -> list[Invitation]:
        """At most `limit` invitations to a cart, accepted and ended ones too, in no order."""
        return await self._some({"cart": cart}, limit)

    async def of_inviter(self, user: str, limit: int) -> list[Invitation]:
        """At most `limit` that a user has made, accepted and ended ones too, in no order."""
        return await self._some({"by": user}, limit)

    async def to_address(self, email: str, limit: int) -> list[Invitation]:
        """At most `limit` that went to an address and weren't accepted, in no order."""
        return await self._some({"email_key": email_key(email)}, limit)

    async def accept(self, invitation: Invitation, user: str) -> None:
        """This invitation, unless another has taken its place, was accepted: forget its address."""
        await self._invitations.update_one(
            {"_id": invitation.id, "hash": invitation.hash},
            {"$set": {"accepted_by": user}, "$unset": {"email": "", "email_key": ""}},
        )

    async def remove(self, invitation: Invitation) -> bool:
        """Remove this invitation, but not one that has taken its place. False if it is gone."""
        selected = {"_id": invitation.id, "hash": invitation.hash}
        result = await self._invitations.delete_one(selected)
        return result.deleted_count == 1

    async def remove_from(self, cart: str, identity: str) -> bool:
        """Remove the pending invitation of this id to this cart. False if there is none."""
        selected = {"_id": identity, "cart": cart, "accepted_by": None}
        result = await self._invitations.delete_one(selected)
        return result.deleted_count == 1

    async def remove_cart(self, cart: str) -> None:
        """Remove all invitations to a cart."""
        await self._invitations.delete_many({"cart": cart})

    async def remove_user(self, user: str, email: str | None) -> None:
        """Remove all invitations by a user and all to an address, in any spelling."""
        await self._invitations.delete_many({"by": user})
        if email is not None:
            await self._invitations.delete_many({"email_key": email_key(email)})

    async def remove_ended(self, now_ms: int) -> int:
        """Remove what has ended by then; answers how many there were."""
        result = await self._invitations.delete_many({"expires_at": {"$lte": now_ms}})
        return result.deleted_count

    async def _some(self, selected: dict[str, str], limit: int) -> list[Invitation]:
        # In one answer: see `mongo.by_ids`.
        cursor = self._invitations.find(selected, batch_size=limit + 1).limit(limit)
        return [_invitation(found) for found in await cursor.to_list(None)]


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
    )
