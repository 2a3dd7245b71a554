"""Who counts as one network."""

from __future__ import annotations

import ipaddress
from typing import Final

IPV6_PREFIX_BITS: Final = 64  # what one household gets; single addresses in it are free
IPV6_SITE_BITS: Final = 48  # what a company gets, or anybody from a tunnel's provider


def network_of(address: str | None) -> str:
    """An IPv4 address, an IPv6 network; one for everybody without an address."""
    parsed = _parse(address)
    if parsed is None:
        return "local"  # a Unix socket has no address
    return str(parsed) if parsed.version == 4 else _prefix(parsed, IPV6_PREFIX_BITS)


def site_of(address: str | None) -> str | None:
    """What may hold many IPv6 networks in one hand; None for IPv4, where addresses are scarce."""
    parsed = _parse(address)
    return None if parsed is None or parsed.version == 4 else _prefix(parsed, IPV6_SITE_BITS)


def _parse(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _prefix(address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int) -> str:
    return str(ipaddress.ip_network((int(address), bits), strict=False))
