"""Followers that get in each other's way: Hypothesis decides who goes on at which await.

Two follow the same carts, and a sweep goes along. Commits come, marked or long after their mark;
followers are killed and started again; the sink takes all, a part, nothing, or takes it and can't
say so; the store fails before or after what it was asked to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from events.relay.follower import Follower
from events.relay.metrics import RelayMetrics
from events.relay.sweep import Sweep
from events.sink import CartEvents, SinkAwayError
from storage.oplog import Following, RawCommit
from storage.outbox import MARK_LIFE_S, Whereabouts
from tests.relaying import Whole, commit
from tests.tiers import by_tier

PLACE = "relay"
CARTS = ("crt_a", "crt_b", "crt_c")
START_MS = 1_700_000_000_000
ROUNDS_MAX = 300


class World:
    """Clock, store and sink in memory. Whoever uses them waits until the test lets it go on."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waiting: list[asyncio.Future[None]] = []
        self.active: dict[str, bool] = {}
        self.at: dict[str, Whereabouts] = {}
        self.log: dict[tuple[str, int], RawCommit] = {}
        self.heads = dict.fromkeys(CARTS, 0)
        self.delivered = dict.fromkeys(CARTS, 0)
        """Up to where each cart was handed over."""
        self.skipped: list[str] = []
        """What was handed over before what comes before it."""
        self.sink_does = "takes all"
        self.store_fails = ""

    async def point(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            await future
        finally:
            if future in self.waiting:
                self.waiting.remove(future)

    async def asked(self, when: str) -> None:
        """The store is asked something, or has done it."""
        await self.point()
        if self.store_fails == when:
            self.store_fails = ""
            raise AutoReconnect(when)

    # What the test does

    async def let_go(self, whose: Sequence[int]) -> None:
        """Have one after the other go on, up to where it waits next."""
        for which in whose:
            await settle()
            if self.waiting:
                self.waiting[which % len(self.waiting)].set_result(None)

    def commit(self, cart: str, size: int, *, marked: bool) -> None:
        if marked or cart not in self.at:
            mark = self.at[cart].mark + 1 if cart in self.at else 1
            rev = self.at[cart].rev if cart in self.at else 0
            self.at[cart] = Whereabouts(cart, rev, mark, self.wall_ms())
            self.active[cart] = True
        first = self.heads[cart] + 1
        self.heads[cart] += size
        raw = commit(cart, first, size, at_ms=self.wall_ms()).raw
        self.log[cart, first] = RawCommit(self.heads[cart], raw)

    # Clock

    def wall_ms(self) -> int:
        return START_MS + int(self.now_s * 1_000)

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        await self.point()

    def random(self) -> float:
        return 0.5

    # Outbox

    def carts(self, *, active: bool) -> list[str]:
        return [cart for cart in self.at if self.active[cart] is active]

    async def pages(self, carts: list[str]) -> AsyncGenerator[list[Whereabouts], None]:
        for cart in carts:  # a page each, as old as it may be when it is looked at
            at = self.at[cart]
            await self.asked("before")
            yield [at]

    def active_at(
        self, place: str, shards: Sequence[int], page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]:
        return self.pages(self.carts(active=True))

    async def advance(self, place: str, revs: Mapping[str, int]) -> None:
        await self.asked("before")
        for cart, rev in revs.items():
            at = self.at[cart]
            self.at[cart] = Whereabouts(cart, max(at.rev, rev), at.mark, at.marked_ms)
        await self.asked("after")

    async def rest(self, place: str, at: Whereabouts) -> bool:
        await self.asked("before")
        rests = (self.at[at.cart].mark, self.at[at.cart].rev) == (at.mark, at.rev)
        if rests:
            self.active[at.cart] = False
        await self.asked("after")
        return rests

    async def wake(self, place: str, cart: str) -> None:
        await self.asked("before")
        self.active[cart] = True
        await self.asked("after")

    # Log

    async def following(self, wanted: Sequence[tuple[str, int, int]], bytes_max: int) -> Following:
        await self.asked("before")
        chains: dict[str, list[RawCommit]] = {}
        for cart, rev, window in wanted:
            chain, head = [], rev
            while head < rev + window and (found := self.log.get((cart, head + 1))) is not None:
                chain.append(found)
                head = found.last
            chains[cart] = chain
        await self.point()
        return Following(chains, whole=True)

    async def moved(self, heads: Sequence[tuple[str, int]]) -> set[str]:
        await self.asked("before")
        return {cart for cart, head in heads if (cart, head + 1) in self.log}

    # Sink

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        await self.point()
        if self.sink_does == "is away":
            raise SinkAwayError("away")
        taken: dict[str, int] = {}
        for one in carts:
            events = one.events[:1] if self.sink_does == "takes one" else one.events
            for event in events:
                if event.sequence > self.delivered[one.cart] + 1:
                    self.skipped.append(event.id)
                self.delivered[one.cart] = max(self.delivered[one.cart], event.sequence)
                taken[one.cart] = event.sequence
        await self.point()
        if self.sink_does == "takes all and can't say so":
            raise SinkAwayError("who knows")
        return taken


class _Outbox:
    """The outbox's methods, of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.active = world.active_at
        self.advance = world.advance
        self.rest = world.rest
        self.wake = world.wake

    def resting(
        self, place: str, shard: int, page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]:
        return self._world.pages(self._world.carts(active=False) if shard == 0 else [])

    async def strangers(self, place: str, page_max: int) -> AsyncGenerator[list[Whereabouts], None]:
        for page in list[list[Whereabouts]]():
            yield page


class Workers:
    """Two followers and a sweep, on one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        shared = {"outbox": _Outbox(world), "oplog": world, "shards": Whole(), "clock": world}
        self._follower = lambda: Follower(
            PLACE,
            world,
            metrics=RelayMetrics(),
            every_s=0.5,
            mark_life_s=MARK_LIFE_S,
            **shared,
        )
        sweep = Sweep(PLACE, metrics=RelayMetrics(), every_s=1.0, **shared)
        self.tasks = [asyncio.create_task(self._follower().run()) for _ in range(2)]
        self.sweep = asyncio.create_task(sweep.run())

    async def kill(self, index: int) -> None:
        await self._end(self.tasks[index])
        self.tasks[index] = asyncio.create_task(self._follower().run())

    async def stop(self) -> None:
        for task in (*self.tasks, self.sweep):
            await self._end(task)

    async def _end(self, task: asyncio.Task[None]) -> None:
        """It does nothing any more, whatever it would still like to do."""
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)


GO_ON = st.tuples(st.just("go on"), st.lists(st.integers(0, 5), min_size=3, max_size=20))
STEPS = st.one_of(
    GO_ON,
    GO_ON,
    st.tuples(st.just("commit"), st.sampled_from(CARTS), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("kill"), st.integers(0, 1)),
    st.tuples(
        st.just("sink"),
        st.sampled_from(["takes all", "takes one", "is away", "takes all and can't say so"]),
    ),
    st.tuples(st.just("store"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 2 * MARK_LIFE_S])),
)


async def settle() -> None:
    """Let everybody run until they wait."""
    for _ in range(12):
        await asyncio.sleep(0)


async def play(steps: list[tuple[object, ...]]) -> World:
    world = World()
    workers = Workers(world)
    try:
        for step in steps:
            await settle()
            match step:
                case ("go on", list(whose)):
                    await world.let_go(whose)
                case ("commit", str(cart), int(size), bool(marked)):
                    world.commit(cart, size, marked=marked)
                case ("kill", int(which)):
                    await workers.kill(which)
                case ("sink", str(does)):
                    world.sink_does = does
                case ("store", str(when)):
                    world.store_fails = when
                case ("wait", float(for_s)):
                    world.now_s += for_s
        world.sink_does, world.store_fails = "takes all", ""
        for _ in range(ROUNDS_MAX):
            await settle()
            if world.delivered == world.heads:
                break
            world.now_s += 5.0
            for future in list(world.waiting):
                future.set_result(None)
    finally:
        await workers.stop()
    return world


@settings(
    max_examples=by_tier(quick=60, ci=400, long=20_000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(STEPS, min_size=5, max_size=40))
@example(
    [
        ("commit", "crt_a", 1, True),
        ("go on", [0, 1, 2] * 30),
        ("wait", 2 * MARK_LIFE_S),
        ("go on", [0, 1, 2] * 30),
        ("commit", "crt_a", 1, False),
    ]
)
def test_everything_is_handed_over_and_first_in_order(steps: list[tuple[object, ...]]) -> None:
    world = asyncio.run(play(steps))
    assert world.skipped == []
    assert world.delivered == world.heads
