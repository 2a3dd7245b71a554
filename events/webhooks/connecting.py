"""Connections to receivers that can't be led astray: what is checked is what is connected to.

A name is looked up, all that it leads to is checked, and the socket is made for one of just these
addresses, which is checked once more there: that look also meets addresses that stand in the URL
themselves, and those that were looked up some seconds ago. Nothing looks the name up again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from storage.webhook_endpoints import ENDPOINTS_MAX

Allowed = Callable[[str], bool]
"""Whether an address, as text, may be connected to."""

Lookup = Callable[[str], Awaitable[list[str]]]
"""The addresses that a name leads to. Raises OSError when it leads nowhere."""

NAMES_KEPT_S: Final = 10
IDLE_KEPT_S: Final = 15.0
ADDRESSES_MAX: Final = 16


class ForbiddenAddressError(OSError):
    """It leads to where nothing is sent."""


class SystemLookup:
    """The system's resolver, in threads of its own.

    A name that takes long keeps a thread. There are as many as there can be names at once, so
    that nobody else waits for it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(ENDPOINTS_MAX, thread_name_prefix="webhook-names")

    async def __call__(self, name: str) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            )
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, "No such name") from error
        return list(dict.fromkeys(str(one[4][0]) for one in found))

    def close(self) -> None:
        """Wait for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class CheckedResolver(AbstractResolver):
    """Answers only where all that a name leads to may be connected to."""

    def __init__(self, lookup: Lookup, allowed: Allowed) -> None:
        self._lookup = lookup
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError, ForbiddenAddressError among them."""
        addresses = (await self._lookup(host))[:ADDRESSES_MAX]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "No such name")
        if not all(map(self._allowed, addresses)):
            raise ForbiddenAddressError("leads to an address that nothing is sent to")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def connector(lookup: Lookup, allowed: Allowed, tls: ssl.SSLContext | None = None) -> TCPConnector:
    """Connects to addresses that are allowed, and to no others. `tls` is the default's where None.

    How many connections there are is bounded by who sends.
    """

    def socket_for(info: Any) -> socket.socket:
        family, type_, proto, _, address = info
        if not allowed(address[0]):
            raise ForbiddenAddressError("an address that nothing is sent to")
        return socket.socket(family, type_, proto)

    return TCPConnector(
        resolver=CheckedResolver(lookup, allowed),
        ttl_dns_cache=NAMES_KEPT_S,
        limit=0,
        keepalive_timeout=IDLE_KEPT_S,
        ssl=True if tls is None else tls,
        socket_factory=socket_for,
    )
