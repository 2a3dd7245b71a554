"""Which faults strike, and how often. Each kind is a name; what it does is where it is drawn."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

# One request to the store, in the course of its way.
STORE: Final = {
    "store: request lost": 0.02,
    "store: answer lost": 0.03,
    "store: half of an insert done, answer lost": 0.03,
    "store: lands late, after the time-out": 0.02,
    "store: never lands, time-out": 0.01,
    "store: error": 0.02,
    "store: one document refused": 0.03,
    "store: slow": 0.05,
    "store: read torn by writes": 0.1,
    "store: read fails": 0.02,
    "store: read slow": 0.05,
    "store: instance crashes before it lands": 0.003,
    "store: instance crashes after it landed": 0.004,
    "store: instance freezes meanwhile": 0.004,
}

# One command to Redis.
REDIS: Final = {
    "redis: request lost": 0.01,
    "redis: answer lost": 0.01,
    "redis: error": 0.01,
    "redis: slow": 0.02,
    "redis: silent": 0.005,
    "redis: connection refused": 0.05,
}

# One message of a socket.
NETWORK: Final = {
    "network: dropped with this message lost": 0.004,
    "network: dropped after this message": 0.004,
    "network: half open, client unaware": 0.002,
    "network: half open, server unaware": 0.002,
    "network: delayed": 0.01,
    "network: client reads slowly": 0.004,
}

# Once in a while, to the whole. Rates a second.
WORLD: Final = {
    "sign-in: ended": 1.0,
    "instance: crash": 0.08,
    "instance: freeze": 0.1,
    "instance: restart, drained": 0.05,
    "instance: wall clock jumps ahead": 0.1,
    "instance: wall clock jumps back": 0.1,
    "redis: away": 0.06,
    "redis: emptied": 0.06,
    "redis: inbox loses its end": 0.1,
    "redis: inbox trimmed": 0.06,
    "store: away": 0.06,
    "store: no majority, then kept": 0.06,
    "store: no majority, then rolled back": 0.06,
}

KINDS: Final = {**STORE, **REDIS, **NETWORK, **WORLD}


class Faults:
    """A seed's choice of kinds and rates, and what struck. Some seeds are calm, some are wild."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.on = False
        self.struck: Counter[str] = Counter()
        wildness = rng.choice([0.3, 1.0, 1.0, 2.0])
        self.rates = {
            kind: rate * wildness * rng.choice([0.5, 1.0, 3.0]) if rng.random() < 0.5 else 0.0
            for kind, rate in KINDS.items()
        }

    def strikes(self, kind: str) -> bool:
        rate = self.rates[kind]
        if not self.on or not rate or self._rng.random() >= rate:
            return False
        self.struck[kind] += 1
        return True

    def one_of(self, *kinds: str) -> str | None:
        """The fault that strikes, if any."""
        for kind in kinds:
            if self.strikes(kind):
                return kind
        return None
