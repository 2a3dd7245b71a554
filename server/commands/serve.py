"""`cartroom serve`: the service itself."""

from __future__ import annotations

import argparse
from dataclasses import replace

from aiohttp import web

from server import lifecycle
from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="where to listen (CARTROOM_HOST, by default 127.0.0.1)")
    parser.add_argument(
        "--port", type=port_number, help="port, 0 for a free one (CARTROOM_PORT, by default 8080)"
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="load products, two accounts and a cart that they share, and print how to get in",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until told to stop; 0 after a clean end."""
    if args.host is not None:
        settings = replace(settings, host=args.host)
    if args.port is not None:
        settings = replace(settings, port=args.port)

    async def started(app: web.Application, address: str) -> None:
        if args.demo:
            from server.demo import load

            print((await load(app)).text(address))
        print(f"Cartroom is at {address}", flush=True)

    return lifecycle.run(lifecycle.serve(settings, started))


def port_number(text: str) -> int:
    """A port on the command line."""
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("expected a number from 0 to 65535")
    return port
