"""Where a follower of the log hands events over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from events.event import Event


class SinkAwayError(Exception):
    """The sink can't take anything now. Some of what it was given may have been taken."""


@dataclass(frozen=True, slots=True)
class CartEvents:
    """Consecutive events of one cart, at least one, in the order of their revs.

    `size` is about how many bytes they are in memory.
    """

    cart: str
    events: tuple[Event, ...]
    size: int

    @property
    def first(self) -> int:
        """The rev of the first event."""
        return self.events[0].sequence

    @property
    def last(self) -> int:
        """The rev of the last event."""
        return self.events[-1].sequence


class Sink(Protocol):
    """Takes events durably. Takes the same ones again, too, since no follower knows the moment."""

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        """Hand events over, each cart once; done when what was taken is durable.

        Answers, by cart, the rev up to which all of what was given was taken, in order. A cart of
        which nothing was taken is absent. What wasn't taken is given again, from the first one on.
        Raises SinkAwayError when nothing can be taken now.
        """
