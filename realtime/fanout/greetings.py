"""Which instance each client has said `hello` to, as Redis remembers it, or that it was several.

Who comes from another instance may have left ops there, and what is under way has no end that
others know of: whoever was at two is remembered so, however often they come back to one. Calls of
one turn go to Redis together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from realtime.fanout.health import Health
from realtime.fanout.registry import Registry

# How long a `hello` waits for the answer before it goes on as if the client had been elsewhere.
GREETING_TIMEOUT_S: Final = 0.25

# Longer than the life of an access token, after which a client says `hello` anew.
GREETED_TTL_S: Final = 2 * 86_400

# Clients told of in one call.
GREETINGS_AT_ONCE: Final = 500

# Clients that Redis couldn't be told of. Of more than these it may remember an older instance.
UNTOLD_MAX: Final = 10_000

# Stands for several instances, and for ours where we aren't sure when Redis learnt of it: it is
# nobody's id.
SOMEWHERE: Final = "?"


class Greetings:
    """Answers whether a client was, or may have been, elsewhere before."""

    def __init__(self, registry: Registry, health: Health, instance: Callable[[], str]) -> None:
        self._registry = registry
        self._health = health
        self._instance = instance
        self._waiting: dict[str, list[asyncio.Future[bool]]] = {}
        self._untold: dict[str, None] = {}
        self._changed = asyncio.Event()

    async def greet(self, user: str, client: str) -> bool:
        """True within GREETING_TIMEOUT_S when Redis doesn't answer; at once when it is away."""
        name = f"{user}:{client}"
        if not self._health.well:
            self._tell_later(name)
            return True
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(answer)
        self._changed.set()
        try:
            async with asyncio.timeout(GREETING_TIMEOUT_S):
                return await answer
        except TimeoutError:
            # Ours may get there after that of an instance where the client is by then.
            self._tell_later(name)
            return True

    def resume(self) -> None:
        """Redis works: tell it of those that it doesn't know of."""
        self._changed.set()

    async def run(self) -> None:
        """Ask Redis until cancelled. Never raises for what Redis does."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting:
                await self._ask()
            while self._untold and self._health.well:
                await self._tell()

    def abandon(self) -> None:
        """Answer everybody who still waits: True."""
        for waiters in self._waiting.values():
            _answer(waiters, True)
        self._waiting.clear()

    def _tell_later(self, name: str) -> None:
        if len(self._untold) < UNTOLD_MAX:
            self._untold[name] = None
        self._changed.set()

    async def _ask(self) -> None:
        names = list(self._waiting)[:GREETINGS_AT_ONCE]
        batch = {name: self._waiting.pop(name) for name in names}
        elsewhere = set(names)
        try:
            elsewhere = await self._look_up(names)
        except Exception as error:
            self._health.fault("greeting clients", error)
            for name in elsewhere:
                self._tell_later(name)
        finally:
            for name in names:
                _answer(batch[name], name in elsewhere)

    async def _look_up(self, names: list[str]) -> set[str]:
        """Those who were elsewhere, too; what comes back to us asks after Redis knows that."""
        instance = self._instance()
        before = await self._registry.greet(instance, names, GREETED_TTL_S)
        elsewhere = {
            name
            for name, place in zip(names, before, strict=True)
            if place not in (None, instance) or name in self._untold
        }
        if elsewhere:
            await self._registry.greet(SOMEWHERE, sorted(elsewhere), GREETED_TTL_S)
        return elsewhere

    async def _tell(self) -> None:
        names = list(self._untold)[:GREETINGS_AT_ONCE]
        try:
            await self._registry.greet(SOMEWHERE, names, GREETED_TTL_S)
        except Exception as error:
            self._health.fault("telling of clients", error)
            return
        for name in names:
            self._untold.pop(name, None)


def _answer(waiters: list[asyncio.Future[bool]], elsewhere: bool) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(elsewhere)
