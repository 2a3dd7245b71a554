"""One file in memory, in every coding that makes it smaller, and how it is sent."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Final

from aiohttp import ETag, hdrs, web

from handlers.assets.encodings import IDENTITY, acceptable, encode

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""The kinds of files that are served, by the end of their names."""

PACKED: Final = frozenset({".ico", ".png", ".woff2"})
"""Kinds that no coding makes smaller worth the while."""

# Names without a version don't change with content: browsers ask each time and mostly hear 304.
REVALIDATED: Final = "no-cache"
FOR_GOOD: Final = "public, max-age=31536000, immutable"

_TAG_DIGITS: Final = 24


class Asset:
    """The bytes of a file of the kind that ends in `suffix`. Any thread may ask."""

    def __init__(self, content: bytes, suffix: str) -> None:
        self.content_type = CONTENT_TYPES[suffix]
        self.content = content
        self._digest = hashlib.sha256(content).hexdigest()[:_TAG_DIGITS]
        self._packed = suffix in PACKED
        self._encoded: dict[str, bytes | None] = {IDENTITY: content}
        self._lock = threading.Lock()

    async def encoded(self, coding: str) -> bytes | None:
        """The content in that coding, or None where it wouldn't be smaller.

        It is made when it is first asked for, in a thread, and kept.
        """
        if self._packed and coding != IDENTITY:
            return None
        if coding not in self._encoded:
            await asyncio.to_thread(self._encode, coding)
        return self._encoded[coding]

    def _encode(self, coding: str) -> None:
        with self._lock:
            if coding in self._encoded:
                return
            encoded = encode(self.content, coding)
            self._encoded[coding] = encoded if len(encoded) < len(self.content) else None

    def tag(self, coding: str) -> ETag:
        """Names these very bytes: those of another coding are others."""
        return ETag(self._digest if coding == IDENTITY else f"{self._digest}-{coding}")


async def send(
    request: web.Request, asset: Asset, cache_control: str = REVALIDATED
) -> web.Response:
    """The file in the best coding that is taken, or 304 where the browser has it.

    Raises HTTPNotAcceptable when the uncompressed isn't taken and there is nothing else.
    """
    for coding in acceptable(request.headers.get(hdrs.ACCEPT_ENCODING)):
        body = await asset.encoded(coding)
        if body is not None:
            break
    else:
        raise web.HTTPNotAcceptable
    etag = asset.tag(coding)
    response = web.Response(headers={hdrs.CACHE_CONTROL: cache_control})
    response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    # In a 304, too: what the type decides (a page's policy) replaces what the browser has kept.
    response.headers[hdrs.CONTENT_TYPE] = asset.content_type
    response.etag = etag
    # `*` means: only if there is none. There is one. Proxies that pack anew weaken a tag.
    if any(known.value in (etag.value, "*") for known in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.body = body
    if coding != IDENTITY:
        response.headers[hdrs.CONTENT_ENCODING] = coding
    return response
