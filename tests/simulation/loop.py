"""An event loop whose time is simulated, and which can freeze or crash a part of what it runs.

Nothing here waits: when no callback is ready, time jumps to the next timer. Each callback belongs
to the actor in whose context it was scheduled, if any. A frozen actor's callbacks are kept until
it thaws, a crashed one's are dropped: its tasks stay where they are, for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final

from realtime.ports import TimerHandle

WALL_START_MS: Final = 1_800_000_000_000
TURNS_MAX: Final = 500_000
"""Many times the turns of the loop that a run takes: something goes round in circles."""

Connector = Callable[[Callable[[], asyncio.Protocol], str], Coroutine[Any, Any, asyncio.Transport]]


class Stuck(AssertionError):
    """Nothing will ever happen again, or too much happens."""


class Actor:
    """A part of the world that can be frozen and crashed as one process can."""

    def __init__(self, loop: SimLoop, name: str) -> None:
        self.name = name
        self.frozen = False
        self.dead = False
        self.held: list[asyncio.Handle] = []
        self.context = copy_context()
        self.context.run(ACTOR.set, self)
        loop.actors.append(self)


ACTOR: ContextVar[Actor | None] = ContextVar("actor", default=None)


def _is_held(handle: asyncio.Handle) -> bool:
    """Whether the callback's actor can't run it now; then it is kept for later, or for good."""
    actor = handle._context.get(ACTOR)  # type: ignore[attr-defined]
    if actor is None or not (actor.dead or actor.frozen):
        return False
    actor.held.append(handle)
    return True


class _Soon(asyncio.Handle):
    __slots__ = ()

    def _run(self) -> None:
        if not _is_held(self):
            super()._run()  # type: ignore[misc]


class _Timer(asyncio.TimerHandle):
    __slots__ = ()

    def _run(self) -> None:
        if not _is_held(self):
            super()._run()  # type: ignore[misc]


class _Jump:
    """The loop's selector: instead of waiting for I/O it lets time pass."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        self.turns += 1
        if timeout is None:
            raise Stuck("nothing is under way and no timer is set")
        if self.turns > TURNS_MAX:
            raise Stuck(f"{TURNS_MAX} turns of the loop")
        self._loop.now += timeout
        return []


class SimLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, but for time, I/O and actors. `connector` makes its connections."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.errors: list[str] = []
        self.actors: list[Actor] = []
        self.connector: Connector | None = None
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9
        self.set_exception_handler(self._on_error)

    def time(self) -> float:
        return self.now

    def thaw(self, actor: Actor) -> None:
        """Let a frozen actor go on: first what came in meanwhile, then the timers that are due."""
        actor.frozen = False
        held, actor.held = actor.held, []
        held.sort(key=lambda handle: isinstance(handle, asyncio.TimerHandle))
        self._ready.extend(held)  # type: ignore[attr-defined]

    def release(self) -> None:
        """Have everything run again, the dead as well: for taking it down."""
        self._selector.turns = 0
        for actor in self.actors:
            actor.dead = False
            self.thaw(actor)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any):  # type: ignore[no-untyped-def, override]
        assert self.connector is not None
        protocol = factory()
        return await self.connector(lambda: protocol, host), protocol

    def _call_soon(
        self, callback: Callable[..., object], args: Any, context: Context | None
    ) -> asyncio.Handle:
        handle = _Soon(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def _process_events(self, events: list[Any]) -> None:
        """There are none: all I/O is simulated with timers."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _on_error(self, _loop: Any, context: dict[str, Any]) -> None:
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")


class SimClock:
    """An instance's clock and source of randomness. `offset_ms` is how wrong its wall clock is."""

    def __init__(self, loop: SimLoop, rng: random.Random) -> None:
        self._loop = loop
        self._rng = rng
        self.offset_ms = rng.randint(-300, 300)

    def wall_ms(self) -> int:
        return WALL_START_MS + int(self._loop.now * 1000) + self.offset_ms

    def monotonic(self) -> float:
        return self._loop.now

    def call_later(
        self, delay_s: float, callback: Callable[..., object], *args: Any
    ) -> TimerHandle:
        return self._loop.call_later(delay_s, callback, *args)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def random(self) -> float:
        return self._rng.random()

    def token(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"
