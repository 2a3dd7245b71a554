"""A client that loses its connections and its patience, and forgets nothing that it is owed.

It keeps every op until its answer is final, resends those under their numbers after each
reconnect, and holds all that comes in against the contract as it comes.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.client import Account
from tests.history import History
from tests.mirror import Broken, Mirror

Message = dict[str, Any]
Act = Callable[["Shopper"], Awaitable[None]]
REPLY_S = 15.0
SETTLE_S = 40.0
TRY_AGAIN = 0.05
"""How often, of its steps, a shopper asks whether it may come in again."""
PACE_S = 0.03
"""Well below the rate limit of 50 requests a second."""


async def _rest(_shopper: Shopper) -> None:
    """Do nothing."""


@dataclass
class Seen:
    """A shopper's view of one cart."""

    mirror: Mirror | None = None
    """What was last known; survives the socket."""
    joined: bool = False
    shut_out: bool = False
    """We are no member, as far as we were told."""
    put_off: bool = False
    """Something was refused for now and must be sent again."""
    unanswered: dict[int, Message] = field(default_factory=dict)
    """Ops by number whose answer is not final."""
    acknowledged: dict[int, Message] = field(default_factory=dict)
    """The first `ok` by number."""
    refused: dict[int, str] = field(default_factory=dict)
    """Codes of final refusals by number."""
    sent: dict[int, Message] = field(default_factory=dict)


class Shopper:
    """One device of one user. What it does and sees goes into `history`."""

    reply_s = REPLY_S
    settle_s = SETTLE_S
    pace_s = PACE_S

    def __init__(
        self,
        account: Account,
        urls: list[str],
        carts: list[str],
        rng: random.Random,
        history: History | None = None,
    ) -> None:
        self.account = account
        self.client = str(uuid.uuid4())
        self.counts: Counter[str] = Counter()
        self.carts = {cart: Seen() for cart in carts}
        self._urls = urls
        self._rng = rng
        self._history = history or History()
        self._conn = ""
        self._n = 0
        self._id = 0
        self._asked: dict[int, tuple[str, str, int]] = {}
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    # A life

    async def live(self, until: float, act: Act) -> None:
        """Do what `act(shopper)` says until a time of the loop's clock."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await self._step(act)
            await self._breathe()

    async def settle(self, heads: dict[str, int] | None = None) -> None:
        """Get every op a final answer; with `heads`, have every cart we may see up to its own."""
        for seen in self.carts.values():
            seen.shut_out = False
        async with asyncio.timeout(self.settle_s):
            while self._socket is None or self._asked or not self._is_settled(heads):
                await self._step(_rest)
                await self._breathe()

    def _is_settled(self, heads: dict[str, int] | None) -> bool:
        return not any(seen.unanswered for seen in self.carts.values()) and all(
            seen.shut_out
            or (
                (seen.mirror is not None and seen.joined)
                and (heads is None or seen.mirror.rev == heads[cart])
            )
            for cart, seen in self.carts.items()
        )

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        await self._ended()

    async def _step(self, act: Act) -> None:
        try:
            if self._socket is None:
                await self._connect()
            for cart, seen in self.carts.items():
                if self._waits_for(cart):
                    continue
                if not seen.joined and (not seen.shut_out or self._rng.random() < TRY_AGAIN):
                    await self._join(cart, seen)
                elif seen.put_off:
                    await self._resend(cart)
            await act(self)
            if self._reader is not None and self._reader.done():
                await self._ended()
        except (ConnectionClosed, ConnectionError, InvalidHandshake, TimeoutError):
            await self._ended()

    async def _breathe(self) -> None:
        """Until something comes in, but no longer than our pace."""
        self._news.clear()
        try:
            async with asyncio.timeout(self.pace_s * (0.5 + self._rng.random())):
                await self._news.wait()
        except TimeoutError:
            pass

    def _waits_for(self, cart: str) -> bool:
        return any(asked[1] == cart for asked in self._asked.values())

    # The connection

    async def _open(self, url: str) -> ClientConnection:
        return await open_socket(
            url,
            subprotocols=[Subprotocol("cartroom.v1")],
            ping_interval=None,
            max_size=None,
            proxy=None,
            close_timeout=1,
        )

    async def _connect(self) -> None:
        socket = await self._open(self._rng.choice(self._urls))
        hello = {"id": 0, "type": "hello", "client": self.client, "token": self.account.token}
        await socket.send(json.dumps(hello))
        async with asyncio.timeout(self.reply_s):
            welcome = json.loads(await socket.recv())
        if welcome["type"] != "welcome":
            await socket.close()
            raise ConnectionError(f"not welcome: {welcome}")
        self._socket = socket
        self._conn = self._history.opened(self.account.user, self.client)
        self._reader = asyncio.create_task(self._read(socket, self._conn))
        self.counts["connections"] += 1

    async def _ended(self) -> None:
        """The socket is gone. What was asked over it has no answer."""
        if self._socket is not None:
            self._socket.transport.abort()
        reader, self._reader, self._socket = self._reader, None, None
        self._asked.clear()
        for seen in self.carts.values():
            seen.joined = False
        if reader is not None:
            await reader  # raises what it found broken

    def drop(self) -> None:
        """Cut the connection, whatever is on its way."""
        if self._socket is not None:
            self._socket.transport.abort()
            self.counts["drops"] += 1

    async def _ask(self, what: str, cart: str, n: int, message: Message) -> None:
        if self._socket is None:
            return
        self._id += 1
        self._asked[self._id] = (what, cart, n)
        request = {"id": self._id, "cart": cart, **message}
        self._history.sent(self._conn, request)
        await self._socket.send(json.dumps(request))

    async def _join(self, cart: str, seen: Seen) -> None:
        known = {} if seen.mirror is None else {"rev": seen.mirror.rev}
        await self._ask("join", cart, 0, {"type": "cart.join", **known})
        await self._resend(cart)

    async def _resend(self, cart: str) -> None:
        self.carts[cart].put_off = False
        for n in sorted(self.carts[cart].unanswered):
            self.counts["resends"] += 1
            await self._send_op(cart, n)

    async def _send_op(self, cart: str, n: int) -> None:
        op = self.carts[cart].sent[n]
        message = {"type": "cart.op", "op_id": f"{self.client}:{n}", "op": op}
        await self._ask("op", cart, n, message)

    # What it does

    async def start_op(self, cart: str, op: Message) -> None:
        self._n += 1
        seen = self.carts[cart]
        seen.sent[self._n] = seen.unanswered[self._n] = op
        self.counts["ops"] += 1
        await self._send_op(cart, self._n)

    async def duplicate(self) -> None:
        """Send something again that was acknowledged, perhaps long ago."""
        cart = self._rng.choice(list(self.carts))
        numbers = list(self.carts[cart].acknowledged)
        if numbers:
            self.counts["duplicates"] += 1
            await self._send_op(cart, self._rng.choice(numbers))

    # What comes in

    async def _read(self, socket: ClientConnection, conn: str) -> None:
        try:
            async for frame in socket:
                message = json.loads(frame)
                self._history.received(conn, message)
                self._take(message)
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self._history.closed(conn)

    def _take(self, message: Message) -> None:
        if "id" in message:
            asked = self._asked.pop(message["id"], None)
            if asked is None:
                raise Broken(f"an answer to nothing, or a second one: {message}")
            what, cart, n = asked
            if what == "join":
                self._joined(self.carts[cart], message)
            else:
                self._answered(self.carts[cart], n, message)
            return
        seen = self.carts.get(message.get("cart", ""))
        if seen is not None:
            self._pushed(seen, message)

    def _joined(self, seen: Seen, reply: Message) -> None:
        if reply["type"] == "error":
            self.counts[f"joins {reply['code']}"] += 1
            if reply["code"] == "not_found":
                seen.mirror, seen.shut_out = None, True
            elif not reply["temporary"]:
                raise Broken(f"{reply}")
            return
        seen.joined, seen.shut_out = True, False
        for n, ok in seen.acknowledged.items():
            if ok["rev"] <= reply["rev"] and n > reply["n"]:
                raise Broken(f"joined with n {reply['n']} at rev {reply['rev']}, but: {ok}")
        if "state" in reply:
            self.counts["states"] += 1
            seen.mirror = Mirror.of_state(reply["rev"], reply["state"])
            return
        self.counts["resumes"] += 1
        assert seen.mirror is not None
        self._apply(seen, reply["ops"])
        if seen.mirror.rev != reply["rev"]:
            raise Broken(f"resumed to {seen.mirror.rev}, told was {reply['rev']}")

    def _answered(self, seen: Seen, n: int, reply: Message) -> None:
        if reply["type"] == "error":
            self.counts[reply["code"]] += 1
            if reply["temporary"]:
                seen.put_off = True
                return
            if n in seen.acknowledged and not seen.refused.get(n):
                raise Broken(f"acknowledged, and then {reply}")
            seen.refused.setdefault(n, reply["code"])
            seen.unanswered.pop(n, None)
            return
        if n in seen.refused:
            raise Broken(f"refused for good as {seen.refused[n]}, and then {reply}")
        first = seen.acknowledged.setdefault(n, reply)
        for key in ("rev", "at", "op", "results"):
            if first.get(key) != reply.get(key):
                raise Broken(f"acknowledged as {first}, and then as {reply}")
        seen.unanswered.pop(n, None)
        if seen.joined and seen.mirror is not None and reply["rev"] > seen.mirror.rev:
            by = self.account.user
            self._apply(seen, [{"rev": reply["rev"], "by": by, "op": reply["op"]}])

    def _pushed(self, seen: Seen, push: Message) -> None:
        if push["type"] == "cart.gone":
            self.counts["gone"] += 1
            seen.joined, seen.mirror = False, None
        if push["type"] not in ("cart.ops", "cart.state"):
            return
        if not seen.joined or seen.mirror is None:
            raise Broken(f"pushed without a join: {push}")
        if push["type"] == "cart.ops":
            self._apply(seen, push["ops"])
            return
        self.counts["fresh states"] += 1
        fresh = Mirror.of_state(push["rev"], push["state"])
        if fresh.rev == seen.mirror.rev and fresh.content() != seen.mirror.content():
            raise Broken(f"a state that differs: {fresh.content()} {seen.mirror.content()}")
        seen.mirror = fresh

    def _apply(self, seen: Seen, ops: list[Message]) -> None:
        assert seen.mirror is not None
        for op in ops:
            seen.mirror.apply(op["rev"], op["by"], op["op"])
