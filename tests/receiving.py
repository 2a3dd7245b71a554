"""Receivers of webhooks: real servers, which verify what they get as docs/webhooks.md says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from tests.helpers import eventually

WAIT_S = 90.0
"""For what comes within a second where nobody is busy."""


@dataclass(frozen=True)
class Got:
    """A webhook that came, and by which of the receiver's secrets it is signed."""

    id: str
    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]
    signed_by: tuple[str, ...]

    @property
    def rev(self) -> int:
        return int(self.body["data"]["rev"])

    @property
    def cart(self) -> str:
        return str(self.body["data"]["cart"])


Answering = Callable[[Got], int | web.StreamResponse | Awaitable[int | web.StreamResponse]]


@dataclass
class Receiver:
    """Keeps what comes in `got`. `answer` says what it answers, by default 204.

    What isn't signed by one of `secrets` is refused, and kept in `refused`.
    """

    url: str = ""
    secrets: list[str] = field(default_factory=list)
    answer: Answering = lambda got: 204
    got: list[Got] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        signed_by = tuple(one for one in self.secrets if verified(one, raw, dict(request.headers)))
        if not signed_by:
            self.refused.append(raw)
            return web.Response(status=400)
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(headers["webhook-id"], await request.json(), raw, headers, signed_by)
        self.got.append(got)
        answer = self.answer(got)
        if not isinstance(answer, int | web.StreamResponse):
            answer = await answer
        return web.Response(status=answer) if isinstance(answer, int) else answer

    async def until(self, count: int) -> list[Got]:
        """Wait until so many have come."""
        await eventually(lambda: len(self.got) >= count, WAIT_S, f"{count} webhooks")
        return self.got

    async def until_all(self, ids: set[str]) -> None:
        """Wait until each of these ids has come."""
        await eventually(lambda: ids <= {one.id for one in self.got}, WAIT_S, "all webhooks")

    def first_revs(self, cart: str) -> list[int]:
        """The revs of a cart in the order in which each came for the first time."""
        return list(dict.fromkeys(one.rev for one in self.got if one.cart == cart))


def verified(secret: str, raw: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(raw, headers)
    except WebhookVerificationError:
        return False
    return True


@asynccontextmanager
async def receiving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, name: str | None = None
) -> AsyncIterator[Receiver]:
    """A receiver at `receiver.url`, under `name` where one is given."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0, ssl_context=tls).start()
        port = runner.addresses[0][1]
        receiver.url = f"{'https' if tls else 'http'}://{name or host}:{port}/hook?shop=1"
        yield receiver
    finally:
        await runner.cleanup()


Speaking = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def speaking(speak: Speaking) -> AsyncIterator[str]:
    """The URL of a server that speaks no HTTP but what `speak` does with each connection."""

    serving: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[writer] = asyncio.current_task()
        try:
            await reader.readuntil(b"\r\n\r\n")
            await speak(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        # A connection that is left open is found by whichever test runs when garbage is collected.
        for writer in serving:
            writer.transport.abort()
        await asyncio.gather(*filter(None, serving.values()), return_exceptions=True)
