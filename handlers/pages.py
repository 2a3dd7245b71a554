"""The page at `/` and the files it is made of under `/static/`.

Files are served as they are in the `static` package, found beside its `__init__.py` wherever it
is installed. Only files of the kinds below that were there at start exist; there is no listing.
The headers that every response has, and the page's content security policy, come from the
middleware.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

import static
from realtime.errors import CartroomError

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

# Names don't change with content, so browsers ask each time and mostly hear 304.
CACHE_CONTROL: Final = "no-cache"


def _find_files(folder: Path) -> dict[str, Path]:
    """Every file that is served, by its path below `/static/`."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix in CONTENT_TYPES and path.is_file()
    }


FILES: Final = _find_files(Path(static.__file__).parent)


def static_path(name: str) -> Path:
    """The file served as `name` below `/static/`. Raises `not_found`."""
    path = FILES.get(name)
    if path is None:
        raise CartroomError("not_found", "There is no such file.")
    return path


def send_file(path: Path) -> web.StreamResponse:
    """A file of one of the kinds above, as it is."""
    # aiohttp answers conditional and range requests, with an ETag from size and time of change.
    headers = {hdrs.CONTENT_TYPE: CONTENT_TYPES[path.suffix], hdrs.CACHE_CONTROL: CACHE_CONTROL}
    return web.FileResponse(path, headers=headers)


async def index(_request: web.Request) -> web.StreamResponse:
    """The page itself."""
    return send_file(static_path("index.html"))


async def change_password(_request: web.Request) -> web.StreamResponse:
    """Where password managers look for the place to change a password."""
    raise web.HTTPFound("/#/account/password")


async def static_file(request: web.Request) -> web.StreamResponse:
    """One of the files that the page is made of."""
    return send_file(static_path(request.match_info["path"]))


routes: Final[tuple[web.RouteDef, ...]] = (
    web.get("/", index),
    web.get("/.well-known/change-password", change_password),
    web.get("/static/{path:.+}", static_file),
)
