"""Carts as they are stored, for who reads out an account: no room is opened for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from realtime.entries import decode_entries
from realtime.reducer import apply
from realtime.state import CartState, Shelf
from storage.carts import Carts
from storage.oplog import Log
from storage.times import rfc3339

REVS_AT_ONCE: Final = 256


class StoredCarts:
    """Implements `commerce.accounts.export.CartArchive`."""

    def __init__(self, log: Log, carts: Carts) -> None:
        self._log = log
        self._carts = carts

    async def part_of(self, user: str, cart: str) -> dict[str, Any] | None:
        """Their role, the lines for them, and the cart's name and note.

        Raises PyMongoError when the store is away, NewerFormatError for a later version's data.
        """
        snapshot = await self._carts.load(cart)
        state = CartState(cart) if snapshot is None else CartState.from_document(snapshot)
        for document in await self._log.tail(cart, state.rev):
            for entry in decode_entries(document):
                apply(state, entry)
        role = state.role(user)
        if role is None:
            return None
        return {
            "rev": state.rev,
            "name": state.name,
            "currency": state.currency,
            "role": role,
            "note": state.note,
            "lines": _lines_for(state.shelf, user),
            "saved": _lines_for(state.saved, user),
        }

    async def ops_of(self, user: str, cart: str, head: int) -> AsyncIterator[dict[str, Any]]:
        """The ops by the user up to rev `head`, as they took effect."""
        for low in range(1, head + 1, REVS_AT_ONCE):
            high = min(low + REVS_AT_ONCE - 1, head)
            for document in await self._log.covering(cart, low, high):
                for entry in decode_entries(document):
                    if entry.by == user and low <= entry.rev <= high:
                        yield {"rev": entry.rev, "at": rfc3339(entry.at), "op": entry.op}


def _lines_for(shelf: Shelf, user: str) -> list[dict[str, Any]]:
    lines = [line for line in shelf.lines.values() if line.member == user]
    found: list[dict[str, Any]] = msgspec.to_builtins(lines)
    return found
