"""Where a webhook may lead: which URLs can be registered, and which addresses be connected to.

A URL is looked at with yarl, which is also what the client that calls it reads it with. That a
name leads to somewhere public is not looked up when it is registered, since it may lead elsewhere
a moment later: each connection is held against `is_public` as it is made.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from yarl import URL

URL_CHARS_MAX: Final = 2_000
PORTS: Final = frozenset({443, 8443})
"""Of receivers. Others would let whoever registers webhooks knock at other services' doors."""

# Of IANA's special-purpose registries whatever isn't globally reachable, and beside it what
# leads to one of many (multicast, anycast relays) or is nobody's yet.
_NO_HOSTS_V4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # behind carriers' address translation
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, and clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_UNICAST_V6: Final = ipaddress.IPv6Network("2000::/3")
_NO_HOSTS_V6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
# How networks without IPv4 reach it: the last 32 bits are the address.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

# Resolvers take `127.1`, `0x7f.1` and `2130706433` for addresses, too.
_NUMERIC: Final = re.compile(r"(\d+|0[xX][0-9a-fA-F]*)")
_LOCAL_NAMES: Final = ("localhost", "local", "internal", "home.arpa")


class BadUrlError(ValueError):
    """Not where a webhook may lead; the text says why."""


def is_public(address: str) -> bool:
    """Whether this is the address of a host on the internet at large. False for what is none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_public_v4(ip)
    if ip.scope_id is not None:
        return False
    if ip in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    return ip in _UNICAST_V6 and not any(ip in network for network in _NO_HOSTS_V6)


def _is_public_v4(ip: ipaddress.IPv4Address) -> bool:
    return not any(ip in network for network in _NO_HOSTS_V4)


def checked_url(text: str, *, private: bool = False) -> str:
    """The URL in the form in which it is called. Raises BadUrlError.

    `private` allows what development needs: http, any port, and names and addresses of one's own
    networks.
    """
    if len(text) > URL_CHARS_MAX or not text.isprintable() or " " in text:
        raise BadUrlError("Not a URL.")
    try:
        url = URL(text)
        host, port = url.host, url.port  # the port is only read now
    except ValueError:
        raise BadUrlError("Not a URL.") from None
    if url.scheme != "https" and not (private and url.scheme == "http"):
        raise BadUrlError("Must begin with https://.")
    if not host:
        raise BadUrlError("Names no host.")
    if url.user is not None or url.password is not None:
        raise BadUrlError("Must hold no user and password; deliveries are signed.")
    if url.raw_fragment:
        raise BadUrlError("Must hold no fragment; it would not be sent.")
    if not private:
        _check_place(host, port)
    return str(url.with_fragment(None))


def _check_place(host: str, port: int | None) -> None:
    if port not in PORTS:
        raise BadUrlError(f"The port must be one of {', '.join(map(str, sorted(PORTS)))}.")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if not is_public(host):
            raise BadUrlError("The address isn't one on the internet at large.")
        return
    name = host.rstrip(".").lower()
    last = name.rpartition(".")[2]
    if "." not in name or _NUMERIC.fullmatch(last):
        raise BadUrlError("The host must be a full name.")
    if any(name == local or name.endswith(f".{local}") for local in _LOCAL_NAMES):
        raise BadUrlError("The name isn't one on the internet at large.")
