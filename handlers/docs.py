"""The interactive page of the REST contract at `/docs`.

The page and the script that starts it are ours, in `static`; Swagger UI is served from the
package `swagger-ui-py`, of which nothing is imported: its files are all that is wanted. Only the
files named here exist, and the page runs under the same content security policy as every other.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from aiohttp import web

from handlers.assets.asset import Asset, send
from handlers.pages import page
from realtime.errors import CartroomError

_ASSETS: Final = ("swagger-ui-bundle.js", "swagger-ui.css")


def _folder() -> Path:
    """Where the package keeps its files."""
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("swagger-ui-py is not installed", name="swagger_ui")
    return Path(spec.origin).parent / "static"


_PATHS: Final = {name: _folder() / name for name in _ASSETS}


@functools.cache
def _read(path: Path) -> Asset:
    return Asset(path.read_bytes(), path.suffix)


async def asset(request: web.Request) -> web.StreamResponse:
    """One of Swagger UI's files, read when somebody wants it."""
    path = _PATHS.get(request.match_info["name"])
    if path is None:
        raise CartroomError("not_found", "There is no such file.")
    return await send(request, _read(path))


routes: Final[tuple[web.RouteDef, ...]] = (
    # It asks for `/api/openapi.json`.
    web.get("/docs", page("docs/index.html")),
    web.get("/docs/{name}", asset),
)
