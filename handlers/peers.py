"""Who is at the other end of a request: its address and whether it came by TLS, behind proxies too.

`X-Forwarded-For` and `X-Forwarded-Proto` count only where the connection itself comes from one of
`CARTROOM_TRUSTED_PROXIES`; anybody else may write into them what they like. aiohttp-remotes isn't
used: its filter believes them from any peer, and its strict form wants one exact chain of proxies.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from commerce.limits.network import network_of, site_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS_MAX: Final = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request comes from."""

    address: str | None
    secure: bool
    """It came by TLS, to us or to a trusted proxy."""

    @property
    def network(self) -> str:
        """Whom limits count it to."""
        return network_of(self.address)

    @property
    def site(self) -> str | None:
        """What may hold many such networks."""
        return site_of(self.address)


_PEER: Final = web.RequestKey("peer", Peer)


class Proxies:
    """The trusted proxies of one application."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._told = False

    def trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def ignored(self) -> None:
        """Headers of a proxy that isn't named: say so, once."""
        if not self._told:
            self._told = True
            log.warning(
                "Somebody who is not of CARTROOM_TRUSTED_PROXIES sends X-Forwarded-For; if it is"
                " your proxy, all its clients count as one until you name it"
            )


PROXIES: Final = web.AppKey("proxies", Proxies)


def peer_of(request: web.Request) -> Peer:
    """Whoever sent the request, as far as that can be trusted."""
    peer: Peer | None = request.get(_PEER)
    if peer is None:
        peer = request[_PEER] = _find(request)
    return peer


def _find(request: web.Request) -> Peer:
    direct = Peer(request.remote or None, request.secure)
    address = _parse(direct.address or "")
    forwarded = _entries(request, hdrs.X_FORWARDED_FOR)
    proxies = request.app[PROXIES]
    if address is None or not proxies.trusts(address):
        if forwarded:
            proxies.ignored()
        return direct
    hops = 0
    for entry in reversed(forwarded[-HOPS_MAX:]):
        parsed = _parse(entry)
        if parsed is None:
            break  # what stands further left can't be relied on either
        address = parsed
        if not proxies.trusts(address):
            break
        hops += 1
    return Peer(str(address), _secure(request, hops, direct.secure))


def _secure(request: web.Request, hops: int, direct: bool) -> bool:
    """What the proxy that saw the client says of its connection; else what we saw."""
    schemes = _entries(request, hdrs.X_FORWARDED_PROTO)
    if not schemes:
        return direct
    # Some proxies append, as to X-Forwarded-For, some keep what they got, some write one anew.
    return schemes[-1 - min(hops, len(schemes) - 1)].lower() in ("https", "wss")


def _entries(request: web.Request, name: str) -> list[str]:
    values = ",".join(request.headers.getall(name, ()))
    return [entry.strip() for entry in values.split(",") if entry.strip()]


def _parse(text: str) -> Address | None:
    """An address, perhaps with a port or in brackets; None for anything else."""
    text = text.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        # A zone has no meaning beyond the machine that wrote it, and makes names at will.
        return parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))
    return parsed
