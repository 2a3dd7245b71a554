"""Answers whose time must not tell whether an address is known."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Final

STEP_S: Final = 0.025
"""Answers are given at multiples of this, and up to as much later by chance."""
JITTER_STEPS: Final = 1_000_000


async def hide(started_s: float) -> None:
    """Wait, so that the time since `started_s` (of `time.perf_counter`) tells little.

    The same is done for known and unknown addresses, but finding a document takes tens of
    microseconds more than finding none, and that shows over a thousand answers.
    """
    spent_s = time.perf_counter() - started_s
    jitter = secrets.randbelow(JITTER_STEPS) / JITTER_STEPS
    await asyncio.sleep(STEP_S * (1 + jitter) - spent_s % STEP_S)
