"""What every answer tells browsers to do, and not to do, with it."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from handlers.cors import add_cors_headers
from handlers.limiting import add_limit_headers
from handlers.peers import peer_of

# A year; the service's host is to have no subdomains that do without TLS.
STRICT_TRANSPORT: Final = "max-age=31536000; includeSubDomains"

# What is no page runs nothing and loads nothing, should a browser be brought to show it as one.
API_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    )
)
PAGE_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data: https:",  # products' pictures are where their shop keeps them
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
PERMISSIONS: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "serial",
        "usb",
        "xr-spatial-tracking",
    )
)

EVERYWHERE: Final = {
    hdrs.SERVER: "cartroom",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def secure(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on a response that is about to be sent."""
    headers = response.headers
    headers.update(EVERYWHERE)
    if response.content_type == "text/html":
        headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        headers["Permissions-Policy"] = PERMISSIONS
    else:
        headers.setdefault("Content-Security-Policy", API_POLICY)
    # What may be kept says so.
    headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    if peer_of(request).secure:
        headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    add_limit_headers(request, response)
    add_cors_headers(request, response)
