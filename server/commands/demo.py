"""`cartroom demo`: demo data for a service that runs, or for the next one."""

from __future__ import annotations

import argparse

from aiohttp import web

from server import lifecycle
from server.app import create_app
from server.demo import Demo, load
from server.embedded import DataFolder, running
from server.settings import Settings
from server.stores import open_stores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--address",
        metavar="URL",
        help="where the service is, for the link to the cart (by default the one that runs on the"
        " data folder, else as configured)",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Load the demo data and print how to get in."""
    demo = lifecycle.run(_load(settings))
    address = args.address or _running_at(settings) or f"http://{settings.host}:{settings.port}/"
    print(demo.text(f"{address.rstrip('/')}/"))
    return 0


def _running_at(settings: Settings) -> str | None:
    """The address of the service that runs on the data folder, if one does."""
    endpoints = running(settings.data)
    if endpoints is None or endpoints.command != "serve":
        return None
    return DataFolder(settings.data).address()


async def _load(settings: Settings) -> Demo:
    async with open_stores(settings, "demo") as filled:
        # An instance like any other, but for its door: nobody can connect to it.
        runner = web.AppRunner(create_app(filled))
        try:
            await runner.setup()
            return await load(runner.app)
        finally:
            await runner.cleanup()
