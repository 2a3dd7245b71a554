"""What happened, in order, as a running hash; and as text for who wants to read it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Final

TAIL: Final = 60


class Trace:
    """Every event of a run: time, actor, what. Two runs of a seed must have the same hash."""

    def __init__(self, now: Callable[[], float], out: Callable[[str], None] | None = None) -> None:
        self._now = now
        self._out = out
        self._hash = hashlib.blake2b(digest_size=16)
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.events = 0

    def note(self, actor: str, what: str) -> None:
        line = f"{self._now():11.6f} {actor:<10} {what}"
        self.events += 1
        self._hash.update(line.encode("utf-8", "surrogatepass"))
        self.tail.append(line)
        if self._out is not None:
            self._out(line)

    def digest(self) -> str:
        return self._hash.hexdigest()
