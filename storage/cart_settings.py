"""What a member has set for one cart and themselves alone: one document a user and cart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from storage.mongo import Collection, Database, Index, by_ids

COLLECTION: Final = "cart_settings"
INDEXES: Final = (Index(COLLECTION, "user"),)


class CartSettings:
    """`{_id: "<user>:<cart>", user, cart, muted}`. Raises PyMongoError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._settings: Collection = database.collection(COLLECTION)

    async def mute(self, user: str, cart: str, *, muted: bool) -> None:
        """Have the user hear no more, or again, of what others do in a cart. Twice is as once."""
        await self._put(user, cart, {"$set": {"user": user, "cart": cart, "muted": muted}})

    async def muted_by(self, user: str, carts: Sequence[str]) -> set[str]:
        """Those of the carts that the user has muted."""
        return {one["cart"] for one in await self._muted([_id(user, cart) for cart in carts])}

    async def muting(self, cart: str, users: Iterable[str]) -> set[str]:
        """Those of the users who have muted the cart."""
        return {one["user"] for one in await self._muted([_id(user, cart) for user in users])}

    async def _muted(self, ids: Sequence[str]) -> list[dict[str, str]]:
        return [one for one in await by_ids(self._settings, ids) if one["muted"]]

    async def all_muted_by(self, user: str, limit: int) -> list[str]:
        """The carts that the user has muted, at most `limit`."""
        found = await self._settings.find({"user": user}, batch_size=2 * limit).to_list(limit)
        return sorted(one["cart"] for one in found if one["muted"])

    async def move(self, user: str, into: str, limit: int) -> None:
        """Give a user's settings to another one, who keeps their own. Twice is as once.

        At most `limit` of them; what is set meanwhile goes along, or stays for the next time.
        """
        found = await self._settings.find({"user": user}, batch_size=2 * limit).to_list(limit)
        for one in found:
            if one["muted"]:
                given = {"user": into, "cart": one["cart"], "muted": True}
                await self._put(into, one["cart"], {"$setOnInsert": given})
            # As it is now it was given; set anew, it hasn't been.
            await self._settings.delete_one({"_id": one["_id"], "muted": one["muted"]})

    async def forget(self, user: str) -> None:
        """Remove a user's settings."""
        await self._settings.delete_many({"user": user})

    async def _put(self, user: str, cart: str, change: dict[str, Any]) -> None:
        selected = {"_id": _id(user, cart)}
        try:
            await self._settings.update_one(selected, change, upsert=True)
        except DuplicateKeyError:  # two have both tried to add it; now it is there
            await self._settings.update_one(selected, change, upsert=True)


def _id(user: str, cart: str) -> str:
    return f"{user}:{cart}"
