"""A client that loses its connections and its patience, and forgets nothing that it is owed.

It keeps every op until its answer is final, resends those under their numbers after each
reconnect, and holds all that comes in against the contract as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket as sockets
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.client import Account
from tests.history import History
from tests.mirror import Broken
from tests.seen import Seen
from tests.tiers import by_store

Message = dict[str, Any]
Act = Callable[["Shopper"], Awaitable[None]]
HELLO_S = by_store(own=3.0, named=10.0)
SETTLE_S = 240.0
SETTLE_PATIENCE_S = by_store(own=15.0, named=45.0)
"""How long a shopper waits for an answer then, when nothing stands in its way any more."""
PATIENCE_S = (0.8, 2.5)
"""How long a shopper waits for an answer until it takes the connection for dead."""
RECONNECT_S = (0.05, 1.0)
"""First and longest wait before another try, as the protocol asks, but sooner."""
AGAIN_S = (0.05, 2.0)
"""First and longest wait before what was refused for now is sent again; an overloaded machine
would do nothing else but refuse.
"""
TRY_AGAIN = 0.05
"""How often, of its steps, a shopper asks whether it may come in again."""
PACE_S = 0.03
"""Well below the rate limit of 50 requests a second."""
RESENDS_MAX = 25
"""Ops sent again at once."""
NARROW_BYTES = 4_096


async def _rest(_shopper: Shopper) -> None:
    """Do nothing."""


@dataclass
class Asked:
    """A request without an answer. `author` is whose op it is, or a copy of."""

    what: str
    cart: str
    author: Shopper
    n: int
    at: float


class Shopper:
    """One device of one user. What it does and sees goes into `history`. A narrow one takes in
    little that it doesn't read at once.
    """

    reply_s = HELLO_S
    settle_s = SETTLE_S
    pace_s = PACE_S
    again_s = AGAIN_S

    def __init__(
        self,
        account: Account,
        urls: list[str],
        carts: list[str],
        rng: random.Random,
        history: History | None = None,
        *,
        narrow: bool = False,
    ) -> None:
        self.account = account
        self.client = str(uuid.uuid4())
        self._first_n = 1
        """Of the present client; ops below were sent under earlier ones."""
        self._op_ids: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self.carts = {cart: Seen(self.counts) for cart in carts}
        self.steps = 0
        self.url = ""
        """Where it is connected, or was last."""
        self._urls = urls
        self._rng = rng
        self._history = history or History()
        self._conn = ""
        self.narrow = narrow
        self._patience_s = rng.uniform(*PATIENCE_S)
        self._failures = 0
        self._n = 0
        self._id = 0
        self._asked: dict[int, Asked] = {}
        self._resting_until = 0.0
        self._again_at = 0.0
        self._put_offs = 0
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._awake = asyncio.Event()
        self._awake.set()
        self._news = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._socket is not None

    @property
    def in_flight(self) -> int:
        """Ops of its own that were sent over this connection and have no answer."""
        return sum(one.what == "op" and one.author is self for one in self._asked.values())

    # A life

    async def live(self, act: Act, enough: Callable[[], bool]) -> None:
        """Do what `act(shopper)` says until it is enough. A step counts where it was connected."""
        while not enough():
            await self._step(act)
            await self._breathe()

    async def settle(self, heads: dict[str, int] | None = None) -> None:
        """Get every op a final answer; with `heads`, have every cart we may see up to its own."""
        self._patience_s = SETTLE_PATIENCE_S
        self.reply_s = max(self.reply_s, SETTLE_PATIENCE_S)
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
            if self._awake.is_set() and self._now() >= self._resting_until:
                self._lose_patience()
                await self._keep_up()
                await act(self)
                self.steps += 1
            if self._reader is not None and self._reader.done():
                await self._ended()
        except (ConnectionClosed, ConnectionError, InvalidHandshake, TimeoutError):
            self._failures += 1
            await self._ended()

    async def _keep_up(self) -> None:
        """Join what is not joined, send again what was put off."""
        for cart, seen in self.carts.items():
            if self._waits_for(cart):
                continue
            if not seen.joined and (not seen.shut_out or self._rng.random() < TRY_AGAIN):
                await self._join(cart, seen)
            elif seen.put_off and self._now() >= self._again_at:
                await self._resend(cart)

    def _lose_patience(self) -> None:
        """Take a connection for dead that doesn't answer; all ops over it are in doubt."""
        oldest = min((one.at for one in self._asked.values()), default=self._now())
        if self._now() - oldest > self._patience_s:
            self.counts["patience lost"] += 1
            raise ConnectionError("no answer")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _breathe(self) -> None:
        """Until something comes in, but no longer than our pace."""
        self._news.clear()
        try:
            async with asyncio.timeout(self.pace_s * (0.5 + self._rng.random())):
                await self._news.wait()
        except TimeoutError:
            pass

    def _waits_for(self, cart: str) -> bool:
        return any(asked.cart == cart for asked in self._asked.values())

    # The connection

    async def _connect(self) -> None:
        if self._failures:
            first_s, longest_s = RECONNECT_S
            wait_s = min(first_s * 2**self._failures, longest_s)
            await asyncio.sleep(wait_s * self._rng.random())
        before, self.url = self.url, self._rng.choice(self._urls)
        async with asyncio.timeout(self.reply_s):
            socket = await self._open(self.url)
            try:
                welcome = await self._greet(socket)
            except BaseException:
                socket.transport.abort()
                raise
        if welcome["type"] != "welcome":
            await socket.close()
            raise ConnectionError(f"not welcome: {welcome}")
        self._socket, self._failures = socket, 0
        self._conn = self._history.opened(self.account.user, self.client)
        self._reader = asyncio.create_task(self._read(socket, self._conn))
        self.counts["connections"] += 1
        self.counts["moves"] += before not in ("", self.url)

    async def _greet(self, socket: ClientConnection) -> Message:
        hello = {"id": 0, "type": "hello", "client": self.client, "token": self.account.token}
        await socket.send(json.dumps(hello))
        welcome: Message = json.loads(await socket.recv())
        return welcome

    async def _open(self, url: str) -> ClientConnection:
        options: dict[str, Any] = {
            "subprotocols": [Subprotocol("cartroom.v1")],
            "ping_interval": None,
            "max_size": None,
            "proxy": None,
            "open_timeout": None,  # that is `reply_s`
            "close_timeout": 1,
        }
        if self.narrow:
            # Else the kernel keeps megabytes for a client that doesn't read.
            narrow = sockets.socket()
            narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, NARROW_BYTES)
            narrow.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_MAXSEG, NARROW_BYTES // 4)
            narrow.setblocking(False)
            address = urlsplit(url)
            try:
                await asyncio.get_running_loop().sock_connect(
                    narrow, (address.hostname, address.port)
                )
            except BaseException:
                narrow.close()
                raise
            options.update(sock=narrow, max_queue=1)
        return await open_socket(url, **options)

    async def _ended(self) -> None:
        """The socket is gone. What was asked over it has the answers that came, and no others."""
        if self._socket is not None:
            self._socket.transport.abort()
        reader, self._reader, self._socket = self._reader, None, None
        self._awake.set()
        if reader is not None:
            await reader  # takes what had come, and raises what it finds broken
        self._asked.clear()
        for seen in self.carts.values():
            seen.joined = False

    def drop(self) -> None:
        """Cut the connection, whatever is on its way."""
        if self._socket is not None:
            self._socket.transport.abort()
            self.counts["drops"] += 1

    async def _ask(
        self, what: str, cart: str, message: Message, author: Shopper | None = None, n: int = 0
    ) -> None:
        if self._socket is None:
            return
        self._id += 1
        self._asked[self._id] = Asked(what, cart, author or self, n, self._now())
        request = {"id": self._id, **({"cart": cart} if cart else {}), **message}
        self._history.sent(self._conn, request)
        with contextlib.suppress(ConnectionClosed):  # the reader notices, too
            await self._socket.send(json.dumps(request))

    async def _join(self, cart: str, seen: Seen) -> None:
        known = {} if seen.mirror is None else {"rev": seen.mirror.rev}
        await self._ask("join", cart, {"type": "cart.join", **known})
        await self._resend(cart)

    async def _resend(self, cart: str) -> None:
        seen = self.carts[cart]
        numbers = sorted(seen.unanswered)
        seen.put_off = len(numbers) > RESENDS_MAX
        for n in numbers[:RESENDS_MAX]:
            self.counts["resends"] += 1
            await self._send_op(cart, n)

    async def _send_op(self, cart: str, n: int, author: Shopper | None = None) -> None:
        author = author or self
        op = author.carts[cart].sent[n]
        message = {"type": "cart.op", "op_id": author.op_id(n), "op": op}
        await self._ask("op", cart, message, author, n)

    # What it does

    async def start_op(self, cart: str, op: Message) -> None:
        self._n += 1
        self._op_ids[self._n] = f"{self.client}:{self._n}"
        seen = self.carts[cart]
        seen.sent[self._n] = seen.unanswered[self._n] = op
        self.counts["ops"] += 1
        await self._send_op(cart, self._n)

    def op_id(self, n: int) -> str:
        return self._op_ids[n]

    def _new_client(self) -> str:
        return str(uuid.uuid4())

    def reopen(self) -> None:
        """Close the tab; a new one, another client, sends on what this one has left behind."""
        self.drop()
        self.client = self._new_client()
        self._first_n = self._n + 1
        self.counts["reopened"] += 1

    async def copy(self, author: Shopper, *, answered: bool) -> None:
        """Send an op of ours or of a sibling's again: one that took effect, or one on its way.

        The latter is for its author alone: nobody but a client itself knows whether what it sent
        elsewhere may still be on its way.
        """
        cart = self._rng.choice(list(self.carts))
        seen = author.carts[cart]
        numbers = [*seen.acknowledged] if answered else [*seen.unanswered]
        if numbers:
            self.counts["duplicates" if author is self else "siblings' ops sent"] += 1
            await self._send_op(cart, self._rng.choice(numbers), author)

    async def burst(self, requests: int) -> None:
        """Send more than the rate allows: pings, and copies of an op that is through."""
        cart = self._rng.choice(list(self.carts))
        known = [*self.carts[cart].acknowledged]
        for _ in range(requests):
            if known and self._rng.random() < 0.5:
                await self._send_op(cart, self._rng.choice(known))
            else:
                await self._ask("ping", "", {"type": "ping"})

    @property
    def reads(self) -> bool:
        return self._awake.is_set()

    def nap(self) -> None:
        """Read nothing, until `wake` or the connection's end."""
        self._awake.clear()

    def wake(self) -> None:
        self._awake.set()
        for asked in self._asked.values():
            asked.at = self._now()

    # What comes in

    async def _read(self, socket: ClientConnection, conn: str) -> None:
        try:
            while True:
                await self._awake.wait()
                message = json.loads(await socket.recv())
                self._history.received(conn, message)
                self._take(message)
                self._news.set()
        except ConnectionClosed as error:
            if error.rcvd is not None:
                self.counts[f"closed with {error.rcvd.code}"] += 1
        finally:
            self._history.closed(conn)

    def _take(self, message: Message) -> None:
        if "id" in message:
            asked = self._asked.pop(message["id"], None)
            if asked is None:
                raise Broken(f"an answer to nothing, or a second one: {message}")
            if message["type"] == "error":
                self._check_error(message)
            else:
                self._put_offs = 0
            if asked.what == "join":
                self.carts[asked.cart].take_join(message, self._first_n)
            elif asked.what == "op":
                asked.author.carts[asked.cart].take_answer(asked.n, message)
                mine = self.carts[asked.cart]
                mine.take_effect(message, self.account.user, may_be_behind=self._may_be_behind())
            return
        seen = self.carts.get(message.get("cart", ""))
        if seen is not None:
            seen.take_push(message)

    def _may_be_behind(self) -> bool:
        """Whether pushes may have been skipped, because we didn't read in time."""
        return True

    def _check_error(self, error: Message) -> None:
        self.counts[error["code"]] += 1
        if error["temporary"] != (error["code"] in ("rate_limited", "unavailable")):
            raise Broken(f"{error}")
        if error["code"] == "rate_limited":
            if not error["retry_after_s"] > 0:
                raise Broken(f"{error}")
            self._resting_until = self._now() + error["retry_after_s"]
        if error["code"] == "unavailable":
            self.counts[error["message"]] += 1
            self._wait_longer()

    def _wait_longer(self) -> None:
        """Before sending again; what is refused at the same time counts once."""
        if self._now() >= self._again_at:
            first_s, longest_s = self.again_s
            self._again_at = self._now() + min(first_s * 2 ** min(self._put_offs, 10), longest_s)
            self._put_offs += 1
