"""How often one peer may try to come in: a token bucket each, in a bounded table."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

PEERS_MAX: Final = 10_000
IPV6_PREFIX_BITS: Final = 64  # what one customer gets; single addresses in it are free


def peer_key(address: str | None) -> str:
    """Who counts as one peer: an IPv4 address, an IPv6 network, everybody without an address."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "local"  # a Unix socket has no address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX_BITS), strict=False))
    return str(parsed.ipv4_mapped if parsed.version == 6 else parsed)


class Throttle:
    """Allows each peer `per_minute` attempts at once, and then as many a minute.

    It remembers the `peers_max` that tried last.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        peers_max: int = PEERS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = float(per_minute)
        self._per_s = per_minute / 60
        self._peers_max = peers_max
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, peer: str) -> float:
        """0 when the attempt is allowed, and counted; else the seconds until one will be."""
        now = self._monotonic()
        level, at = self._buckets.pop(peer, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_s)
        allowed = level >= 1
        self._buckets[peer] = (level - 1 if allowed else level, now)
        if len(self._buckets) > self._peers_max:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) / self._per_s
