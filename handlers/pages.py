"""The pages that people open, and the files they are made of.

Files are those of the `static` package. Below `/static/~<version>/` they are for good: browsers
ask once. Below `/static/` itself, and below a version that isn't ours, is what is there now, and
browsers ask each time: while instances are being replaced, one may be asked for what another has
named. Only files of known kinds exist; there is no listing. The headers that every response has,
and the pages' content security policy, come from the middleware.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from handlers.assets.asset import FOR_GOOD, REVALIDATED, send
from handlers.assets.making import STATIC
from handlers.assets.site import Site
from realtime.errors import CartroomError

SITE = web.AppKey("site", Site)

# A worker's own policy holds for what it asks for, too.
WORKER_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; object-src 'none';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Service-Worker-Allowed": "/",
}


def page(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler for the page that is made of the file `name`."""

    async def handler(request: web.Request) -> web.StreamResponse:
        asset = request.app[SITE].now().pages.get(name)
        if asset is None:
            raise _no_such_file()
        return await send(request, asset)

    return handler


async def change_password(_request: web.Request) -> web.StreamResponse:
    """Where password managers look for the place to change a password."""
    raise web.HTTPFound("/#/account/password")


async def worker(request: web.Request) -> web.StreamResponse:
    """The script that keeps the page for when there is no network."""
    asset = request.app[SITE].now().worker
    if asset is None:
        raise _no_such_file()
    response = await send(request, asset)
    response.headers.update(WORKER_HEADERS)
    return response


async def static_file(request: web.Request) -> web.StreamResponse:
    """One of the files that pages are made of."""
    site, name = request.app[SITE], request.match_info["path"]
    known = site.last.prefix.removeprefix(STATIC)
    if name.startswith(known):
        version, name, cache_control = site.last, name.removeprefix(known), FOR_GOOD
    else:
        version, cache_control = site.now(), REVALIDATED
        if name.startswith("~"):
            name = name.partition("/")[2]
    asset = version.files.get(name)
    if asset is None:
        raise _no_such_file()
    return await send(request, asset, cache_control)


def _no_such_file() -> CartroomError:
    return CartroomError("not_found", "There is no such file.")


routes: Final[tuple[web.RouteDef, ...]] = (
    web.get("/", page("index.html")),
    web.get("/styleguide", page("styleguide/index.html")),
    web.get("/sw.js", worker),
    web.get("/.well-known/change-password", change_password),
    web.get("/static/{path:.+}", static_file),
)
