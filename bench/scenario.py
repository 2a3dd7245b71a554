"""What a scenario is: what it runs, at which scale, and what must come out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.accounts import SKUS_IN_OPS
from bench.figures import lookup
from bench.fleet import Fleet
from bench.loops import Plan
from bench.surroundings import Started, Surroundings

ROOM = 4
STUB_MS = 2.0
HEADROOM = 1.01
"""An open loop offers a little more than what is required, so that reaching it can be seen."""


@dataclass(frozen=True)
class Scale:
    """How large a run is. Only `full` is judged against what is required."""

    name: str
    shrink: int
    seconds: float
    warmup_s: float

    def count(self, full: int, least: int = 1, multiple: int = 1) -> int:
        """A number of things at this scale, a multiple of `multiple`."""
        count = max(least, full // self.shrink)
        return (count + multiple - 1) // multiple * multiple

    def rate(self, full: float) -> float:
        return max(20.0, full * HEADROOM / self.shrink)

    def open(self, rate: float, churn_per_s: float = 0.0) -> Plan:
        churn_per_s = max(5.0, churn_per_s / self.shrink) if churn_per_s else 0.0
        return Plan(self.seconds, self.warmup_s, rate=self.rate(rate), churn_per_s=churn_per_s)

    def closed(self, in_flight: int = 1, *, paced: bool = True) -> Plan:
        return Plan(self.seconds, self.warmup_s, in_flight=in_flight, paced=paced)


SCALES = {
    scale.name: scale
    for scale in (
        Scale("full", 1, 15.0, 5.0),
        Scale("small", 10, 4.0, 1.0),
        Scale("tiny", 50, 1.0, 0.3),
    )
}


@dataclass(frozen=True)
class Requirement:
    """A number that must be reached: the median over the repeats of what stands at `path`."""

    what: str
    path: str
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def value(self, figures: Mapping[str, Any]) -> float | None:
        found = lookup(figures, self.path)
        return float(found) if isinstance(found, int | float) else None

    def is_met(self, figures: Mapping[str, Any]) -> bool:
        value = self.value(figures)
        if value is None:
            return False
        if self.at_least is not None and value < self.at_least:
            return False
        return self.at_most is None or value <= self.at_most

    def __str__(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g} {self.unit}".strip()
        return f"≤ {self.at_most:g} {self.unit}".strip()


def all_acked(part: str) -> tuple[Requirement, ...]:
    """Of a measured stretch: nothing was lost on the way, or refused."""
    return (
        Requirement(f"{part}: ops without an `ok`", f"{part}.not_acked", at_most=0),
        Requirement(f"{part}: sockets lost", f"{part}.sockets_lost", at_most=0),
    )


@dataclass
class Context:
    """One repeat: where it runs, how large, and what is told what it is at."""

    surroundings: Surroundings
    scale: Scale
    tell: Callable[[str], None] = lambda _words: None

    def fleet(self, *servers: Started) -> Fleet:
        return Fleet(
            [server.url for server in servers], self.surroundings.population.skus[:SKUS_IN_OPS]
        )


@dataclass(frozen=True)
class Scenario:
    """`run` makes one repeat and returns its figures; `users` and `products` are settled before."""

    name: str
    title: str
    conditions: str
    """What a reader must know to judge the figures; one paragraph."""
    requirements: tuple[Requirement, ...]
    run: Callable[[Context], Awaitable[dict[str, Any]]]
    users: Callable[[Scale], int]
    products: Callable[[Scale], int] = lambda _scale: SKUS_IN_OPS
    bcrypt_cost: int = 12
    """Of the accounts' passwords."""
    stub: bool = False
    """Whether the figures are those of the store stub, which keeps nothing."""
