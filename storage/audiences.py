"""Who is in which cart, as a consumer of its events knows: one document a cart.

It says up to which rev all effects of the cart's events are stored. Whoever makes them moves it on
afterwards, from the very rev that they began at: so of two only one goes on, and what comes again
is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "audiences"
INDEXES: Final[tuple[Index, ...]] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A collection of what one member does: its first rev, and when it began, in milliseconds."""

    first_rev: int
    opened_at: int


@dataclass(frozen=True, slots=True)
class Audience:
    """A cart after the event `rev`: its name, its members, and the open collections by member."""

    cart: str
    rev: int = 0
    name: str = ""
    members: frozenset[str] = frozenset()
    windows: Mapping[str, Window] = field(default_factory=dict)


class Audiences:
    """Methods raise PyMongoError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._audiences: Collection = database.collection(COLLECTION)

    async def load(self, cart: str) -> Audience | None:
        found = await self._audiences.find_one({"_id": cart})
        return None if found is None else _audience(found)

    async def advance(self, before: Audience | None, after: Audience) -> bool:
        """Store `after` if `before` is what is stored; None: nothing is. False when it isn't."""
        values = {
            "rev": after.rev,
            "name": after.name,
            "members": sorted(after.members),
            "windows": [
                {"user": user, "first_rev": one.first_rev, "opened_at": one.opened_at}
                for user, one in after.windows.items()
            ],
        }
        if before is None:
            try:
                await self._audiences.insert_one({"_id": after.cart, **values})
            except DuplicateKeyError:
                return False
            return True
        result = await self._audiences.update_one(
            {"_id": after.cart, "rev": before.rev}, {"$set": values}
        )
        return result.matched_count == 1


def _audience(document: dict[str, Any]) -> Audience:
    return Audience(
        cart=document["_id"],
        rev=document["rev"],
        name=document["name"],
        members=frozenset(document["members"]),
        windows={
            one["user"]: Window(one["first_rev"], one["opened_at"]) for one in document["windows"]
        },
    )
