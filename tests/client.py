"""A client of the protocol, and a server for it to talk to.

The client is built on `websockets`, which shares no code with the server's aiohttp. It does what
`protocol.md` asks of a client and no more: numbers its ops, matches replies to requests, keeps
pushes in the order of their coming. Every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, web
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from commerce.catalog.documents import to_document
from commerce.catalog.product import Product
from handlers import keys
from realtime.hub import Hub
from server.app import create_app
from server.lifecycle import close
from server.runner import Runner
from server.settings import Settings
from storage.products import Products
from tests.helpers import PATIENCE_S, eventually

WAIT_S = PATIENCE_S
Message = dict[str, Any]


class Refused(AssertionError):
    """A request that a test took for granted was answered with an error."""


@dataclass(frozen=True)
class Account:
    user: str
    name: str
    token: str


class Client:
    """One connected socket that has said `hello`. `welcome` is what it was told."""

    def __init__(self, socket: ClientConnection, account: Account, client: str) -> None:
        self.socket = socket
        self.user = account.user
        self.client = client
        self.welcome: Message = {}
        self.pushes: list[Message] = []
        """Pushes that nobody has asked for yet, in order."""
        self.errors: list[Message] = []
        """Errors that answer no request of ours (`id` null)."""
        self.revs: dict[str, list[int]] = {}
        """By cart, the revs that came: own `ok`s and pushes, in the order of their coming."""
        self.frames: list[Message] = []
        """Everything that came, in order."""
        self._id = 0
        self._n = 0
        self._replies: dict[Any, asyncio.Future[Message]] = {}
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read(), name="client")

    # Requests

    async def ask(self, type_: str, **fields: Any) -> Message:
        """Send a request and return its reply, be it an error."""
        return await self.start(type_, **fields)

    def start(self, type_: str, **fields: Any) -> asyncio.Task[Message]:
        """Send a request; the task returned ends with the reply."""
        return self.start_message({"type": type_, **fields})

    def start_message(self, message: Message) -> asyncio.Task[Message]:
        self._id += 1
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[self._id] = reply
        return asyncio.create_task(self._exchange({"id": self._id, **message}, reply))

    async def _exchange(self, message: Message, reply: asyncio.Future[Message]) -> Message:
        async with asyncio.timeout(WAIT_S):
            await self.socket.send(json.dumps(message))
            return await reply

    async def request(self, type_: str, **fields: Any) -> Message:
        """Send a request that must succeed; returns its reply."""
        return succeeded(await self.ask(type_, **fields))

    async def insist(self, type_: str, **fields: Any) -> Message:
        """Send a request again until it isn't refused for now alone; returns its final reply."""

        async def attempt() -> Message | None:
            reply = await self.ask(type_, **fields)
            return None if reply["type"] == "error" and reply["temporary"] else reply

        return await eventually(attempt, what="a final reply")

    async def refusal(self, code: str, type_: str, **fields: Any) -> Message:
        """Send a request that must be refused with `code`; returns the error."""
        return refused(await self.ask(type_, **fields), code)

    async def send(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        async with asyncio.timeout(WAIT_S):
            await self.socket.send(frame)

    # Carts

    async def create(self, **fields: Any) -> str:
        """Create a cart, which joins it; returns its id."""
        return (await self.request("cart.create", **fields))["cart"]

    async def join(self, cart: str, **fields: Any) -> Message:
        return await self.request("cart.join", cart=cart, **fields)

    def next_op_id(self) -> str:
        self._n += 1
        return f"{self.client}:{self._n}"

    def start_op(
        self, cart: str, kind: str, op_id: str | None = None, **fields: Any
    ) -> asyncio.Task[Message]:
        """Send an op, under the next number unless `op_id` is given."""
        op_id = op_id or self.next_op_id()
        return self.start("cart.op", cart=cart, op_id=op_id, op={"kind": kind, **fields})

    async def op(self, cart: str, kind: str, op_id: str | None = None, **fields: Any) -> Message:
        """Send an op that must succeed; returns its reply."""
        return succeeded(await self.start_op(cart, kind, op_id, **fields))

    async def op_refusal(
        self, code: str, cart: str, kind: str, op_id: str | None = None, **fields: Any
    ) -> Message:
        """Send an op that must be refused with `code`; returns the error."""
        return refused(await self.start_op(cart, kind, op_id, **fields), code)

    async def add(self, cart: str, sku: str, qty: int = 1, **fields: Any) -> str:
        """Add pieces of one product; returns the line."""
        reply = await self.op(cart, "add", items=[{"sku": sku, "qty": qty, **fields}])
        return reply["results"][0]["line"]

    async def share(self, cart: str, *accounts: Account, role: str = "editor") -> Message:
        users = [{"user": account.user, "role": role} for account in accounts]
        return await self.op(cart, "share", users=users)

    async def state(self, cart: str) -> Message:
        """The cart's state, as a join without `rev` answers it."""
        return (await self.join(cart))["state"]

    # What comes in

    async def push(self, types: str | tuple[str, ...], cart: str | None = None) -> Message:
        """The first push of these types that was not asked for yet; waits for one."""
        types = (types,) if isinstance(types, str) else types

        def found() -> Message | None:
            for push in self.pushes:
                if push["type"] in types and cart in (None, push.get("cart")):
                    return push
            return None

        push = await self._until(found, f"no push {types}")
        self.pushes.remove(push)
        return push

    async def reach(self, cart: str, rev: int) -> list[int]:
        """Wait until `rev` has come; returns the cart's revs in the order of their coming."""
        await self._until(lambda: rev in self.revs.get(cart, ()), f"rev {rev} did not come")
        return self.revs[cart]

    async def error(self) -> Message:
        """The first error that answers no request; waits for one."""
        error = await self._until(lambda: self.errors[0] if self.errors else None, "no error")
        self.errors.remove(error)
        return error

    async def _until(self, predicate: Any, what: str) -> Any:
        try:
            async with asyncio.timeout(WAIT_S), self._news:
                while not (found := predicate()):
                    assert not self._reader.done(), f"{what}; the socket closed"
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"{what} within {WAIT_S} s") from None

    async def closed(self) -> int:
        """Wait until the server has closed; returns the close code."""
        async with asyncio.timeout(WAIT_S):
            await asyncio.shield(self._reader)
        assert self.socket.close_code is not None
        return self.socket.close_code

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                self._sort(json.loads(frame))
                async with self._news:
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        finally:
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(ConnectionError("closed before the reply"))
                    reply.exception()  # not every test waits for it
            async with self._news:
                self._news.notify_all()

    def _sort(self, message: Message) -> None:
        self.frames.append(message)
        if message["type"] == "cart.ops":
            revs = [op["rev"] for op in message["ops"]]
            self.revs.setdefault(message["cart"], []).extend(revs)
        elif message["type"] == "ok" and "op" in message:
            self.revs.setdefault(message["cart"], []).append(message["rev"])
        if "id" not in message:
            self.pushes.append(message)
        elif (reply := self._replies.pop(message["id"], None)) is None:
            self.errors.append(message)
        elif not reply.done():  # who asked may have given up
            reply.set_result(message)

    async def greet(self, account: Account) -> None:
        self.welcome = await self.ask("hello", client=self.client, token=account.token)
        assert self.welcome["type"] == "welcome", self.welcome

    async def close(self) -> None:
        await self.socket.close()
        await self._reader


async def read_to_the_end(socket: ClientConnection) -> tuple[list[Message], int | None]:
    """Every message until the close, and its code."""
    messages: list[Message] = []
    async with asyncio.timeout(WAIT_S):
        try:
            while True:
                messages.append(json.loads(await socket.recv()))
        except ConnectionClosed:
            return messages, socket.close_code


def succeeded(reply: Message) -> Message:
    if reply["type"] == "error":
        raise Refused(f"{reply}")
    return reply


def refused(reply: Message, code: str) -> Message:
    assert reply["type"] == "error", reply
    assert reply["code"] == code, reply
    return reply


@dataclass
class Door:
    """A service at `url`, wherever it runs."""

    url: str
    http: ClientSession

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/ws"

    async def account(self, name: str = "Ana") -> Account:
        """A new account, registered over REST."""
        body = {
            "email": f"{uuid.uuid4().hex}@shop.example",
            "password": "correct horse",
            "name": name,
        }
        async with self.http.post(f"{self.url}/api/v1/auth/register", json=body) as response:
            answer = await response.json()
            assert response.status == 201, answer
        return Account(answer["user"]["id"], name, answer["access_token"])

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[ClientConnection]:
        """A bare WebSocket that has said nothing."""
        settings = {
            "subprotocols": [Subprotocol("cartroom.v1")],
            "ping_interval": None,
            "max_size": None,
            "proxy": None,
            "open_timeout": WAIT_S,
            "close_timeout": 2,
            **options,
        }
        async with open_socket(self.ws_url, **settings) as socket:
            yield socket

    @asynccontextmanager
    async def connect(self, account: Account, client: str | None = None) -> AsyncIterator[Client]:
        """A client that has said `hello`."""
        async with self.socket() as socket:
            connected = Client(socket, account, client or str(uuid.uuid4()))
            try:
                await connected.greet(account)
                yield connected
            finally:
                await connected.close()


@dataclass
class Server(Door):
    """A service in this process, on a free port."""

    app: web.Application
    runner: web.AppRunner

    @property
    def hub(self) -> Hub:
        return self.app[keys.HUB]

    async def products(self, *products: Product) -> None:
        """Put products into the catalog. One that was looked up before may be seen 2 s late."""
        await Products(self.app[keys.DATABASE]).upsert([to_document(one) for one in products])

    async def stop(self) -> None:
        """Stop as `cartroom serve` does."""
        await close(self.runner, drain_s=10.0)


class Ahead:
    """Moves the clocks by which a server looks after its sockets and rooms on, by so much."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic_s = 0.0
        self.wall_s = 0.0
        clock = server.hub.services.clock
        monotonic, wall_ms = clock.monotonic, clock.wall_ms
        monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + self.monotonic_s)
        monkeypatch.setattr(clock, "wall_ms", lambda: wall_ms() + round(self.wall_s * 1_000))


@asynccontextmanager
async def running_server(
    settings: Settings, *, may_log_errors: bool = False
) -> AsyncIterator[Server]:
    """The service under `settings`, on a free port. Fails if it logged an error meanwhile."""
    app = create_app(settings)
    runner = Runner(app, access_log=None, shutdown_timeout=2.0)
    with nullcontext() if may_log_errors else no_errors_logged():
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            async with ClientSession() as http:
                yield Server(f"http://{host}:{port}", http, app, runner)
        finally:
            if runner.server is not None:
                # What it can't settle it logs as an error.
                await close(runner, drain_s=10.0 if may_log_errors else PATIENCE_S)


@contextmanager
def no_errors_logged() -> Iterator[None]:
    """Fail when anything is logged as an error, unhandled exceptions of asyncio included."""
    errors: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            errors.append(logging.Formatter("%(name)s: %(message)s").format(record))

    handler = Collect(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    assert not errors, errors[:3]


@asynccontextmanager
async def cart_room(*servers: Door, roles: tuple[str, ...] = ()) -> AsyncIterator[Room]:
    """A cart with an owner and a member of each role, all connected and joined.

    With several servers the members are spread over them.
    """
    async with AsyncExitStack() as exits:
        accounts = [await servers[0].account(f"Member {index}") for index in range(len(roles) + 1)]
        clients = [
            await exits.enter_async_context(servers[index % len(servers)].connect(account))
            for index, account in enumerate(accounts)
        ]
        owner = clients[0]
        cart = await owner.create(name="Picnic")
        for account, client, role in zip(accounts[1:], clients[1:], roles, strict=True):
            await owner.share(cart, account, role=role)
            await client.join(cart)
        yield Room(cart, accounts, clients)


@dataclass
class Room:
    cart: str
    accounts: list[Account]
    clients: list[Client]

    @property
    def owner(self) -> Client:
        return self.clients[0]


APPLE = Product("APPLE", "Apple", 50, "EUR", 10)
BREAD = Product("BREAD", "Rye bread", 420, "EUR", None)
CIDER = Product("CIDER", "Cider, 0.7 l", 750, "GBP", 5)


async def until_equal(read: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Wait until what `read` gives is as expected."""
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while (value := await read()) != expected:
        assert asyncio.get_running_loop().time() < deadline, (value, expected)
        await asyncio.sleep(0.02)
