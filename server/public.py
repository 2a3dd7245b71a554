"""The address under which people reach the service, for links in mails."""

from __future__ import annotations

import ipaddress


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


class PublicUrl:
    """The configured address, or else the one that is served, once that is known.

    Never what a request says: its Host header is up to whoever sends it. Ends with a slash.
    """

    def __init__(self, configured: str | None, served: str) -> None:
        self._configured = configured
        self.served = served

    def __call__(self) -> str:
        return self._configured or self.served
