"""A bare aiohttp echo: the cheapest server there is, to see what the load itself costs.

Run by `python -m bench echo`.
"""

from __future__ import annotations

import argparse

from aiohttp import WSMsgType, web

from bench import listening
from server.lifecycle import run


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("cartroom.v1",), compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_get("/ws", echo)
    await listening.serve(app, port)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
