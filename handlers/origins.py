"""Where a browser's request comes from. Other clients send no `Origin`."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from handlers import keys
from realtime.errors import CartroomError


def check_origin(request: web.Request) -> None:
    """Raise `forbidden` for a browser that shows somebody else's page."""
    origin = request.headers.get("Origin")
    if origin is None or origin.lower() in request.app[keys.ALLOWED_ORIGINS]:
        return
    if urlsplit(origin).netloc.lower() == request.host.lower():
        return
    raise CartroomError(
        "forbidden", "Pages of this origin may not connect; see CARTROOM_ALLOWED_ORIGINS."
    )
