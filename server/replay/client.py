"""A member's client: keeps a connection, joins carts, and gets requests through come what may."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp

from server.replay.connection import (
    Connection,
    ConnectionLostError,
    RefusedError,
    ServerUnusableError,
    open_connection,
)
from server.replay.figures import Figures
from server.replay.frames import Frame
from server.replay.plan import Fault, Mishap
from server.replay.view import View

CONNECTS_MAX: Final = 8
"""Attempts to connect, one after the other, before giving up."""
DELIVERIES_MAX: Final = 30
"""Times a request is tried before giving up on it."""
BACKOFF_S: Final = 0.05
BACKOFF_MAX_S: Final = 5.0

_UNHARMED: Final = Mishap()
_T = TypeVar("_T")


class GaveUpError(Exception):
    """A request that never got a final answer."""


@dataclass(slots=True)
class _Sending:
    """One request on its way: what strikes it, and whether it was sent before.

    `from_rev` is what we knew of the cart when it was sent for the first time.
    """

    mishap: Mishap
    sent: bool = False
    from_rev: int = 0
    sent_at_s: float = 0.0


class Client:
    """One member at one device. All carts that it has open share its connection."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, client: str, token: str, figures: Figures
    ) -> None:
        self._session = session
        self._url = url
        self._client = client
        self._token = token
        self._figures = figures
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._views: dict[str, View] = {}

    def view(self, cart: str) -> View:
        """This client's view of a cart, kept from one visit to the next."""
        view = self._views.get(cart)
        if view is None:
            view = View(cart, lambda text: self._figures.fault(f"{cart}: {text}"))
            self._views[cart] = view
        return view

    async def connect(self, attempts_max: int = CONNECTS_MAX) -> Connection:
        """The connection, made anew when it was lost. Raises ServerUnusableError."""
        async with self._connecting:
            if self._connection is not None:
                if not self._connection.lost:
                    return self._connection
                await self._retire(self._connection)
            for attempt in range(1, attempts_max + 1):
                try:
                    self._connection = await open_connection(
                        self._session, self._url, self._client, self._token, self._on_push
                    )
                except ConnectionLostError as error:
                    if attempt == attempts_max:
                        raise ServerUnusableError(f"No server can be reached: {error}") from error
                    await asyncio.sleep(_backoff_s(attempt))
                else:
                    return self._connection
            raise AssertionError("a client connects at least once")

    async def create_cart(self, op_id: str, mishap: Mishap, **fields: Any) -> str:
        """Make a cart, or find the one made under this op_id, and join it. Returns its id."""
        sending = _Sending(mishap)

        async def attempt(connection: Connection) -> Frame:
            return await connection.request(
                "cart.create",
                {"op_id": op_id, **fields},
                on_sent=lambda: self._on_sent(sending, connection),
                on_ok=lambda frame: self.view(frame.cart).on_created(frame, connection),
            )

        return (await self._through(attempt, mishap)).cart

    def is_in(self, cart: str) -> bool:
        """True while we are told what happens in this cart."""
        return self._connection is not None and self.view(cart).joined_on is self._connection

    async def join(self, cart: str) -> Frame:
        """Join a cart: from the rev where we left it, else from its state."""
        return await self._through(lambda connection: self._join(cart, connection))

    async def leave(self, cart: str) -> None:
        """Leave a cart, which a lost connection has done already."""

        async def attempt(connection: Connection) -> None:
            view = self.view(cart)
            if view.joined_on is connection:
                await connection.request(
                    "cart.leave", {"cart": cart}, on_ok=lambda _: view.on_left()
                )

        await self._through(attempt)

    async def op(self, cart: str, op_id: str, op: dict[str, Any], mishap: Mishap) -> Frame:
        """Get an op through. Returns its ok; raises RefusedError when it is refused for good."""
        sending = _Sending(mishap)

        async def attempt(connection: Connection) -> Frame:
            return await self._op(connection, cart, op_id, op, sending)

        reply = await self._through(attempt, mishap)
        if mishap.fault is Fault.REPEAT:
            again = await self._through(attempt)
            if again.answer() != reply.answer():
                self._figures.fault(f"{cart}: {op_id} was answered differently when sent again")
        self._figures.ops += 1
        if reply.rev <= sending.from_rev:
            self._figures.known_before += 1
        return reply

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _op(
        self, connection: Connection, cart: str, op_id: str, op: dict[str, Any], sending: _Sending
    ) -> Frame:
        """Send an op once, from within its cart."""
        figures, view = self._figures, self.view(cart)
        if view.joined_on is not connection:
            await self._join(cart, connection)
        if not sending.sent:
            sending.from_rev = view.rev
        loop = asyncio.get_running_loop()

        def on_ok(frame: Frame) -> None:
            figures.ack_s.append(loop.time() - sending.sent_at_s)
            view.on_done(frame, op_id)

        return await connection.request(
            "cart.op",
            {"cart": cart, "op_id": op_id, "op": op},
            on_sent=lambda: self._on_sent(sending, connection),
            on_ok=on_ok,
        )

    async def _join(self, cart: str, connection: Connection) -> Frame:
        view = self.view(cart)
        from_rev = view.rev
        if from_rev and view.joined_on is not connection:
            self._figures.resumes += 1
        return await connection.request(
            "cart.join",
            {"cart": cart, "rev": from_rev} if from_rev else {"cart": cart},
            on_ok=lambda frame: view.on_joined(frame, connection, from_rev),
        )

    async def _through(
        self, attempt: Callable[[Connection], Awaitable[_T]], mishap: Mishap = _UNHARMED
    ) -> _T:
        """Try until there is a final answer. Raises RefusedError, GaveUpError."""
        if mishap.fault is Fault.CUT_BEFORE:
            self._cut(await self.connect())
        reason = ""
        for number in range(1, DELIVERIES_MAX + 1):
            try:
                return await attempt(await self.connect())
            except ConnectionLostError:
                reason = "the connection was lost each time"
            except RefusedError as error:
                if not error.temporary:
                    raise
                self._figures.retries += 1
                reason = str(error)
                await asyncio.sleep(max(error.retry_after_s, _backoff_s(number)))
        raise GaveUpError(f"gave up after {DELIVERIES_MAX} attempts: {reason}")

    def _on_sent(self, sending: _Sending, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        sending.sent_at_s = loop.time()
        if sending.sent:
            self._figures.resends += 1
        elif sending.mishap.fault is Fault.CUT_AFTER:
            loop.call_later(sending.mishap.delay_s, self._cut, connection)
        sending.sent = True

    def _cut(self, connection: Connection) -> None:
        if not connection.lost:
            self._figures.drops += 1
            connection.cut()

    async def _retire(self, connection: Connection) -> None:
        """Clean up after a lost connection. Raises ServerUnusableError when it was the last."""
        await connection.close()
        self._connection = None
        if connection.fatal is not None:
            raise connection.fatal
        await asyncio.sleep(min(connection.retry_after_s, BACKOFF_MAX_S))

    def _on_push(self, frame: Frame) -> None:
        if frame.type == "error":
            self._figures.fault(f"a request could not be read: {frame.message}")
        view = self._views.get(frame.cart)
        if frame.type not in ("cart.ops", "cart.state", "cart.gone"):
            return
        if view is None or view.joined_on is None:
            self._figures.fault(f"{frame.cart}: {frame.type} came without having joined")
        elif frame.type == "cart.ops":
            view.on_pushed(frame)
        elif frame.type == "cart.state":
            view.on_state(frame)
        else:
            view.on_gone(frame)


def _backoff_s(attempt: int) -> float:
    """Longer from attempt to attempt, and a little different for everybody."""
    longest = min(BACKOFF_MAX_S, BACKOFF_S * 2.0**attempt)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter
