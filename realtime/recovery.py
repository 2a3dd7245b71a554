"""What a room waits for: the log's tail, look-ups, marks and derived documents.

While one of these runs the room is stalled: requests gather in its inbox, commits don't start.
Time limits are the room's; here, what fails is tried again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pymongo.errors import PyMongoError

from realtime.derived import memberships_changed, users_named
from realtime.entries import decode_entries
from realtime.errors import CartroomError, store_silent
from realtime.limits import COMMIT_OPS_MAX, HEARD_MAX
from realtime.pending import Need, NeedsFacts, NeedsLog, OpRequest
from realtime.reducer import MEMBERSHIP_KINDS, Entry, apply
from realtime.resends import answer_of, used_number
from realtime.state import NewerFormatError
from realtime.wire import make_event
from storage.memberships import Membership
from storage.oplog import CommitDocument, first_rev

if TYPE_CHECKING:
    from realtime.room import Room

RETRY_FIRST_S: Final = 0.05
RETRY_MAX_S: Final = 1.0
SEARCH_WINDOW: Final = 2 * COMMIT_OPS_MAX
SEARCHED_CLIENTS_MAX: Final = 1_000
"""Clients of which a room keeps what searches of the log have told."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class Recovery:
    """Runs one room's waits, one at a time."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.stalled = False
        self._wants_catch_up = False
        self._wants_mark = False
        self._check_above: int | None = None
        self._heard: deque[CommitDocument] = deque(maxlen=HEARD_MAX)
        """What the bus brought and has not been looked at."""
        self._waiters: dict[asyncio.Future[None], None] = {}
        """Who waits for the next look at the store, in the order of their coming; no values."""
        self._last_logged: dict[tuple[str, str], tuple[int, int]] = {}
        """By user and client: up to this rev, the number of its last op in the log, or 0."""

    def request(self, *, catch_up: bool = False, mark: bool = False) -> None:
        """Stall the room, do what is wanted, drain its inbox, go on.

        A catch-up waits for the commit in flight, whose outcome it could otherwise mistake.
        """
        self._wants_catch_up |= catch_up
        self._wants_mark |= mark
        if not self.stalled and self._has_work():
            self.stalled = True
            self._run(self._recover(), "recover")

    def _has_work(self) -> bool:
        room = self._room
        can_catch_up = self._wants_catch_up and room.flight is None
        wanted = can_catch_up or self._wants_mark or bool(self._heard)
        return wanted or room.has_waiting or room.broken is not None

    def heard(self, document: CommitDocument) -> None:
        """Another instance has made this commit, memberships and all.

        What the room waits for goes on meanwhile, and the commit is kept until then. To read it
        from the store instead could take longer than the next one takes to come: a room that
        others write all the time would never get on.
        """
        self._heard.append(document)
        if not self.stalled:
            self._take_in_at_once()
        self.request()

    def _take_in_at_once(self) -> None:
        """Apply what was heard, as far as nothing must be looked up for it."""
        while self._heard:
            document = self._heard[0]
            try:
                entries = self._entries_that_follow(document)
            except NewerFormatError:
                self.check_above(document["last"] - 1)  # which closes the room, and says why
                entries = []
            if users_named(entries) - self._room.names.keys():
                return
            self._heard.popleft()
            if entries:
                self._room.on_foreign(entries)

    async def _take_in(self) -> None:
        """Apply the oldest of what was heard."""
        entries = self._entries_that_follow(self._heard.popleft())
        if entries:
            await self._insist(lambda: self._learn_names(entries))
            if entries[0].rev == self._room.committed.rev + 1:
                self._room.on_foreign(entries)

    def _entries_that_follow(self, document: CommitDocument) -> list[Entry]:
        """The commit's entries, if they come next and aren't our own. Raises NewerFormatError."""
        room = self._room
        if document["last"] <= room.committed.rev:
            return []
        if first_rev(document) > room.committed.rev + 1:
            self.check_above(document["last"] - 1)
            return []
        if room.flight is not None and room.flight.commit.token == document["commit"]:
            return []
        return decode_entries(document)

    def check_above(self, rev: int) -> None:
        """There may be a commit above `rev` that isn't ours: look, unless we are there already."""
        if self._room.committed.rev > rev:
            return
        if self._room.flight is not None:
            self._check_above = max(rev, self._check_above or 0)
        else:
            self.request(catch_up=True)

    def after_commit(self) -> None:
        """Our commit is settled: do what had to wait for that."""
        above, self._check_above = self._check_above, None
        if above is not None and self._room.committed.rev <= above:
            self._wants_catch_up = True
        if self._wants_catch_up:
            self.request()

    async def caught_up(self) -> None:
        """Return once the committed state is at least what the store held when this was called.

        Raises `unavailable` when that takes longer than a commit may.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[future] = None
        self.request(catch_up=True)
        try:
            async with asyncio.timeout(self._room.services.timing.commit_timeout_s):
                await future
        except TimeoutError:
            raise store_silent() from None
        finally:  # while the store is away, who gives up must not be kept
            self._waiters.pop(future, None)
        if self._room.broken is not None:
            raise self._room.broken

    def _run(self, work: Coroutine[Any, Any, None], what: str) -> None:
        self._room.services.tasks.start(work, f"{what} {self._room.cart}")

    async def _recover(self) -> None:
        room = self._room
        try:
            while room.broken is None:
                if self._heard:
                    await self._take_in()
                elif self._wants_catch_up and room.flight is None:
                    self._wants_catch_up = False
                    waiters, self._waiters = self._waiters, {}
                    try:
                        await self._catch_up()
                    finally:
                        _resolve(waiters)
                elif self._wants_mark:
                    room.marked(await self._insist(self._mark))
                    self._wants_mark = False
                elif not room.has_waiting:
                    break
                elif (waiting := room.consider_waiting()) is not None:
                    await self.satisfy(*waiting)
        except NewerFormatError as error:
            log.error("Closing a room: %s", error, extra={"cart": room.cart})
            room.close(CartroomError("unavailable", "This cart needs a newer server; try again."))
        except Exception:
            log.exception("A room can't go on", extra={"cart": room.cart})
            room.close(CartroomError("unavailable", "This cart can't be served; try again."))
        finally:
            self.stalled = False
            if room.broken is not None:
                _resolve(self._waiters)
        if room.broken is None:
            room.advance()

    async def _mark(self) -> float:
        """Mark the cart; the time, by the monotonic clock, before which that was not."""
        services = self._room.services
        asked_s = services.clock.monotonic()
        await services.outbox.mark_active(self._room.cart, services.clock.wall_ms())
        return asked_s

    async def _catch_up(self) -> None:
        """Apply the commits that the store has beyond ours."""
        room = self._room
        room.take_back()
        documents = await self._insist(
            lambda: room.services.log.tail(room.cart, room.committed.rev)
        )
        commits = [decode_entries(document) for document in documents]
        await self._insist(lambda: self._learn_names(itertools.chain.from_iterable(commits)))
        for entries in commits:
            await self._store_memberships(entries)
            room.on_foreign(entries)

    async def _store_memberships(self, entries: list[Entry]) -> None:
        """Write what the commit's own instance may have died before writing."""
        room = self._room
        if not any(entry.op["kind"] in MEMBERSHIP_KINDS for entry in entries):
            return
        after = room.committed.copy()
        for entry in entries:
            apply(after, entry)
        for membership in memberships_changed(entries, after, room.committed.members):
            await self._put(membership)

    async def _put(self, membership: Membership) -> None:
        await self._insist(lambda: self._room.services.memberships.put(membership))

    async def _learn_names(self, entries: Iterable[Entry]) -> None:
        """Look up the names that the entries' effects are told with. Raises PyMongoError."""
        room = self._room
        users = users_named(entries) - room.names.keys()
        if users:
            room.learn_names(await room.services.directory.names(users))

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until the store answers. What waits for it has its own time limits."""
        clock = self._room.services.clock
        delay_s = RETRY_FIRST_S
        while True:
            try:
                return await attempt()
            except PyMongoError as error:
                log.warning(
                    "The store does not answer: %s",
                    type(error).__name__,
                    extra={"cart": self._room.cart},
                )
            await clock.sleep(delay_s * (0.5 + clock.random()))
            delay_s = min(delay_s * 2, RETRY_MAX_S)

    def look_beyond(self, rev: int, then: Callable[[bool], None]) -> None:
        """Ask the store whether it has a commit beyond `rev`, and call `then` with the answer."""
        self._run(self._look_beyond(rev, then), "look beyond")

    async def _look_beyond(self, rev: int, then: Callable[[bool], None]) -> None:
        room = self._room
        try:
            moved = await self._insist(lambda: room.services.log.moved([(room.cart, rev)]))
        except Exception:
            log.exception("Can't look beyond rev %d", rev, extra={"cart": room.cart})
            moved = {room.cart}  # for all we know
        then(bool(moved))

    def write_memberships(self, changed: list[Membership], then: Callable[[], None]) -> None:
        """Write derived documents until all are stored, then call `then`."""
        self._run(self._write_memberships(changed, then), "memberships")

    async def _write_memberships(self, changed: list[Membership], then: Callable[[], None]) -> None:
        for membership in changed:
            await self._put(membership)
        then()

    async def satisfy(self, request: OpRequest, need: Need) -> bool:
        """Look up what a request needs. False when that has answered it."""
        try:
            if isinstance(need, NeedsLog):
                await self._search_log(request, need)
            else:
                await self._look_up(request, need)
        except CartroomError as error:
            request.answer(error)
        except PyMongoError:
            request.answer(store_silent())
        except Exception:
            # Nothing final: it may be a resend of what took effect.
            log.exception("A look-up failed", extra={"cart": self._room.cart, "op": request.op_id})
            request.answer(CartroomError("unavailable", "This failed on our side; try again."))
        return not request.answered

    async def _look_up(self, request: OpRequest, need: NeedsFacts) -> None:
        services = self._room.services
        if need.skus:
            facts = await services.catalog.facts(need.skus)
            request.facts.update({sku: facts.get(sku) for sku in need.skus})
        if need.users:
            request.users = dict(await services.directory.names_of_staying(need.users))
            request.users_known = True

    async def _search_log(self, request: OpRequest, need: NeedsLog) -> None:
        """Find the request's op in the log, at or below a rev; numbers rise with revs.

        Found, it is answered with what it became. A number below one that its client has used
        is refused. A client that the log doesn't know has simply not been here. What is committed
        meanwhile is above that rev: who asks again finds it in memory, or searches that far.

        What a search learns of its client holds for the client's other ops: one that comes back
        with many must not search the log for each, as they would all be late then, every time.
        """
        room = self._room
        client = (request.user, request.client)
        known_rev, known_n = self._last_logged.get(client, (0, 0))
        if request.n > known_n:
            request.searched_rev = max(request.searched_rev, known_rev)
        floor, last_n = request.searched_rev, None
        passed = False
        high = need.rev
        while high > request.searched_rev:
            low = max(request.searched_rev + 1, high - SEARCH_WINDOW + 1)
            documents = await room.services.log.covering(room.cart, low, high)
            for entry in _own_entries(documents, request, low, high):
                n = int((entry.op_id or "").rpartition(":")[2])
                last_n = n if last_n is None else last_n
                if n == request.n:
                    self._note_logged(client, need.rev, last_n)
                    await self._learn_names([entry])
                    request.answer(answer_of(make_event(entry, room.names), request))
                    return
                if n < request.n:
                    high = 0
                    break
                passed = True
            high = min(high, low - 1)
        if last_n is None and floor == known_rev:
            last_n = known_n
        if last_n is not None:
            self._note_logged(client, need.rev, last_n)
        if passed:
            raise used_number()
        request.searched_rev = max(request.searched_rev, need.rev)

    def _note_logged(self, client: tuple[str, str], rev: int, n: int) -> None:
        """Up to `rev` the log's last op of the client has this number; 0: it has none."""
        if rev > self._last_logged.get(client, (0, 0))[0]:
            self._last_logged.pop(client, None)
            self._last_logged[client] = (rev, n)
            if len(self._last_logged) > SEARCHED_CLIENTS_MAX:
                del self._last_logged[next(iter(self._last_logged))]


def _own_entries(
    documents: list[CommitDocument], request: OpRequest, low: int, high: int
) -> list[Entry]:
    """The entries of the request's client with low <= rev <= high, the latest first."""
    prefix = f"{request.client}:"
    return [
        entry
        for document in reversed(documents)
        for entry in reversed(decode_entries(document))
        if low <= entry.rev <= high
        and entry.by == request.user
        and (entry.op_id or "").startswith(prefix)
    ]


def _resolve(waiters: dict[asyncio.Future[None], None]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
