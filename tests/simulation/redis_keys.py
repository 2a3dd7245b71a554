"""A Redis server's data, and the commands and scripts that fan-out sends it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from realtime.fanout import registry

Reply = Any
"""None, an int, bytes, a list of replies; or a `Refusal`."""


class Refusal(str):
    """An error reply, with its code in front."""

    __slots__ = ()


class Stream:
    """Entries by id, ascending. `last` is the highest id that ever was."""

    def __init__(self) -> None:
        self.entries: list[tuple[tuple[int, int], list[bytes]]] = []
        self.last = (0, 0)

    def add(self, now_ms: int, fields: list[bytes]) -> tuple[int, int]:
        ms, number = self.last
        self.last = (now_ms, 0) if now_ms > ms else (ms, number + 1)
        self.entries.append((self.last, fields))
        return self.last

    def after(self, position: tuple[int, int], count: int) -> list[Reply]:
        found = [(key, fields) for key, fields in self.entries if key > position]
        return [[_id(key), fields] for key, fields in found[:count]]


class Keys:
    """All keys of the server; each may expire. `now_ms` tells the server's time."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._values: dict[str, Any] = {}
        self._expire_at: dict[str, int] = {}
        self._scripts: set[str] = set()

    # The world

    def clear(self) -> None:
        """As after a restart without data."""
        self._values.clear()
        self._expire_at.clear()
        self._scripts.clear()

    def streams(self) -> list[Stream]:
        self._purge()
        return [value for value in self._values.values() if isinstance(value, Stream)]

    # Commands

    def run(self, command: list[bytes]) -> Reply:
        self._purge()
        name, *args = command
        handler = getattr(self, f"_{name.decode().lower()}", None)
        if handler is None:
            return Refusal(f"ERR unknown command {name.decode()}")
        return handler(args)

    def read(self, key: str, position: tuple[int, int], count: int) -> Reply:
        """XREAD of one stream: None when there is nothing beyond `position`."""
        self._purge()
        stream = self._values.get(key)
        entries = stream.after(position, count) if isinstance(stream, Stream) else []
        return [[key.encode(), entries]] if entries else None

    def _client(self, _args: list[bytes]) -> Reply:
        return "OK"

    def _script(self, args: list[bytes]) -> Reply:
        digest = hashlib.sha1(args[1]).hexdigest()
        self._scripts.add(digest)
        return digest.encode()

    def _evalsha(self, args: list[bytes]) -> Reply:
        digest = args[0].decode()
        if digest not in self._scripts:
            return Refusal("NOSCRIPT No matching script.")
        count = int(args[1])
        keys = [key.decode() for key in args[2 : 2 + count]]
        return SCRIPTS[digest](self, keys, [arg.decode() for arg in args[2 + count :]])

    def _xadd(self, args: list[bytes]) -> Reply:
        key, words = args[0].decode(), [arg.upper() for arg in args[1:6]]
        assert words[0] == b"NOMKSTREAM"
        assert words[1:3] == [b"MAXLEN", b"~"]
        stream = self._values.get(key)
        if stream is None:
            return None
        assert args[5] == b"*"
        return _id(stream.add(self._now_ms(), args[6:]))

    def _xtrim(self, args: list[bytes]) -> Reply:
        assert args[1] == b"MINID"
        stream = self._values.get(args[0].decode())
        if stream is None:
            return 0
        kept = [entry for entry in stream.entries if entry[0] >= read_id(args[-1])]
        gone = len(stream.entries) - len(kept)
        stream.entries = kept
        return gone

    def _zrem(self, args: list[bytes]) -> Reply:
        return int(self._leases(args[0].decode()).pop(args[1].decode(), None) is not None)

    def _set(self, args: list[bytes]) -> Reply:
        key, words = args[0].decode(), [arg.upper() for arg in args[2:]]
        assert words[:2] == [b"GET", b"EX"]
        before = self._values.get(key)
        self._values[key] = args[1]
        self._expire_at[key] = self._now_ms() + 1000 * int(words[2])
        return before

    def _unlink(self, args: list[bytes]) -> Reply:
        return int(self._values.pop(args[0].decode(), None) is not None)

    # Scripts, as `realtime.fanout.registry` has them in Lua

    def join(self, keys: list[str], args: list[str]) -> Reply:
        now, (new, lease, expiry, retired) = self._now_ms(), args
        leases = self._leases(keys[0])
        leases.pop(retired, None)
        self._values.pop(keys[2], None)
        leases[new] = now + int(lease)
        self._values.setdefault(keys[1], Stream())
        for key in keys[:2]:
            self._expire_at[key] = now + int(expiry)
        return [one.encode() for one, ends in leases.items() if ends > now]

    def renew(self, keys: list[str], args: list[str]) -> Reply:
        now, (ours, lease, expiry) = self._now_ms(), args
        leases = self._leases(keys[0])
        for one in [one for one, ends in leases.items() if ends <= now]:
            del leases[one]
        if ours not in leases or keys[1] not in self._values:
            return None
        leases[ours] = now + int(lease)
        for key in keys[:2]:
            self._expire_at[key] = now + int(expiry)
        return [one.encode() for one in leases]

    def hold(self, keys: list[str], args: list[str]) -> Reply:
        if not self._alive(keys[0], args[0]):
            return 0
        for key in keys[1:]:
            self._values.setdefault(key, {})[args[0]] = None
            self._expire_at[key] = self._now_ms() + int(args[1])
        return 1

    def release(self, keys: list[str], args: list[str]) -> Reply:
        for key in keys:
            self._values.get(key, {}).pop(args[0], None)
        return 1

    def holders(self, keys: list[str], args: list[str]) -> Reply:
        rows: dict[str, list[int]] = {}
        for position, key in enumerate(keys[1:]):
            for one in list(self._values.get(key, {})):
                if one == args[0]:
                    continue
                if self._alive(keys[0], one):
                    rows.setdefault(one, []).append(position)
                else:
                    del self._values[key][one]
        answer: list[Reply] = [int(self._alive(keys[0], args[0]))]
        for one, positions in rows.items():
            answer += [one.encode(), ",".join(map(str, positions)).encode()]
        return answer

    def peers(self, keys: list[str], args: list[str]) -> Reply:
        now = self._now_ms()
        alive = [one.encode() for one, ends in self._leases(keys[0]).items() if ends > now]
        return [int(self._alive(keys[0], args[0])), *alive]

    # Within

    def _leases(self, key: str) -> dict[str, int]:
        return self._values.setdefault(key, {})  # type: ignore[no-any-return]

    def _alive(self, key: str, instance: str) -> bool:
        return bool(self._leases(key).get(instance, 0) > self._now_ms())

    def _purge(self) -> None:
        now = self._now_ms()
        for key in [key for key, at in self._expire_at.items() if at <= now]:
            del self._expire_at[key]
            self._values.pop(key, None)


def _digest(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()


SCRIPTS: Final[dict[str, Callable[[Keys, list[str], list[str]], Reply]]] = {
    _digest(registry._JOIN): Keys.join,
    _digest(registry._RENEW): Keys.renew,
    _digest(registry._HOLD): Keys.hold,
    _digest(registry._RELEASE): Keys.release,
    _digest(registry._HOLDERS): Keys.holders,
    _digest(registry._PEERS): Keys.peers,
}


def read_id(text: bytes) -> tuple[int, int]:
    ms, _, number = text.partition(b"-")
    return int(ms), int(number or 0)


def _id(key: tuple[int, int]) -> bytes:
    return b"%d-%d" % key
