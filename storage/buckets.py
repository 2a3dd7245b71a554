"""Token buckets in Redis, for all instances: the shared side of `commerce.limits`.

A bucket is one key, `<prefix>:limit:<rule>:<hash>`, with the time at which it will be full again in
microseconds of Redis' clock; it expires then. On a Redis Cluster give the prefix a hash tag,
since one script touches several.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

CONNECTIONS: Final = 8

# KEYS: buckets. ARGV: for each four numbers in µs: the most it can owe, the debt at which it
# refuses, what is spent (negative: given back), the least it owes. Answers for each whether it
# agrees, the debt that was found and the one that is left. A hundredth of what is spent is let
# pass, so that rounding doesn't refuse the last token. Numbers beyond 10^14 lose digits unless
# formatted.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local found, answer, met = {}, {}, true
for i = 1, #KEYS do
  local most, refusing = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
  local spend, least = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
  local full = tonumber(redis.call('GET', KEYS[i]) or now)
  found[i] = math.min(most, math.max(full - now, least, 0))
  local agrees = spend <= 0 or found[i] + spend * 0.99 <= refusing
  met = met and agrees
  answer[3 * i - 2] = agrees and 1 or 0
end
for i = 1, #KEYS do
  local left = found[i]
  if met then left = math.max(0, left + tonumber(ARGV[4 * i - 1])) end
  if left > 0 then
    local full = string.format('%.0f', now + left)
    redis.call('SET', KEYS[i], full, 'PX', math.ceil(left / 1000))
  elseif found[i] > 0 then
    redis.call('DEL', KEYS[i])
  end
  answer[3 * i - 1] = found[i]
  answer[3 * i] = left
end
return answer
"""

# (the most it can owe, the debt at which it refuses, what is spent, the least it owes), in seconds.
Amounts = tuple[float, float, float, float]
# (whether it agrees, the debt found, the debt left), in seconds.
Outcome = tuple[bool, float, float]


class BucketsAwayError(Exception):
    """Redis can't be asked right now."""


class RedisBuckets:
    """It uses at most `CONNECTIONS` of the client's connections at once; who comes then waits.

    The caller bounds the time that a call takes.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._prefix = f"{prefix}:limit:"
        self._script = redis.register_script(_TAKE)
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def take(self, keys: Sequence[str], amounts: Sequence[Amounts]) -> list[Outcome]:
        """Spend on all of the buckets, or on none when one doesn't agree; the outcome of each.

        Raises BucketsAwayError.
        """
        arguments = [round(seconds * 1e6) for amount in amounts for seconds in amount]
        try:
            async with self._turns:
                answer = await self._script([self._prefix + key for key in keys], arguments)
        except (RedisError, OSError) as error:
            raise BucketsAwayError(type(error).__name__) from error
        return [
            (bool(agrees), before / 1e6, after / 1e6)
            for agrees, before, after in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        ]
