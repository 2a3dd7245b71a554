"""A receiver of webhooks that takes whatever comes. For `python -m bench relay`."""

from __future__ import annotations

import argparse

from aiohttp import web

from bench import listening
from server.lifecycle import run


async def take(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=204)


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/", take)
    await listening.serve(app, port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
