"""The notifier: what happened in carts gets into the inboxes of those who weren't there.

Each cart's audience says up to which rev that was done. Effects come first, then the audience moves
on; an inbox knows up to which rev each of its notifications tells. So the same events again, older
ones again, two notifiers at once, or one that ended anywhere, make what one would have made.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.event import CART, Event
from events.from_log import events_of
from events.notifications.digest import told
from events.notifications.following import Following, Gone, News
from events.notifications.ports import Names, NobodyElse, OnNotified, Pushes
from storage.audiences import Audience, Audiences
from storage.cart_settings import CartSettings
from storage.carts import Carts
from storage.mongo import Database, StoreError
from storage.notifications import CHANGES, DELETED, REMOVED, Inbox, Notification, Notifications
from storage.oplog import OpLog
from storage.seen import Seen
from storage.users import Users

EVENTS_AT_ONCE: Final = 256
READ_AT_ONCE: Final = 500
"""Revs of the log that are read at once, where events are missing."""
GAP_MAX: Final = 10_000
"""Where more are missing, the cart's snapshot tells who is in it, and they are told to nobody."""
TELLING_AT_ONCE: Final = 8
AUDIENCES_KEPT: Final = 1_000
OLD_MS: Final = 7 * 86_400_000
"""What is older when it comes is told to nobody."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """What the notifier works on."""

    audiences: Audiences
    notifications: Notifications
    settings: CartSettings
    seen: Seen
    carts: Carts
    log: OpLog
    users: Users

    @classmethod
    def of(cls, database: Database) -> Stores:
        return cls(
            Audiences(database),
            Notifications(database),
            CartSettings(database),
            Seen(database),
            Carts(database),
            OpLog(database),
            Users(database),
        )


class Notifier:
    """`window_s`: how long what one member does is told as one."""

    def __init__(
        self,
        stores: Stores,
        names: Names,
        pushes: Pushes,
        on_notified: OnNotified | None = None,
        *,
        window_s: float,
    ) -> None:
        self._stores = stores
        self._names = names
        self._pushes = pushes
        self._on_notified = on_notified or NobodyElse()
        self._window_ms = int(window_s * 1_000)
        self._kept: OrderedDict[str, Audience] = OrderedDict()
        """Audiences as they are after what was handled last; that may be later than stored."""
        self._stored: dict[str, Audience | None] = {}
        """Of these, what is stored, as far as we know."""
        self._slots = asyncio.Semaphore(TELLING_AT_ONCE)

    async def handle(self, events: Sequence[Event], *, lenient: bool = False) -> None:
        """Tell of consecutive events of one cart; repeats are allowed. Others are passed over.

        Once this returns they never need to come again. Raises PyMongoError when the store is away,
        KeyError and the like for what is no event of a cart; then handle the same again. If
        `lenient`, what is no event is told to nobody.
        """
        ops = [event for event in events if event.type.startswith(CART)]
        for start in range(0, len(ops), EVENTS_AT_ONCE):
            part = ops[start : start + EVENTS_AT_ONCE]
            try:
                await self._reach(part[0].key, part, lenient)
            except StoreError:
                raise  # what was begun is begun again, and ended
            except BaseException:
                self._forget(part[0].key)
                raise

    async def _reach(self, cart: str, events: Sequence[Event], lenient: bool) -> None:
        last = max(event.sequence for event in events)
        kept = self._kept.get(cart)
        if kept is not None and kept.rev + 1 < min(event.sequence for event in events):
            self._forget(cart)  # another has had it meanwhile, and told of what is missing here
        while (audience := await self._audience(cart)).rev < last:
            if last - audience.rev > GAP_MAX and await self._leap(audience, events[0].sequence):
                continue
            fresh = _following(audience.rev, events)
            if fresh:
                steps = _steps(audience, fresh, self._window_ms, lenient=lenient)
            else:
                # Somebody has given up on what is missing, or we have: it mustn't stop the others.
                missing = await self._logged(cart, audience.rev + 1, last)
                fresh = _following(audience.rev, missing)
                steps = _steps(audience, fresh, self._window_ms, lenient=True)
            await self._take(steps)

    # Audiences

    async def _audience(self, cart: str) -> Audience:
        kept = self._kept.get(cart)
        if kept is not None:
            self._kept.move_to_end(cart)
            return kept
        stored = await self._stores.audiences.load(cart)
        return self._keep(stored or Audience(cart), stored)

    def _keep(self, audience: Audience, stored: Audience | None) -> Audience:
        self._kept[audience.cart] = audience
        self._stored[audience.cart] = stored
        if len(self._kept) > AUDIENCES_KEPT:
            self._forget(next(iter(self._kept)))
        return audience

    def _forget(self, cart: str) -> None:
        self._kept.pop(cart, None)
        self._stored.pop(cart, None)

    async def _advance(
        self, stored: Audience | None, after: Audience, told: Iterable[str] = ()
    ) -> bool:
        """Store it; if another was faster, look anew at what is stored. `told` are who were."""
        if await self._stores.audiences.advance(stored, after):
            self._keep(after, after)
            return True
        await self._take_back(after.cart, told)
        self._forget(after.cart)
        return False

    async def _take_back(self, cart: str, told: Iterable[str]) -> None:
        """Leave nothing with those of whom another had parted when we told them."""
        now = await self._stores.audiences.load(cart)
        out = set(told) - (now.members if now is not None else set())
        for user in await self._stores.users.going(out):
            await self._stores.notifications.drop(user, cart)

    async def _leap(self, before: Audience, first: int) -> bool:
        """Go to right before `first`, or as near as the snapshot leads, without telling anybody.

        False when it leads nowhere.
        """
        cart, stored = before.cart, self._stored.get(before.cart)
        snapshot = await self._stores.carts.load(cart)
        if snapshot is None or min(snapshot["rev"], first - 1) <= before.rev:
            return False
        members: list[dict[str, Any]] = snapshot["members"]
        rev = min(snapshot["rev"], first - 1)
        users = frozenset(one["user"] for one in members if one.get("since", 0) <= rev)
        log.warning("Notifications begin at rev %d", rev + 1, extra={"cart": cart})
        await self._advance(stored, Audience(cart, rev, snapshot["name"], users))
        return True

    async def _logged(self, cart: str, first: int, last: int) -> list[Event]:
        """The events from `first` on, as the log has them, some of those up to `last`."""
        high = min(last, first + READ_AT_ONCE - 1)
        commits = await self._stores.log.covering(cart, first, high)
        return [event for commit in commits for event in events_of(commit)]

    # Telling

    async def _take(self, steps: Iterable[Following]) -> None:
        """Do what came of events, and move the audience on."""
        for following in steps:
            after = following.audience
            before, stored = self._kept.get(after.cart), self._stored.get(after.cart)
            if before is None or before.rev != following.begun:
                return  # another notifier was faster; from here on it is looked at anew
            told = await self._tell(after.cart, following.news)
            gone = await self._gone(following)
            for one in gone:
                await self._part_with(after.cart, one)
            if not (told or gone or stored is None or _differs(before, after)):
                # Nobody has to know: gone through again, it comes to nothing again.
                self._keep(after, stored)
            elif await self._advance(stored, after, told):
                # Not before: who tells of the same again has to know what they had seen.
                await self._stores.seen.forget(after.cart, following.left, after.rev)

    async def _gone(self, following: Following) -> list[Gone]:
        """Of whom to part: no later event of the cart will tell of who has left it before."""
        gone = [] if following.gone is None else [following.gone]
        others = following.left - {one.user for one in gone}
        if others:
            going = await self._stores.users.going(others)
            gone += [Gone(user, into) for user, into in going.items()]
        return gone

    async def _tell(self, cart: str, news: Sequence[News]) -> Sequence[str]:
        """Have everybody told; answers who had anything to be told."""
        by_user: dict[str, list[News]] = {}
        old = int(time.time() * 1_000) - OLD_MS
        for one in news:
            if one.facts[-1].at > old:
                for user in one.recipients:
                    by_user.setdefault(user, []).append(one)
        if not by_user:
            return []
        seen = await self._stores.seen.of_cart(cart)
        behind = [user for user, told_of in by_user.items() if _last(told_of) > seen.get(user, 0)]
        muting = await self._stores.settings.muting(cart, behind)
        somebody = await self._somebody(by_user)
        await _all(
            self._tell_one(user, cart, by_user[user], seen.get(user, 0), user in muting)
            for user in behind
            if user in somebody
        )
        return behind

    async def _somebody(self, by_user: dict[str, list[News]]) -> set[str]:
        """Those who can be told. Of members a later event will say when they are gone."""
        out = {user for user, news in by_user.items() if news[-1].kind in (REMOVED, DELETED)}
        return (by_user.keys() - out) | (set(await self._names(out)) if out else set())

    async def _tell_one(
        self, user: str, cart: str, news: Sequence[News], seen: int, muted: bool
    ) -> None:
        held: dict[str, Notification] = {}

        def edit(inbox: Inbox) -> Iterable[Notification] | None:
            held.clear()
            held.update(told(inbox, cart, news, seen, muted))
            return {**{one.id: one for one in inbox.items}, **held}.values() if held else None

        async with self._slots:
            inbox, changed = await self._stores.notifications.change(user, edit)
            unread = [one for one in inbox.items if one.id in held and not one.read]
            for one in unread:
                await self._on_notified.note(user, one.id, self._whole_at(one), one.kind)
            if changed:
                await self._push(inbox, unread)

    def _whole_at(self, one: Notification) -> int:
        """When nothing more is added to it."""
        return one.opened_at + self._window_ms if one.kind == CHANGES else one.at

    async def _push(self, inbox: Inbox, raised: Sequence[Notification]) -> None:
        for one in raised:
            try:
                await self._pushes.raised(inbox, one)
            except StoreError as error:
                log.warning("A notification is not pushed: %s", type(error).__name__)

    async def _part_with(self, cart: str, gone: Gone) -> None:
        """Nobody is told of anything under this name any more."""
        if gone.into is None:
            await self._stores.notifications.forget(gone.user)
            return
        _, changed = await self._stores.notifications.move(gone.user, gone.into, cart)
        if await self._stores.users.going([gone.into]):
            await self._stores.notifications.forget(gone.into)
            return
        seen = (await self._stores.seen.of_cart(cart)).get(gone.into, 0)
        inbox, marked = await self._stores.notifications.mark_seen(gone.into, {cart: seen})
        if changed or marked:
            self._pushes.moved(inbox)
        for one in inbox.items:
            if one.cart == cart and not one.read:
                await self._on_notified.note(gone.into, one.id, self._whole_at(one), one.kind)


def _following(rev: int, events: Sequence[Event]) -> list[Event]:
    """Of these events, those that follow the rev without a gap, each once."""
    found: list[Event] = []
    for event in sorted(events, key=lambda one: one.sequence):
        if event.sequence == rev + 1:
            found.append(event)
            rev += 1
    return found


def _steps(
    audience: Audience, events: Iterable[Event], window_ms: int, *, lenient: bool
) -> Iterator[Following]:
    """What comes of the events, cut where something must be stored before going on."""
    following = Following(audience, window_ms)
    for event in events:
        try:
            following.take(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            if not lenient:
                raise
            log.exception("An event is told to nobody", extra={"event": event.id})
            following.pass_over(event)
        if following.gone is not None:
            yield following
            following = Following(following.audience, window_ms)
    if following.audience.rev > following.begun:
        yield following


def _differs(before: Audience, after: Audience) -> bool:
    """Whether there is more to store than a rev."""
    return (before.name, before.members, before.windows) != (
        after.name,
        after.members,
        after.windows,
    )


def _last(news: Sequence[News]) -> int:
    return max(one.facts[-1].rev for one in news)


async def _all(work: Iterable[Any]) -> None:
    """Do all of it at once; raises what failed first, once everything has ended."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
