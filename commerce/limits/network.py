"""Who counts as one network."""

from __future__ import annotations

import ipaddress
from typing import Final

IPV6_PREFIX_BITS: Final = 64  # what one customer gets; single addresses in it are free


def network_of(address: str | None) -> str:
    """An IPv4 address, an IPv6 network; one for everybody without an address."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "local"  # a Unix socket has no address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed), IPV6_PREFIX_BITS), strict=False))
    return str(parsed.ipv4_mapped if parsed.version == 6 else parsed)
