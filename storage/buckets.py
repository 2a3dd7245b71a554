"""Token buckets in Redis, for all instances: the shared side of `commerce.limits`.

A bucket is one key, `<prefix>:limit:<rule>:<hash>`, with the time at which it will be full again in
microseconds of Redis' clock; it expires then. On a Redis Cluster give the prefix a hash tag,
since one script touches several.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

CONNECTIONS: Final = 2
"""One is in use, the other may still be on its way out."""
TAKES_PER_SCRIPT: Final = 200
"""Bounds how long one script keeps Redis from everybody else; about 1 ms at most."""

# KEYS: buckets, in groups. ARGV: the number of groups, the size of each, then for each bucket four
# numbers in µs: the most it can owe, the debt at which it refuses, what is spent (negative: given
# back), the least it owes. A group is spent on whole or not at all, one group after the other.
# Answers for each bucket whether it agrees, the debt that was found and the one that is left. A
# hundredth of what is spent is let pass, so that rounding doesn't refuse the last token. Numbers
# beyond 10^14 lose digits unless formatted.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local groups, first, answer = tonumber(ARGV[1]), 1, {}
local function number(key, which)
  return tonumber(ARGV[1 + groups + 4 * (key - 1) + which])
end
for group = 1, groups do
  local last = first + tonumber(ARGV[1 + group]) - 1
  local met = true
  for i = first, last do
    local spend = number(i, 3)
    local full = tonumber(redis.call('GET', KEYS[i]) or now)
    local found = math.min(number(i, 1), math.max(full - now, number(i, 4), 0))
    local agrees = spend <= 0 or found + spend * 0.99 <= number(i, 2)
    met = met and agrees
    answer[3 * i - 2] = agrees and 1 or 0
    answer[3 * i - 1] = found
  end
  for i = first, last do
    local found = answer[3 * i - 1]
    local left = found
    if met then left = math.max(0, left + number(i, 3)) end
    if left > 0 then
      local full = string.format('%.0f', now + left)
      redis.call('SET', KEYS[i], full, 'PX', math.ceil(left / 1000))
    elseif found > 0 then
      redis.call('DEL', KEYS[i])
    end
    answer[3 * i] = left
  end
  first = last + 1
end
return answer
"""

# (the most it can owe, the debt at which it refuses, what is spent, the least it owes), in seconds.
Amounts = tuple[float, float, float, float]
# (whether it agrees, the debt found, the debt left), in seconds.
Outcome = tuple[bool, float, float]


class BucketsAwayError(Exception):
    """Redis can't be asked right now."""


@dataclass(frozen=True, slots=True)
class _Take:
    keys: Sequence[str]
    amounts: Sequence[Amounts]
    outcomes: asyncio.Future[list[Outcome]]


class RedisBuckets:
    """What is asked for while Redis answers goes to it together, in the order of asking.

    The client bounds the time that an answer takes, the caller that of a call.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._prefix = f"{prefix}:limit:"
        self._script = redis.register_script(_TAKE)
        self._waiting: deque[_Take] = deque()
        self._work: asyncio.Task[None] | None = None

    async def take(self, keys: Sequence[str], amounts: Sequence[Amounts]) -> list[Outcome]:
        """Spend on all of the buckets, or on none when one doesn't agree; the outcome of each.

        Raises BucketsAwayError. Who gives up before it was sent spends nothing.
        """
        outcomes: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Take(keys, amounts, outcomes))
        if self._work is None:
            self._work = asyncio.create_task(self._send(), name="limits")
        return await outcomes

    async def _send(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), TAKES_PER_SCRIPT)
                some = [self._waiting.popleft() for _ in range(count)]
                await self._settle([take for take in some if not take.outcomes.done()])
        finally:
            self._work = None

    async def _settle(self, takes: list[_Take]) -> None:
        if not takes:
            return
        try:
            outcomes = iter(await self._ask(takes))
        except Exception as error:
            for take in takes:
                if not take.outcomes.done():
                    take.outcomes.set_exception(_failure(error))
            return
        for take in takes:
            own = [next(outcomes) for _ in take.keys]
            if not take.outcomes.done():
                take.outcomes.set_result(own)

    async def _ask(self, takes: list[_Take]) -> list[Outcome]:
        keys = [self._prefix + key for take in takes for key in take.keys]
        arguments = [len(takes), *(len(take.keys) for take in takes)]
        for take in takes:
            arguments += [round(seconds * 1e6) for amount in take.amounts for seconds in amount]
        answer = await self._script(keys, arguments)
        return [
            (bool(agrees), before / 1e6, after / 1e6)
            for agrees, before, after in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        ]


def _failure(error: Exception) -> Exception:
    """One for each who hears it: they add their own tracebacks."""
    if not isinstance(error, RedisError | OSError):
        return error
    away = BucketsAwayError(type(error).__name__)
    away.__cause__ = error
    return away
