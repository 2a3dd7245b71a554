"""Follows the chains of all carts that are active at a place, and hands them over to a sink.

At least once: a place moves on after the sink has taken something, so whoever dies in between has
it handed over again. In order: each cart goes on from its place, the end of a commit, without a
gap, and a place stands only behind what was taken; so whoever else follows the same cart at the
same time, what is handed over for the first time comes in order. In bounded memory: so many revs
and bytes are read at a time, and read again when the sink didn't take them; what waits, waits in
the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final

from events.from_log import events_of
from events.relay.carts import FollowedCart, Held
from events.relay.metrics import RelayMetrics
from events.relay.pace import Pace
from events.relay.ports import Chains, Clock, Places, Share
from events.sink import CartEvents, Sink, SinkAwayError
from storage.mongo import StoreError
from storage.oplog import RawCommit
from storage.outbox import Whereabouts

PAGE_CARTS_MAX: Final = 500
READ_REVS_MAX: Final = 256
"""Revs asked for at a time, of all carts together. The embedded store does one thing at a time:
while it reads a thousand commits, those that are being made wait for a tenth of a second."""
READ_BYTES_MAX: Final = 4_194_304
ROUND_REVS_MAX: Final = 2_000
"""Of a cart, before the other carts have their turn again."""
PACES_MAX: Final = 100_000
KNOWN_MAX: Final = 10_000
NOTE_EVENTS: Final = 5_000
"""After so many events at the latest it is stored how far they went."""
EVENTS_AT_ONCE: Final = 100
"""Turned into events before others on this loop have their turn."""
AWAY_FIRST_S: Final = 0.5
AWAY_MAX_S: Final = 5.0
PARTLY_TAKEN_S: Final = 1.0
"""Until a cart is looked at again of which the sink didn't take everything."""
STUCK_S: Final = 30.0
"""Until a cart is looked at again whose commits can't be turned into events."""

log = logging.getLogger(__name__)


class Follower:
    """One worker's following of one place; see `run`.

    With `min_age_s`, only what is older is handed over, all of a commit or nothing of it.
    """

    def __init__(
        self,
        place: str,
        sink: Sink,
        *,
        outbox: Places,
        oplog: Chains,
        shards: Share,
        clock: Clock,
        metrics: RelayMetrics,
        every_s: float,
        mark_life_s: float,
        min_age_s: float = 0.0,
    ) -> None:
        self._place = place
        self._sink = sink
        self._outbox = outbox
        self._log = oplog
        self._shards = shards
        self._clock = clock
        self._metrics = metrics
        self._every_s = every_s
        self._rounds = Pace(clock, every_s)
        self._mark_life_ms = int(mark_life_s * 1_000)
        self._min_age_ms = int(min_age_s * 1_000)
        self._held = Held(clock)
        self._given_ms: int | None = None
        """The time of the oldest op that the sink was given and has not answered for."""
        self._reached: dict[str, int] = {}
        """By cart, up to where it was handed over, as far as that isn't stored yet."""
        self._not_noted = 0
        self._pace: dict[str, int] = {}
        """By cart, how many revs it had the last time that it had any; of those it has now."""
        self._known: dict[str, tuple[int, float]] = {}
        """By cart whose times are ahead of ours, up to where we knew its log, and since when."""
        self._stopping = False
        self._waiting: asyncio.Future[None] | None = None
        metrics.oldest.labels(place).set_function(self._oldest_age_s)
        for counter in (metrics.events, metrics.away, metrics.stuck, metrics.woken):
            counter.labels(place)  # shown from the beginning

    async def run(self) -> None:
        """Follow until `stop`. What fails is tried again, after a wait that grows."""
        failures = 0
        while not self._stopping:
            try:
                more = await self.round()
            except Exception as error:
                self._log_failure(error)
                failures += 1
                wait_s = min(AWAY_FIRST_S * 2.0 ** min(failures - 1, 8), AWAY_MAX_S)
            else:
                failures = 0
                self._metrics.round.labels(self._place).observe(self._rounds.round_s)
                wait_s = self._rounds.wait_s()
                if more:
                    continue
            await self._wait(wait_s * (0.75 + 0.5 * self._clock.random()))

    async def _wait(self, for_s: float) -> None:
        if not self._stopping:
            self._waiting = asyncio.ensure_future(self._clock.sleep(for_s))
            try:
                await asyncio.wait([self._waiting])
            finally:
                self._waiting.cancel()

    def stop(self) -> None:
        """Have `run` end, once what is on its way to the sink has arrived."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()

    def _log_failure(self, error: Exception) -> None:
        if isinstance(error, SinkAwayError):
            self._metrics.away.labels(self._place).inc()
            log.warning("Nothing can be handed over at %s: %s", self._place, error)
        elif isinstance(error, StoreError):
            log.warning("The log can't be followed at %s: %s", self._place, type(error).__name__)
        else:
            log.error("Following at %s failed", self._place, exc_info=error)

    async def round(self) -> bool:
        """Look at all active carts of ours once. Whether there is more to hand over at once.

        Raises SinkAwayError, PyMongoError, and what else a sink raises.
        """
        more, count = False, 0
        self._rounds.begin()
        self._held.release()
        if len(self._pace) > PACES_MAX:
            self._pace.clear()
        shards = self._shards.mine()
        if shards:
            async with aclosing(self._outbox.active(self._place, shards, PAGE_CARTS_MAX)) as pages:
                async for page in pages:
                    count += len(page)
                    more |= await self._follow([at for at in page if at.cart not in self._held])
                    if self._stopping:
                        return False
        self._metrics.active.labels(self._place).set(count)
        return more

    async def _follow(self, page: Sequence[Whereabouts]) -> bool:
        """Hand over what follows in these carts; whether some have more than their turn allows."""
        waiting = deque(FollowedCart(at, self._pace.pop(at.cart, 0)) for at in page)
        ended: list[Whereabouts] = []
        more = False
        try:
            while waiting and not self._stopping:
                more |= await self._step(waiting, ended)
                if self._not_noted >= NOTE_EVENTS:
                    await self._note_places()
        except Exception:
            await self._note_places()
            raise
        await self._note_places()
        await self._let_rest(ended)
        return more

    async def _step(self, waiting: deque[FollowedCart], ended: list[Whereabouts]) -> bool:
        """Hand over what follows in some carts. Those that may go on wait again."""
        more = False
        began_s = self._clock.monotonic()
        batch = _take(waiting)
        found = await self._log.following(
            [(one.cart, one.rev, one.window) for one in batch], READ_BYTES_MAX
        )
        given = await self._events_of(found.chains)
        reached = await self._hand_over(given, found.chains)
        self._rounds.handed_over(began_s, len(given) / len(batch))
        for one in batch:
            chain = found.chains[one.cart]
            if chain:
                if reached.get(one.cart) != chain[-1].last:
                    continue  # it is held
                one.advance(chain[-1].last)
                self._pace[one.cart] = one.revs
                if one.revs >= ROUND_REVS_MAX:
                    more = True
                elif one.may_go_on or not found.whole:
                    waiting.append(one)
            elif not found.whole:
                # What was read before the end was others'. They don't come before it again.
                one.window = 1
                waiting.appendleft(one)
            elif not one.revs:
                ended.append(one.at)
        return more

    async def _events_of(self, chains: Mapping[str, list[RawCommit]]) -> list[CartEvents]:
        given: list[CartEvents] = []
        count = 0
        for cart, chain in chains.items():
            if not chain:
                continue
            try:
                events = self._ripe_events(cart, chain)
            except Exception:
                # One cart's fault must not hold up the others. Skipping it is not for us to do.
                log.exception("A commit can't be turned into events", extra={"cart": cart})
                self._metrics.stuck.labels(self._place).inc()
                self._held.hold(cart, STUCK_S, self._clock.wall_ms())
                continue
            if events is not None:
                given.append(events)
                count += len(events.events)
            if count >= EVENTS_AT_ONCE:
                count = 0
                await asyncio.sleep(0)
        return given

    def _ripe_events(self, cart: str, chain: Sequence[RawCommit]) -> CartEvents | None:
        """The events that are old enough; what isn't yet is looked at again when it is."""
        events, size = [], 0
        for commit in chain:
            made = events_of(commit.document())
            wait_s = self._until_ripe_s(cart, chain[-1].last, commit.last, made[-1].time_ms)
            if wait_s > 0:
                self._held.hold(cart, max(wait_s, self._every_s))
                break
            events += made
            size += len(commit.raw)
        return CartEvents(cart, tuple(events), size) if events else None

    def _until_ripe_s(self, cart: str, known: int, rev: int, time_ms: int) -> float:
        """How long what is up to `rev` is too young, where the log is `known` so far."""
        if not self._min_age_ms:
            return 0.0
        ahead_ms = time_ms - self._clock.wall_ms()
        if ahead_ms <= 0:
            return (ahead_ms + self._min_age_ms) / 1_000
        # By a clock that is ahead of ours: then it is as old as we have known it.
        now_s = self._clock.monotonic()
        up_to, since_s = self._known.get(cart, (0, now_s))
        if up_to < rev:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            since_s = now_s
            self._known[cart] = (known, since_s)
        return since_s + self._min_age_ms / 1_000 - now_s

    async def _hand_over(
        self, given: Sequence[CartEvents], chains: Mapping[str, list[RawCommit]]
    ) -> Mapping[str, int]:
        """Answers, by cart, the end of the last commit of which the sink has taken everything."""
        if not given:
            return {}
        oldest_ms = min(one.events[0].time_ms for one in given)
        self._given_ms = min(oldest_ms, self._given_ms or oldest_ms)
        taken = await self._sink.deliver(given)
        self._given_ms = None
        reached: dict[str, int] = {}
        for one in given:
            # Only what was given: a place must never stand before what was not handed over.
            rev = min(taken.get(one.cart, 0), one.last)
            ends = [commit.last for commit in chains[one.cart] if commit.last <= rev]
            if ends:
                reached[one.cart] = self._reached[one.cart] = ends[-1]
            count = max(rev - one.first + 1, 0)
            self._not_noted += count
            self._metrics.events.labels(self._place).inc(count)
            if rev < one.last:
                self._held.hold(one.cart, PARTLY_TAKEN_S, one.events[count].time_ms)
        lag_ms = max(self._clock.wall_ms() - oldest_ms, 0)
        self._metrics.lag.labels(self._place).observe(lag_ms / 1_000)
        return reached

    async def _note_places(self) -> None:
        """Store how far the carts have come: a write a cart is as dear as a commit."""
        reached, self._reached, self._not_noted = self._reached, {}, 0
        began_s = self._clock.monotonic()
        await self._outbox.advance(self._place, reached)
        self._rounds.handed_over(began_s)

    async def _let_rest(self, ended: Sequence[Whereabouts]) -> None:
        """Let those rest whose chain has ended, if their mark is old."""
        old_ms = self._clock.wall_ms() - self._mark_life_ms
        old = [at for at in ended if at.marked_ms <= old_ms]
        if old:
            # Asked anew: the answer above may have lacked something, this one is short.
            moved = await self._log.moved([(at.cart, at.rev) for at in old])
            for at in old:
                if at.cart not in moved:
                    await self._outbox.rest(self._place, at)

    def _oldest_age_s(self) -> float:
        times = [one for one in (self._given_ms, self._held.oldest_ms()) if one is not None]
        return max(self._clock.wall_ms() - min(times), 0) / 1_000 if times else 0.0


def _take(waiting: deque[FollowedCart]) -> list[FollowedCart]:
    """The next carts that are read together."""
    batch: list[FollowedCart] = []
    revs = 0
    while waiting and revs + waiting[0].window <= READ_REVS_MAX:
        batch.append(waiting.popleft())
        revs += batch[-1].window
    return batch
