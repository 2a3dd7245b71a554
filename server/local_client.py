"""A client of the realtime core inside the server's own process: the same requests and replies as
over a socket, without one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from realtime.errors import CartroomError
from realtime.hub import Hub
from realtime.session import Identity, Session

REPLY_S: Final = 10.0


class _Wire:
    """Implements `ports.Transport`: hands replies to whoever waits for them, drops the rest."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    def send(self, *frames: bytes) -> None:
        for message in map(msgspec.json.decode, frames):
            reply = self.waiting.get(message.get("id"))
            if reply is not None and not reply.done():
                reply.set_result(message)

    def backlog(self) -> int:
        return 0

    def close(self, code: int, reason: str) -> None:
        for reply in self.waiting.values():
            if not reply.done():
                reply.set_exception(CartroomError("unavailable", f"Closed: {reason} ({code})."))

    def abort(self) -> None:
        self.close(1006, "aborted")


class LocalClient:
    """One signed-in client. `connect` makes one."""

    def __init__(self, session: Session, wire: _Wire, client: str) -> None:
        self.client = client
        self._session = session
        self._wire = wire
        self._ids = itertools.count(1)

    async def request(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a request as in the wire contract; answers the reply's fields.

        Raises CartroomError where the reply is one, or after REPLY_S without any.
        """
        return await self._exchange({"id": next(self._ids), "type": kind, **fields})

    async def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._wire.waiting[message["id"]] = reply
        try:
            async with asyncio.timeout(REPLY_S):
                frame = msgspec.json.encode(message).decode()
                if message["type"] == "hello":
                    await self._session.greet(frame)
                else:
                    self._session.on_frame(frame)
                answer = await reply
        except TimeoutError:
            raise CartroomError("unavailable", "No answer in time.") from None
        finally:
            del self._wire.waiting[message["id"]]
        if answer["type"] == "error":
            raise CartroomError(answer["code"], answer["message"])
        return answer


@asynccontextmanager
async def connect(hub: Hub, user: str, client: str) -> AsyncIterator[LocalClient]:
    """A client of this user that has said `hello`; `client` is its UUID. Raises CartroomError."""
    wire = _Wire()
    identity = Identity(user, float("inf"))
    session = Session(hub, wire, lambda _token: identity, f"local-{client[:8]}")
    hub.add_session(session)
    try:
        local = LocalClient(session, wire, client)
        # Who it is was settled by our caller; any token will do.
        await local.request("hello", client=client, token=client)
        yield local
    finally:
        session.on_closed()
        hub.remove_session(session)
