"""Who is alive and who holds which cart open, in Redis: keys, scripts, connections.

Keys, under a prefix:

- `<prefix>:instances`: a sorted set of instance ids by when their lease ends, ms of Redis' clock;
- `<prefix>:holders:<cart>`: the set of ids of instances that hold the cart open;
- `<prefix>:inbox:<id>`: the instance's stream.

All of them expire when nobody refreshes them. An id that isn't alive never comes back to life, so
whoever finds a dead one may remove it. Scripts touch several keys: on a Redis Cluster give the
prefix a hash tag, `{cartroom}`, which puts all of them on one node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript

from realtime.fanout.health import LapsedError

# Instances that nobody reads any more are trimmed to this; a reader removes what it has read.
INBOX_ENTRIES_MAX: Final = 4096

# Bounds how long one script keeps Redis from everybody else; about 1 ms at most.
CARTS_PER_SCRIPT: Final = 500

# Publisher, registrations, greetings and lease; one more for leaving.
COMMAND_CONNECTIONS: Final = 5

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function alive(id)
  local ends = redis.call('ZSCORE', KEYS[1], id)
  return ends and tonumber(ends) > now
end
"""

# KEYS: instances, new inbox, retired inbox. ARGV: new id, lease, expiry, retired id.
_JOIN: Final = (
    _NOW
    + """
redis.call('ZREM', KEYS[1], ARGV[4])
redis.call('UNLINK', KEYS[3])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('XDEL', KEYS[2], redis.call('XADD', KEYS[2], '*', 'd', ''))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
"""
)

# KEYS: instances, inbox. ARGV: id, lease, expiry. Nil when we aren't alive or have no inbox.
_RENEW: Final = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not alive(ARGV[1]) or redis.call('EXISTS', KEYS[2]) == 0 then return false end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
)

# KEYS: instances, holders… ARGV: id, expiry. 0 when we aren't alive.
_HOLD: Final = (
    _NOW
    + """
if not alive(ARGV[1]) then return 0 end
for i = 2, #KEYS do
  redis.call('SADD', KEYS[i], ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return 1
"""
)

# KEYS: holders… ARGV: id.
_RELEASE: Final = """
for i = 1, #KEYS do redis.call('SREM', KEYS[i], ARGV[1]) end
return 1
"""

# KEYS: instances, holders… ARGV: id. Answers whether we are alive, then for each other instance
# that holds any of the carts its id and their positions, comma-separated. (A row for each cart,
# with the ids that hold it, cost Redis 2.5 times as much when each is shared.)
_HOLDERS: Final = (
    _NOW
    + """
local me = ARGV[1]
local held = {}
for i = 2, #KEYS do
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[i])) do
    if id ~= me then
      local row = held[id]
      if row == nil then
        row = alive(id) and {} or false
        held[id] = row
      end
      if row then
        row[#row + 1] = i - 2
      else
        redis.call('SREM', KEYS[i], id)
      end
    end
  end
end
local answer = {alive(me) and 1 or 0}
for id, row in pairs(held) do
  if row then
    answer[#answer + 1] = id
    answer[#answer + 1] = table.concat(row, ',')
  end
end
return answer
"""
)

# KEYS: instances. ARGV: id. Answers whether we are alive, then every id that is.
_PEERS: Final = (
    _NOW
    + """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
table.insert(ids, 1, alive(ARGV[1]) and 1 or 0)
return ids
"""
)

# What a pool sets for its own connections, and a choice of shapes of answers: not for ours.
_PLUMBING: Final = (
    "himport_registry",
    "legacy_responses",
    "maint_notifications",
    "orig_",
    "oss_cluster",
)


def derive_client(redis: Redis, *, connections: int, timeout_s: float) -> Redis:
    """Another client to the same server, with its own few connections. Close it with `aclose()`.

    It never retries by itself and never decodes. `timeout_s` bounds connecting; commands have no
    time-out, put `asyncio.timeout` around them: redis-py's own makes a task of each command, and
    through `asyncio.wait_for`, which on Python 3.11 loses a cancellation now and then.
    """
    pool = redis.connection_pool
    arguments: dict[str, Any] = {
        key: value for key, value in pool.connection_kwargs.items() if not key.startswith(_PLUMBING)
    }
    arguments.update(
        decode_responses=False,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        retry_on_timeout=False,
        health_check_interval=0,
        socket_timeout=None,
        socket_connect_timeout=timeout_s,
    )
    derived = ConnectionPool(
        connection_class=pool.connection_class, max_connections=connections, **arguments
    )
    return Redis.from_pool(derived)


def chunks(carts: Sequence[str]) -> Iterable[Sequence[str]]:
    """Cut into pieces that one script may take."""
    for start in range(0, len(carts), CARTS_PER_SCRIPT):
        yield carts[start : start + CARTS_PER_SCRIPT]


class Registry:
    """Every method raises what redis-py raises, RedisError or OSError, within a bounded time.

    `lease_s` is how long an instance is taken for alive, `expiry_s` how long a key lives that
    nobody refreshes, `timeout_s` what one call may take.
    """

    def __init__(
        self, redis: Redis, prefix: str, *, lease_s: float, expiry_s: float, timeout_s: float
    ) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._instances = f"{prefix}:instances"
        self._inbox_prefix = f"{prefix}:inbox:"
        self._holders_prefix = f"{prefix}:holders:"
        self._client_prefix = f"{prefix}:client:"
        self._lease_ms = int(lease_s * 1000)
        self._expiry_ms = int(expiry_s * 1000)
        self._join = redis.register_script(_JOIN)
        self._renew = redis.register_script(_RENEW)
        self._hold = redis.register_script(_HOLD)
        self._release = redis.register_script(_RELEASE)
        self._holders = redis.register_script(_HOLDERS)
        self._peers = redis.register_script(_PEERS)

    def inbox(self, instance: str) -> str:
        """The key of an instance's stream."""
        return self._inbox_prefix + instance

    async def join(self, instance: str, retired: str) -> frozenset[str]:
        """Make `instance` alive with an empty inbox, `retired` dead. Returns all that live."""
        keys = [self._instances, self.inbox(instance), self.inbox(retired)]
        ids = await self._call(
            self._join, keys, [instance, self._lease_ms, self._expiry_ms, retired]
        )
        return frozenset(id_.decode() for id_ in ids)

    async def renew(self, instance: str) -> frozenset[str] | None:
        """Prolong the lease; returns all that live. None: it has lapsed, or the inbox is gone."""
        keys = [self._instances, self.inbox(instance)]
        ids = await self._call(self._renew, keys, [instance, self._lease_ms, self._expiry_ms])
        return None if ids is None else frozenset(id_.decode() for id_ in ids)

    async def leave(self, instance: str) -> None:
        """Make `instance` dead and delete its inbox."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zrem(self._instances, instance)
            pipe.unlink(self.inbox(instance))
            async with asyncio.timeout(self._timeout_s):
                await pipe.execute()

    async def hold(self, instance: str, carts: Sequence[str]) -> None:
        """Register at most CARTS_PER_SCRIPT carts. Raises LapsedError when we aren't alive."""
        keys = [self._instances, *map(self._holders_prefix.__add__, carts)]
        if not await self._call(self._hold, keys, [instance, self._expiry_ms]):
            raise LapsedError

    async def release(self, instance: str, carts: Sequence[str]) -> None:
        """Take back the registration of at most CARTS_PER_SCRIPT carts."""
        keys = [*map(self._holders_prefix.__add__, carts)]
        await self._call(self._release, keys, [instance])

    async def holders(self, instance: str, carts: Sequence[str]) -> dict[str, list[str]]:
        """The other living instances that hold any of the carts, and which: one script call.

        Raises LapsedError when we aren't alive ourselves.
        """
        keys = [self._instances, *map(self._holders_prefix.__add__, carts)]
        living, *rows = await self._call(self._holders, keys, [instance])
        if not living:
            raise LapsedError
        return {
            id_.decode(): [carts[int(position)] for position in positions.split(b",")]
            for id_, positions in zip(rows[::2], rows[1::2], strict=True)
        }

    async def peers(self, instance: str) -> list[str]:
        """The other living instances. Raises LapsedError when we aren't alive ourselves."""
        living, *ids = await self._call(self._peers, [self._instances], [instance])
        if not living:
            raise LapsedError
        return [id_.decode() for id_ in ids if id_.decode() != instance]

    async def greet(self, place: str, clients: Sequence[str], ttl_s: int) -> list[str | None]:
        """Remember where these clients are now. Returns where each was before, if anywhere."""
        async with asyncio.timeout(self._timeout_s):
            async with self._redis.pipeline(transaction=False) as pipe:
                for client in clients:
                    pipe.set(self._client_prefix + client, place, ex=ttl_s, get=True)
                before = await pipe.execute()
        return [None if one is None else one.decode() for one in before]

    async def append(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Append (instance, payload) to the inboxes, in order. One that is gone stays gone."""
        async with asyncio.timeout(self._timeout_s):
            if len(entries) == 1:  # The usual case; a pipeline costs more.
                await self._xadd(self._redis, *entries[0])
                return
            async with self._redis.pipeline(transaction=False) as pipe:
                for instance, payload in entries:
                    self._xadd(pipe, instance, payload)
                await pipe.execute()

    def _xadd(self, client: Redis, instance: str, payload: bytes) -> Awaitable[object]:
        return client.xadd(
            self.inbox(instance),
            {"d": payload},
            maxlen=INBOX_ENTRIES_MAX,
            approximate=True,
            nomkstream=True,
        )

    async def _call(self, script: AsyncScript, keys: list[str], args: list[str | int]) -> Any:
        async with asyncio.timeout(self._timeout_s):
            return await script(keys, args)
