"""How the bench's own small servers listen: on loopback, until they are ended."""

from __future__ import annotations

import asyncio

from aiohttp import web


async def serve(app: web.Application, port: int) -> None:
    """Serve on this port, 0 for a free one; prints the address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"Listening at http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
    await asyncio.Event().wait()
