"""The service with a bug: production code as it is, but for one thing that goes wrong.

`python -m tests.planting BUG serve …` is `cartroom serve …` with a bug of `BUGS`. The checker must
find each from what clients saw. Production code knows nothing of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar
from itertools import count
from typing import Any, Final
from unittest.mock import patch

from realtime import hub
from realtime.audience import Audience, Subscription
from realtime.loading import load_room
from realtime.resends import Resends
from realtime.room import Room
from realtime.services import Services
from storage.oplog import Commit, CommitDocument, OpLog, Outcome
from tests.simulation import planting

Planted = AbstractContextManager[Any]

LATE_S: Final = 0.3
PUSHES: Final = b'"cart.ops"'
SELDOM: Final = 6
"""Of so many pushes one goes wrong."""


def acknowledge_before_commit() -> Planted:
    """Clients hear of success while the commit has yet to reach the store."""
    insert = OpLog.insert

    async def late(self: OpLog, commits: Sequence[Commit]) -> list[Outcome]:
        await asyncio.sleep(LATE_S)
        return await insert(self, commits)

    both = ExitStack()
    both.enter_context(planting.acknowledge_before_commit())
    both.enter_context(patch.object(OpLog, "insert", late))
    return both


def skip_a_rev() -> Planted:
    """At times a socket is not told an op of somebody else's."""
    push, pushes = Audience.push, count(1)

    def forgetful(self: Audience, subscription: Subscription, frame: bytes) -> None:
        if PUSHES not in frame or next(pushes) % SELDOM:
            push(self, subscription, frame)

    return patch.object(Audience, "push", forgetful)


def apply_twice() -> Planted:
    """An op that is sent again is taken for a new one."""
    return patch.object(Resends, "find", lambda *_args, **_kwargs: None)


def judge_a_stale_role() -> Planted:
    """Who was let do something once may do it for ever."""
    return planting.judge_on_a_stale_role()


def lose_the_tail_on_load() -> Planted:
    """A cart is opened at its snapshot, without the log's tail."""
    loading: ContextVar[bool] = ContextVar("loading", default=False)
    tail = OpLog.tail

    async def load(services: Services, cart: str) -> Room:
        loading.set(True)
        try:
            return await load_room(services, cart)
        finally:
            loading.set(False)

    async def lossy(self: OpLog, cart: str, after: int) -> list[CommitDocument]:
        chain = await tail(self, cart, after)
        return chain[:1] if loading.get() else chain

    both = ExitStack()
    both.enter_context(patch.object(hub, "load_room", load))
    both.enter_context(patch.object(OpLog, "tail", lossy))
    return both


def reorder_pushes() -> Planted:
    """At times a push comes after the one that follows it."""
    push, pushes = Audience.push, count(1)
    held: dict[int, tuple[Subscription, bytes]] = {}

    def swapping(self: Audience, subscription: Subscription, frame: bytes) -> None:
        earlier = held.pop(id(subscription), None)
        if earlier is None and PUSHES in frame and next(pushes) % SELDOM == 0:
            held[id(subscription)] = (subscription, frame)
            return
        push(self, subscription, frame)
        if earlier is not None:
            push(self, *earlier)

    return patch.object(Audience, "push", swapping)


BUGS: Final[dict[str, Callable[[], Planted]]] = {
    "acknowledge-before-commit": acknowledge_before_commit,
    "skip-a-rev": skip_a_rev,
    "apply-twice": apply_twice,
    "judge-a-stale-role": judge_a_stale_role,
    "lose-the-tail-on-load": lose_the_tail_on_load,
    "reorder-pushes": reorder_pushes,
}
