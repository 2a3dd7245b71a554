"""What a history can be found guilty of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.history import Record

DISAGREEMENT: Final = "disagreement"
"""One rev was told as two different ops."""
TWICE: Final = "twice"
"""One op took effect at two revs."""
UNSENT: Final = "unsent"
"""An op took effect that nobody had sent by then."""
REFUSED: Final = "refused"
"""An op took effect, or was acknowledged, that was refused for good."""
ANSWERS_DIFFER: Final = "answers differ"
"""The same op was acknowledged in two ways."""
WRONG_STATE: Final = "wrong state"
"""A state is not what the ops up to its rev make."""
WRONG_EFFECT: Final = "wrong effect"
"""What took effect is not what the op, as sent, does to the state before it."""
NOT_ALLOWED: Final = "not allowed"
"""An op took effect on a state where its user's role did not allow it."""
WRONG_REFUSAL: Final = "wrong refusal"
"""A refusal was right on no state between the op's sending and its answer."""
ORDER: Final = "order"
"""An op got a rev at or below one that was seen before the op was sent; or numbers fall."""
GAP: Final = "gap"
"""A socket was not told a rev, and got the next ones."""
REPEAT: Final = "repeat"
"""A socket was told a rev twice."""
REORDER: Final = "reorder"
"""A socket was told revs in another order than theirs."""
UNASKED: Final = "unasked"
"""An answer to nothing, a second or swapped one; a push without a join."""
BACK: Final = "back"
"""Somebody who knew a rev was shown an earlier one as the latest; or `at` falls."""
STALE: Final = "stale"
"""The only server answered with less than had been seen before it was asked."""
OUTSIDER: Final = "outsider"
"""Somebody was shown a cart of which they were no member."""
LOST: Final = "lost"
"""What somebody was told is not in the log, or not in what was stored."""


@dataclass(frozen=True)
class Violation:
    """A broken rule, in words, and what proves it: records, and lines about the stores."""

    kind: str
    cart: str
    text: str
    records: tuple[Record, ...] = ()
    stored: tuple[str, ...] = ()

    def __str__(self) -> str:
        proof = [*map(str, self.records), *self.stored]
        return "\n    ".join([f"{self.kind}: {self.cart}: {self.text}", *proof])


def proof(*groups: Record | tuple[Record, ...] | list[Record] | None) -> tuple[Record, ...]:
    """The records of all groups, each once, in their order of time."""
    found: dict[int, Record] = {}
    for group in groups:
        for record in [group] if isinstance(group, Record) else group or ():
            found[record.seq] = record
    return tuple(found[seq] for seq in sorted(found))
