"""Where a browser's request comes from: our own page, one that may ask, or somebody else's.

Browsers tell by `Origin`, on everything but plain reads, and by `Sec-Fetch-Site`; other clients
send neither. Our own page may use the session's cookie. Pages of `CARTROOM_ALLOWED_ORIGINS` may ask
like any other client, with an access token; to them there are no cookies.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from handlers import keys
from handlers.peers import peer_of
from realtime.errors import CartroomError

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def check_origin(request: web.Request) -> None:
    """Raise `forbidden` for a browser that shows somebody else's page."""
    if not from_own_page(request) and allowed_origin(request) is None:
        raise CartroomError(
            "forbidden", "Pages of this origin may not connect; see CARTROOM_ALLOWED_ORIGINS."
        )


def check_own_page(request: web.Request) -> None:
    """Raise `forbidden` for a page that isn't ours, whatever else it may."""
    if not from_own_page(request):
        raise CartroomError(
            "forbidden", "Only this service's own page gets a cookie; ask for a token."
        )


def from_own_page(request: web.Request) -> bool:
    """Whether our own page sent it, or no browser did, as far as it tells."""
    origins = request.headers.getall(hdrs.ORIGIN, ())
    if origins:
        return len(origins) == 1 and _is_ours(request, origins[0])
    return request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")


def allowed_origin(request: web.Request) -> str | None:
    """The origin of the page that asks if it is on the list, else None."""
    origins = request.headers.getall(hdrs.ORIGIN, ())
    if len(origins) == 1 and origins[0].lower() in request.app[keys.ALLOWED_ORIGINS]:
        return origins[0]
    return None


def _is_ours(request: web.Request, origin: str) -> bool:
    origin = origin.lower()
    if origin in request.app[keys.OWN_ORIGINS]:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if not parts.netloc or (peer_of(request).secure and parts.scheme != "https"):
        return False
    # Without TLS either scheme will do: there may be a proxy that nobody has named.
    host = request.host.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
    return parts.netloc == host
