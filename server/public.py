"""The address under which people reach the service, for links in mails."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def browser_address(host: str, port: int, *, tls: bool = False) -> str:
    """What a browser on this machine opens for a server that listens there."""
    return f"{'https' if tls else 'http'}://{_browser_host(host)}:{port}/"


def _browser_host(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"


def origin_of(url: str | None) -> str | None:
    """The origin that browsers name for pages of this address."""
    if url is None:
        return None
    parts = urlsplit(url.lower())
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return f"{parts.scheme}://{parts.netloc.removesuffix(default)}"


class PublicUrl:
    """The configured address, or else the one that is served, once that is known.

    Never what a request says: its Host header is up to whoever sends it. Ends with a slash.
    """

    def __init__(self, configured: str | None, served: str) -> None:
        self._configured = configured
        self.served = served

    def __call__(self) -> str:
        return self._configured or self.served
