"""RedisBus: the parts of fan-out put together, and the keeper of the lease.

`fresh` promises that every commit published since the last `on_gap` comes to us. For that the
keeper repairs in a fixed order after anything went wrong: lease (or a new id and inbox), reader,
registrations, `on_gap`, and only then fresh.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from redis.asyncio import Redis

from realtime.fanout.entry import ANNOUNCEMENT, COMMIT, EVERYONE, SIGNAL, Item, encode_signal
from realtime.fanout.greetings import Greetings
from realtime.fanout.health import Backoff, Health
from realtime.fanout.holdings import Holdings
from realtime.fanout.inbox import Inbox
from realtime.fanout.publisher import Publisher
from realtime.fanout.registry import COMMAND_CONNECTIONS, Registry, derive_client
from realtime.ports import BusListener, Clock

_log = logging.getLogger(__name__)

# One command to Redis takes no longer; with a short lease, no longer than a third of it.
COMMAND_TIMEOUT_MAX_S: Final = 2.0

# How long `start` waits for Redis before it lets the service start without, and how long `stop`
# waits for what is queued, and then for leaving.
START_TIMEOUT_S: Final = 3.0
STOP_TIMEOUT_S: Final = 1.0

# All registrations are told again once a lease; keys outlive several missed tellings.
EXPIRY_LEASES: Final = 6

# A cart id beyond this isn't one of ours.
CART_BYTES_MAX: Final = 128


class RedisBus:
    """The `Bus` of an instance that shares a Redis with others.

    Set `listener` before `start()`. `redis` is only a template for connections: the bus opens its
    own few to the same server and closes them in `stop()`.
    """

    listener: BusListener

    def __init__(
        self, redis: Redis, clock: Clock, *, lease_s: float, prefix: str = "cartroom"
    ) -> None:
        self._clock = clock
        self._lease_s = lease_s
        timeout_s = min(COMMAND_TIMEOUT_MAX_S, lease_s / 3)
        self._commands = derive_client(redis, connections=COMMAND_CONNECTIONS, timeout_s=timeout_s)
        self._blocking = derive_client(redis, connections=1, timeout_s=timeout_s)
        self._registry = Registry(
            self._commands,
            prefix,
            lease_s=lease_s,
            expiry_s=lease_s * EXPIRY_LEASES,
            timeout_s=timeout_s,
        )
        self._health = Health(clock)
        self._inbox = Inbox(self._blocking, clock, self._health, timeout_s)
        self._publisher = Publisher(self._registry, clock, self._health, lambda: self._instance)
        self._holdings = Holdings(self._registry, clock, self._health, lambda: self._instance)
        self._greetings = Greetings(self._registry, self._health, lambda: self._instance)
        self._instance = clock.token()
        # The id that last joined; `_instance` runs ahead of it while Redis is away.
        self._member = ""
        self._closing = False
        self._renewed_at = float("-inf")
        self._refreshed_at = float("-inf")
        self._first_attempt = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._reader: asyncio.Task[None] | None = None
        self._gaps = 0

    # The port

    @property
    def instance(self) -> str:
        return self._instance

    @property
    def fresh(self) -> bool:
        return (
            self._health.well
            and self._inbox.reading.is_set()
            and self._lease_holds(self._clock.monotonic())
            and not self._closing
        )

    async def register(self, cart: str) -> bool:
        """After False, `fresh` is False until the cart is registered and `on_gap` was called.

        Pair each call with `unregister`, also when the cart then fails to open.
        """
        if self._closing or not _plausible(cart):
            return False
        return await self._holdings.hold(cart)

    def unregister(self, cart: str) -> None:
        if not self._closing and _plausible(cart):
            self._holdings.release(cart)

    def publish(self, cart: str, commit: bytes) -> None:
        if not self._closing and _plausible(cart):
            self._publisher.put(Item(cart, COMMIT, commit))

    def signal(self, cart: str, payload: dict[str, Any]) -> None:
        if not self._closing and _plausible(cart):
            self._put(cart, SIGNAL, payload)

    def announce(self, payload: dict[str, Any]) -> None:
        if not self._closing:
            self._put(EVERYONE, ANNOUNCEMENT, payload)

    def _put(self, cart: str, kind: int, payload: dict[str, Any]) -> None:
        try:
            body = encode_signal(payload)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            self._health.errors += 1
            _log.warning(
                "fan-out: a signal for %r can't be encoded: %s", cart, type(error).__name__
            )
            return
        self._publisher.put(Item(cart, kind, body))

    @property
    def shared(self) -> bool:
        return True

    async def greeted(self, user: str, client: str) -> bool:
        return self._closing or await self._greetings.greet(user, client)

    # Life

    async def start(self) -> None:
        """Join the others. Without Redis, returns within START_TIMEOUT_S and goes on trying."""
        if not hasattr(self, "listener"):
            raise RuntimeError("set RedisBus.listener before start()")
        self._health.doubt()
        self._tasks = [
            self._task("publisher", self._publisher.run()),
            self._task("holdings", self._holdings.run()),
            self._task("greetings", self._greetings.run()),
            self._task("lease", self._keep()),
        ]
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._first_attempt.wait()
        except TimeoutError:
            _log.warning("fan-out: Redis doesn't answer; starting without it")

    async def stop(self) -> None:
        """Publish what is queued, unregister, delete the inbox: each within STOP_TIMEOUT_S."""
        if self._closing:
            return
        self._closing = True
        if self._tasks:
            await self._last_words()
        for task in (self._reader, *self._tasks):
            if task is not None:
                await _end(task)
        self._holdings.abandon()
        self._greetings.abandon()
        if self._member:
            await self._leave()
        await self._commands.aclose()
        await self._blocking.aclose()

    # Figures

    @property
    def published(self) -> int:
        """Commits and signals appended to at least one inbox."""
        return self._publisher.published

    @property
    def unshared(self) -> int:
        """Commits and signals that nobody else was to know."""
        return self._publisher.unshared

    @property
    def dropped(self) -> int:
        """Commits and signals lost before they reached Redis: the queue full, or Redis away."""
        return self._publisher.dropped

    @property
    def received(self) -> int:
        """Commits and signals read from our inbox."""
        return self._inbox.received

    @property
    def malformed(self) -> int:
        """Entries of our inbox that couldn't be understood."""
        return self._inbox.malformed

    @property
    def errors(self) -> int:
        """Failures of Redis, and items that couldn't be encoded or taken."""
        return self._health.errors

    @property
    def gaps(self) -> int:
        """Repairs after which every open cart was compared with the store."""
        return self._gaps

    @property
    def queue_depth(self) -> int:
        """Commits and signals that wait to be published."""
        return self._publisher.queue_depth

    @property
    def queue_bytes(self) -> int:
        return self._publisher.queue_bytes

    # The lease

    def _lease_holds(self, now: float) -> bool:
        """By our own clock, from before the renewal was sent: so never longer than Redis thinks."""
        return now - self._renewed_at < self._lease_s

    async def _keep(self) -> None:
        backoff = Backoff(self._clock)
        while True:
            try:
                await self._renew()
            except Exception as error:
                self._health.fault("keeping the lease", error)
            self._first_attempt.set()
            if self._health.well:
                await self._health.wait(well=False, timeout_s=self._lease_s / 3)
                if self._health.well:
                    backoff.reset()
                    continue
            # Repairs that follow each other closely are spaced, too, successful or not.
            await backoff.pause()

    async def _renew(self) -> None:
        """One renewal, with whatever repair is needed. Raises what Redis raises."""
        alive = None
        if self._lease_holds(self._clock.monotonic()):
            if not self._health.well:
                # Before the renewal, which then sees whether what is read is still our inbox. An
                # inbox that stays unreadable thus ends the lease, and another takes its place.
                await self._reading()
            started = self._clock.monotonic()
            alive = await self._registry.renew(self._instance)
        if alive is None:
            self._health.doubt()
            started = self._clock.monotonic()
            alive = await self._take_identity()
        self._renewed_at = started
        mark = self._health.mark()
        if not self._health.well or started - self._refreshed_at >= self._lease_s:
            await self._reading()
            await self._holdings.refresh(self.listener.open_carts())
            self._refreshed_at = started
        if not self._health.well:
            self._gaps += 1
            self.listener.on_gap()
            self._health.heal(mark)
        self._holdings.resume()
        self._greetings.resume()
        self._tell_peers(alive)

    async def _take_identity(self) -> frozenset[str]:
        """A new id with an empty inbox that is being read; the old ones are given up."""
        self._renewed_at = float("-inf")
        if self._instance == self._member:
            self._instance = self._clock.token()
        if self._reader is not None:
            await _end(self._reader)
        retired = self._member
        alive = await self._registry.join(self._instance, retired)
        self._member = self._instance
        if retired:
            _log.warning("fan-out: lease lapsed; now instance %s, was %s", self._instance, retired)
        key = self._registry.inbox(self._instance)
        self._reader = self._task("inbox", self._inbox.run(key, self.listener))
        return alive

    async def _reading(self) -> None:
        """Until the reader works, for no longer than a third of the lease."""
        async with asyncio.timeout(self._lease_s / 3):
            await self._inbox.reading.wait()

    def _tell_peers(self, alive: frozenset[str]) -> None:
        self._inbox.forget(alive)
        self._publisher.forget(alive)
        self.listener.on_peers(alive - {self._instance})

    # Ending

    async def _last_words(self) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._publisher.drained()
        except TimeoutError:
            _log.warning("fan-out: stopped with %d items unpublished", self.queue_depth)

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                # First the lease: from now on nobody writes to us.
                await self._registry.leave(self._member)
                await self._holdings.release_everything()
        except Exception as error:
            # The others find us dead when the lease ends, and all our keys expire.
            _log.warning("fan-out: left without a goodbye: %s", type(error).__name__)

    def _task(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=f"fanout-{name}")


def _plausible(cart: str) -> bool:
    """Whether it can be a key in Redis at all; what isn't must not harm a whole batch."""
    return cart.isascii() and len(cart) <= CART_BYTES_MAX


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task of ours and wait for its end. Our own cancellation passes."""
    while not task.done():
        # Again after a second: a library on the way may have taken the first for its time-out.
        task.cancel()
        await asyncio.wait([task], timeout=STOP_TIMEOUT_S)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("fan-out: task %s had failed", task.get_name(), exc_info=error)
