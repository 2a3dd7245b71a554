"""The yardstick: a bare aiohttp room broadcast. No store, no checks, no cart.

A frame from a socket is answered to it, and told to the others in its room, as a Cartroom's op is:
same rooms, same number of frames, same sizes (`--ack-bytes`, `--push-bytes`), each frame built
once. Run by `python -m bench`, which takes the sizes from the run that it is compared with.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Final

from aiohttp import WSMsgType, web

from bench import listening
from server.lifecycle import run

ROOM: Final = "room"


class Rooms:
    """Who is where. Frames are padded to the sizes asked for."""

    def __init__(self, ack_bytes: int, push_bytes: int) -> None:
        self._rooms: defaultdict[str, list[web.WebSocketResponse]] = defaultdict(list)
        self._ack_bytes = ack_bytes
        self._push_bytes = push_bytes

    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("cartroom.v1",), compress=False)
        await socket.prepare(request)
        room = self._rooms[request.query[ROOM]]
        room.append(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._tell(socket, room, message.data)
        finally:
            room.remove(socket)
        return socket

    async def _tell(
        self, sender: web.WebSocketResponse, room: list[web.WebSocketResponse], text: str
    ) -> None:
        request = text[6 : text.index(",", 6)]
        ack = _padded(f'{{"id":{request},"type":"ok","pad":"', self._ack_bytes)
        push = _padded('{"type":"cart.ops","ops":[{"rev":1}],"pad":"', self._push_bytes)
        for socket in room:
            await socket.send_str(ack if socket is sender else push)


def _padded(start: str, size: int) -> str:
    return start.ljust(size - 2, ".") + '"}'


async def serve(args: argparse.Namespace) -> None:
    app = web.Application()
    rooms = Rooms(args.ack_bytes, args.push_bytes)
    app.router.add_get("/ws", rooms.connect)
    await listening.serve(app, args.port)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--ack-bytes", type=int, default=250)
    parser.add_argument("--push-bytes", type=int, default=350)
    run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
