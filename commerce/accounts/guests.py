"""Guests who log in: what is theirs becomes their account's.

That takes several steps, each of which may be the last before a crash. So the intention is stored
first, every step is harmless when it was done before, and whoever finds the intention completes
it: the log-in itself, each instance at start and from then on regularly, the account's next
log-in. Several may do so at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from commerce.accounts.every_cart import in_every_cart
from commerce.accounts.sessions import Sessions
from storage.memberships import Membership, Memberships
from storage.merges import MergeRecord, MergeRecords
from storage.mongo import StoreError
from storage.users import Users

CARTS_MAX: Final = 5_000
"""As many as a user's list has."""
CARTS_AT_ONCE: Final = 8
LOGIN_WAIT_S: Final = 3.0
"""A log-in waits no longer for its guest's carts. They follow."""
SETTLE_S: Final = 60.0
"""So long after the beginning somebody may yet have let the guest in to a cart, who was asked to
before; a last look is taken then."""
RECORDS_MAX: Final = 1_000
"""Merges completed in one round of upkeep."""

log = logging.getLogger(__name__)


HandOver = Callable[[str, str], Awaitable[None]]
"""Makes what else is a guest's the account's; twice is as once."""


class RoomsBusyError(Exception):
    """A cart can't be changed now. Try again later."""


class GuestCarts(Protocol):
    """Changes carts, through their rooms."""

    async def merge(self, membership: Membership, into: str) -> None:
        """Make what the guest of this membership has in its cart `into`'s; twice is as once.

        Raises RoomsBusyError.
        """


class Guests:
    """Merges guests into accounts. `now`: seconds since the epoch."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        records: MergeRecords,
        memberships: Memberships,
        carts: GuestCarts,
        *,
        hand_over: HandOver,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._records = records
        self._memberships = memberships
        self._carts = carts
        self._hand_over = hand_over
        self._now = now
        self._slots = asyncio.Semaphore(CARTS_AT_ONCE)
        self._work: set[asyncio.Task[None]] = set()

    async def begin(self, guest: str, into: str) -> None:
        """Have a guest become part of an account. Whoever asks has proved to be both.

        Once this returns, that will be done, whatever happens.
        """
        await self._records.add(MergeRecord(guest, into, int(self._now() * 1000)))

    async def complete_for(self, account: str) -> None:
        """Complete what was begun for an account. What takes long goes on after this."""
        records = await self._records.of_account(account)
        if records:
            await self._do_for_a_while(records)

    async def complete(self) -> None:
        """Complete what was begun for anybody. What can't be done now is left for later."""
        for record in await self._records.all(RECORDS_MAX):
            await self._try(record)

    async def close(self) -> None:
        """Stop. What isn't done is completed by others."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _do_for_a_while(self, records: list[MergeRecord]) -> None:
        tasks = [
            asyncio.create_task(self._try(record), name=f"merge {record.guest}")
            for record in records
        ]
        for task in tasks:
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        await asyncio.wait(tasks, timeout=LOGIN_WAIT_S)

    async def _try(self, record: MergeRecord) -> None:
        where = {"guest": record.guest, "into": record.into}
        try:
            await self._complete(record)
        except (RoomsBusyError, StoreError) as error:
            log.warning("A merge waits: %s", type(error).__name__, extra=where)
        except Exception:
            log.exception("A merge failed", extra=where)

    async def _complete(self, record: MergeRecord) -> None:
        epoch = await self._users.begin_merge(record.guest, record.into)
        if epoch is None:
            # An account by now: somebody has registered with the guest's other session.
            await self._records.remove(record.guest)
            return
        self._sessions.ended_before(record.guest, epoch)

        async def merge(membership: Membership) -> None:
            await self._carts.merge(membership, record.into)

        await in_every_cart(self._memberships, record.guest, CARTS_MAX, self._slots, merge)
        await self._hand_over(record.guest, record.into)
        await self._users.bury_guest(record.guest)
        self._sessions.ended_before(record.guest, epoch)  # the name is gone, too
        if self._now() * 1000 - record.since > SETTLE_S * 1000:
            await self._records.remove(record.guest)
