"""Mails about what others have changed in one's carts, as each member wants them.

Notifications are noted as they come. Once something is due for a user, one of those who run this
claims them, looks at what is still unread then, and sends one mail of all of it. Claims are
conditional updates, so two workers send one mail. A mail is marked as sent after the mail server
has taken it: should a worker end between the two, it is sent once more, under the same Message-ID.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from commerce.mail import Address, Mailer, MailError
from commerce.notifying.schedule import (
    Preferences,
    after_quiet,
    due_at,
    is_quiet,
    preferences_of,
)
from commerce.notifying.telling import MAILED, facts_of, mail_id
from commerce.notifying.unsubscribing import UnsubscribeTokens, Wish
from storage.cart_settings import CartSettings
from storage.mail_due import Due, MailDue
from storage.memberships import Memberships
from storage.mongo import Database, StoreError
from storage.notifications import CHANGES, Notification, Notifications
from storage.times import now_ms
from storage.users import User, Users

POLL_S: Final = 2.0
"""How often it is looked for what is due, give or take a half."""
BATCH_MAX: Final = 64
"""Users that are found due at once."""
AT_ONCE: Final = 4
"""Users that are seen to at once."""
LEASE_S: Final = 120.0
"""So long a user is left to who has claimed them, who may have come to an end."""
PREPARE_S: Final = 30.0
"""Longest time from a claim to handing out the mail; it is left for the next one then."""
SEND_S: Final = 60.0
"""Longest time for handing out a mail. With the one above, well within a claim's."""
SETTLE_MS: Final = 5_000
"""What comes all at once is mailed together, also when it comes so late that it is due already."""
RETRY_DELAYS_S: Final = (60.0, 300.0, 900.0, 3_600.0, 3 * 3_600.0, 6 * 3_600.0, 12 * 3_600.0)
"""After temporary failures. Then what was to be mailed isn't; it is in the inbox all the same."""
STOP_S: Final = 5.0
"""At the end, for mails that are being handed out."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """What mailings are made of."""

    due: MailDue
    users: Users
    notifications: Notifications
    settings: CartSettings
    memberships: Memberships

    @classmethod
    def of(cls, database: Database) -> Stores:
        return cls(
            MailDue(database),
            Users(database),
            Notifications(database),
            CartSettings(database),
            Memberships(database),
        )


class Mailings:
    """One a worker; as many as one likes.

    `window_s`: how long what a member does is collected. `after_s`: how much later it is known.
    """

    def __init__(
        self,
        stores: Stores,
        mailer: Mailer,
        tokens: UnsubscribeTokens,
        *,
        window_s: float,
        after_s: float,
    ) -> None:
        self._stores = stores
        self._mailer = mailer
        self._tokens = tokens
        self._window_ms = round(window_s * 1_000)
        self._after_ms = round(after_s * 1_000)
        self._work: set[asyncio.Task[None]] = set()

    async def note(self, user: str, notification: str, at_ms: int, kind: str) -> None:
        """A notification is stored, and whole from `at_ms` on. More often is as once.

        Raises PyMongoError when the store is away.
        """
        if kind not in MAILED:
            return
        wanting = _wanting(await self._stores.users.find(user))
        due = None if wanting is None else due_at(wanting[1], at_ms + self._after_ms)
        if due is not None:
            settled = now_ms() + min(SETTLE_MS, self._window_ms)
            await self._stores.due.note(user, max(due, settled))

    async def run(self) -> None:
        """See to what is due, until cancelled. Then what is being handed out has a moment yet."""
        try:
            while True:
                try:
                    found = await self._round()
                except StoreError as error:
                    log.warning("Mails wait for the store: %s", type(error).__name__)
                    found = 0
                if found < BATCH_MAX:
                    await asyncio.sleep(POLL_S * random.uniform(0.5, 1.5))  # noqa: S311
        finally:
            if self._work:
                await asyncio.wait(self._work, timeout=STOP_S)
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    async def _round(self) -> int:
        found = await self._stores.due.due_by(now_ms(), BATCH_MAX)
        random.shuffle(found)  # so that two workers don't go for the same all the time
        for due in found:
            while len(self._work) >= AT_ONCE:
                await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._see_to(due), name=f"mail {due.user}")
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        if self._work:
            await asyncio.wait(self._work)
        return len(found)

    async def _see_to(self, due: Due) -> None:
        where = {"user": due.user}
        try:
            claim, now = secrets.token_hex(8), now_ms()
            if await self._stores.due.claim(due, claim, now + round(LEASE_S * 1_000)):
                async with asyncio.timeout(LEASE_S):
                    then, fields = await self._mail(due, now)
                await self._stores.due.settle(due, claim, then, **fields)
        except (StoreError, TimeoutError) as error:
            # The claim ends by itself.
            log.warning("A mail about changes waits: %s", type(error).__name__, extra=where)
        except Exception:
            log.exception("A mail about changes failed", extra=where)

    async def _mail(self, due: Due, now: int) -> tuple[int | None, dict[str, int]]:
        """Send what is to be sent; answers when to look again, and what to keep of this time."""
        began = time.monotonic()
        wanting = _wanting(await self._stores.users.find(due.user))
        if wanting is None:
            return None, {}
        user, preferences = wanting
        inbox = await self._stores.notifications.inbox(user.id)
        open_ = [one for one in inbox.items if _is_open(one)]
        times = {one.id: due_at(preferences, self._ready_at(one)) or now for one in open_}
        ripe = [one for one in open_ if times[one.id] <= now]
        later = min((at for at in times.values() if at > now), default=None)
        if not ripe:
            return later, {}
        if (earliest := self._earliest(preferences, due, now)) > now:
            return earliest, {}
        told = await self._wanted(user, ripe)
        if time.monotonic() - began > PREPARE_S:
            raise TimeoutError
        try:
            if told:
                await self._send(user, preferences, told)
        except MailError as error:
            if error.temporary and due.tries < len(RETRY_DELAYS_S):
                return now + round(RETRY_DELAYS_S[due.tries] * 1_000), {"tries": due.tries + 1}
            log.error("Changes are not mailed: %s", error, extra={"user": user.id})
        await self._stores.notifications.mark_mailed(user.id, ripe)
        if preferences.changes == "at_once" and told:
            return now + self._window_ms, {"tries": 0, "mailed_at": now}
        return later, {"tries": 0}

    def _ready_at(self, one: Notification) -> int:
        """When what is collected is whole, and known to be."""
        return self._after_ms + (one.opened_at + self._window_ms if one.kind == CHANGES else one.at)

    def _earliest(self, preferences: Preferences, due: Due, now: int) -> int:
        """Nobody is mailed in quiet hours, nor twice within the time of a collection."""
        if preferences.changes == "at_once":
            now = max(now, due.mailed_at + self._window_ms)
        return after_quiet(preferences, now) if is_quiet(preferences, now) else now

    async def _wanted(self, user: User, ripe: Sequence[Notification]) -> list[Notification]:
        """Without carts that are muted now, or that they aren't in any more."""
        carts = sorted({one.cart for one in ripe})
        muted = await self._stores.settings.muted_by(user.id, carts)
        is_in = await self._stores.memberships.still_in(user.id, carts)
        return [
            one
            for one in ripe
            if one.kind != CHANGES or (one.cart in is_in and one.cart not in muted)
        ]

    async def _send(
        self, user: User, preferences: Preferences, told: Sequence[Notification]
    ) -> None:
        actors = {one.actor for one in told}
        names = await self._stores.users.names_of_staying(actors)

        def mute(cart: str) -> str:
            return self._tokens.make(Wish(user.id, "cart", cart))

        facts: dict[str, Any] = facts_of(told, names, mute)
        try:
            async with asyncio.timeout(SEND_S):
                await self._mailer.deliver(
                    "digest" if preferences.changes == "digest" else "changes",
                    Address(user.id, user.email or "", user.name, user.locale),
                    actors,
                    mail=mail_id(user.id, told),
                    unsubscribe=self._tokens.make(Wish(user.id, "changes")),
                    **facts,
                )
        except TimeoutError as error:
            raise MailError("it took too long", temporary=True) from error


def _wanting(user: User | None) -> tuple[User, Preferences] | None:
    """The user and what they want, if they can be mailed and want to."""
    if user is None or user.guest or user.going or user.disabled:
        return None
    if user.email is None or not user.confirmed:
        return None
    preferences = preferences_of(user)
    return None if preferences.changes == "none" else (user, preferences)


def _is_open(one: Notification) -> bool:
    return one.kind in MAILED and not one.read and not one.mailed
