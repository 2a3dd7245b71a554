"""Times: now, and as text."""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def rfc3339(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    seconds, millis = divmod(at_ms, 1_000)
    return f"{_to_the_second(seconds)}.{millis:03d}Z"


@functools.lru_cache(16)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
