"""What every simulated part of the world works with: time, chance, faults and the trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Protocol

from tests.simulation.faults import Faults
from tests.simulation.loop import SimLoop
from tests.simulation.trace import Trace


class Host(Protocol):
    """The instance that a message comes from, as the world strikes it."""

    name: str

    def crash(self) -> None: ...

    def freeze(self, duration_s: float) -> None: ...


class Edge:
    """The world's side of everything. Its timers fire whatever becomes of the instances."""

    def __init__(self, loop: SimLoop, rng: random.Random, trace: Trace) -> None:
        self.loop = loop
        self.rng = rng
        self.trace = trace
        self.faults = Faults(random.Random(rng.random()))
        self._context = copy_context()

    @property
    def now(self) -> float:
        return self.loop.now

    def later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> None:
        self.loop.call_later(delay_s, callback, *args, context=self._context)

    def latency_s(self, typical_s: float) -> float:
        """Around `typical_s`, now and then several times that."""
        return self.rng.expovariate(1 / typical_s) * 0.7 + typical_s * 0.3
