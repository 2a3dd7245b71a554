"""Deleting an account: nothing is left of who it was, but for the id in carts' logs.

That takes several steps, each of which may be the last before a crash. So the intention is stored
first, every step is harmless when it was done before, and whoever finds the intention completes
it: the request itself, each instance at start and from then on regularly. Several may do so at
once. The address is free for another account once all is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from commerce.accounts.errors import InvalidSessionError, WrongPasswordError
from commerce.accounts.every_cart import in_every_cart
from commerce.accounts.guests import RoomsBusyError
from commerce.accounts.passwords import Passwords
from commerce.accounts.principal import Principal
from commerce.accounts.security import Event, note
from commerce.accounts.sessions import Sessions
from storage.deletions import DeletionRecord, DeletionRecords
from storage.memberships import Membership, Memberships
from storage.mongo import StoreError
from storage.users import User, Users

CARTS_MAX: Final = 5_000
"""As many as a user's list has."""
CARTS_AT_ONCE: Final = 8
WAIT_S: Final = 5.0
"""Who asks waits no longer. The rest follows."""
SETTLE_S: Final = 120.0
"""So long after the beginning others may have noted something of the user that was under way, on
this instance or another; each takes a last look until then."""
RECORDS_MAX: Final = 1_000
"""Deletions completed in one round of upkeep."""

log = logging.getLogger(__name__)

Forget = Callable[[User], Awaitable[object]]
"""Removes what one part of the service holds of a user; harmless when it has none."""


class LeavingCarts(Protocol):
    """Changes carts, through their rooms."""

    async def depart(self, membership: Membership) -> None:
        """Have a user leave a cart for good; twice is as once. Raises RoomsBusyError."""


class Deletions:
    """Deletes accounts, guests' too. `forget`: what is to be done of each part, named for the logs.

    `now`: seconds since the epoch.
    """

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        sessions: Sessions,
        records: DeletionRecords,
        *,
        memberships: Memberships,
        carts: LeavingCarts,
        forget: Mapping[str, Forget],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._sessions = sessions
        self._records = records
        self._memberships = memberships
        self._carts = carts
        self._forget = forget
        self._now = now
        self._slots = asyncio.Semaphore(CARTS_AT_ONCE)
        self._work: set[asyncio.Task[None]] = set()

    async def delete(self, who: Principal, password: str | None) -> None:
        """Delete one's own account. Guests have no password to give.

        Once this returns it will be done, whatever happens; most often it is. Raises
        WrongPasswordError, InvalidSessionError, and PasswordsBusyError before anything was done.
        """
        await self._prove(who, password)
        record = DeletionRecord(who.user, int(self._now() * 1000))
        await self._records.add(record)
        note(Event.DELETION_BEGUN, who.user, session=who.session)
        task = asyncio.create_task(self._try(record), name=f"delete {who.user}")
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        await asyncio.wait([task], timeout=WAIT_S)

    async def complete(self) -> None:
        """Complete what was begun for anybody. What can't be done now is left for later."""
        for record in await self._records.all(RECORDS_MAX):
            await self._try(record)

    async def close(self) -> None:
        """Stop. What isn't done is completed by others."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _prove(self, who: Principal, password: str | None) -> None:
        record = await self._users.find_record(who.user)
        if record is None:
            raise InvalidSessionError
        if record.user.guest:
            return
        if not await self._passwords.verify(password or "", record.password_hash):
            note(Event.PASSWORD_REFUSED, who.user, session=who.session)
            raise WrongPasswordError("password")

    async def _try(self, record: DeletionRecord) -> None:
        where = {"user": record.user}
        try:
            await self._complete(record)
        except (RoomsBusyError, StoreError, OSError) as error:
            log.warning("A deletion waits: %s", type(error).__name__, extra=where)
        except Exception:
            log.exception("A deletion failed", extra=where)

    async def _complete(self, record: DeletionRecord) -> None:
        user = await self._users.begin_deletion(record.user, record.since)
        if user is None:
            # A guest who is an account's by now: what they had goes there.
            await self._records.remove(record.user)
            return
        self._sessions.ended_before(user.id, user.epoch)
        await in_every_cart(self._memberships, user.id, CARTS_MAX, self._slots, self._carts.depart)
        for forget in self._forget.values():
            await forget(user)
        if await self._users.bury(user.id):
            note(Event.DELETED, None, user=user.id)
        self._sessions.renamed(user.id)
        if self._now() * 1000 - record.since > SETTLE_S * 1000:
            await self._records.remove(user.id)
