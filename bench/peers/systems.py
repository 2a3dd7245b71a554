"""What is compared: how each system is started, what its acknowledgement promises, and how what it
has stored is counted."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pymongo

from bench.peers.dialects import CartroomSeat, ShareDbSeat, SocketIoSeat, accounts
from bench.peers.room_load import SKUS, Plan, Room, Seat, Tally
from bench.peers.stores import CannotRunError, Cores, Stores, address, on_core, process, said
from bench.peers.yjs import HocuspocusSeat

FOLDER = Path(__file__).resolve().parent
Document = dict[str, Any]
MakeSeat = Callable[[Tally, Room, int, int | None], Seat]


@dataclass(frozen=True)
class System:
    """`acked` says what has happened when an op is acknowledged; `stores` on which it is run,
    `stub` which module is the stub among them.

    `stored_pieces` counts the pieces of each cart, by its id, as they are in the store.
    """

    name: str
    acked: str
    stores: tuple[str, ...]
    packages: tuple[str, ...]
    seat: MakeSeat | None
    script: str | None
    stored_pieces: Callable[[pymongo.database.Database[Document]], dict[str, int]] | None
    stub: str = "bench.store_stub"


def _cartroom_pieces(database: pymongo.database.Database[Document]) -> dict[str, int]:
    pieces: dict[str, int] = {}
    for commit in database["cart_ops"].find():
        adds = [op["op"] for op in commit["ops"] if op["op"]["kind"] == "add"]
        added = sum(item["qty"] for op in adds for item in op["items"])
        pieces[commit["cart"]] = pieces.get(commit["cart"], 0) + added
    return pieces


def _share_db_pieces(database: pymongo.database.Database[Document]) -> dict[str, int]:
    return {cart["_id"]: sum(cart["lines"].values()) for cart in database["carts"].find()}


def _socket_io_pieces(database: pymongo.database.Database[Document]) -> dict[str, int]:
    pieces: dict[str, int] = {}
    for op in database["cart_ops"].find():
        added = sum(item["qty"] for item in op["op"]["items"])
        pieces[op["cart"]] = pieces.get(op["cart"], 0) + added
    return pieces


SYSTEMS = (
    System(
        "Cartroom",
        "the op is in the log",
        ("embedded", "stub"),
        (),
        None,
        None,
        _cartroom_pieces,
    ),
    System(
        "ShareDB",
        "op and snapshot are written",
        ("embedded", "stub"),
        ("sharedb", "sharedb-mongo", "sharedb-redis-pubsub"),
        ShareDbSeat,
        "sharedb.mjs",
        _share_db_pieces,
        stub="bench.peers.remembering_stub",
    ),
    System(
        "Socket.IO",
        "the op is inserted",
        ("embedded", "stub"),
        ("socket.io", "@socket.io/redis-streams-adapter"),
        SocketIoSeat,
        "socketio.mjs",
        _socket_io_pieces,
    ),
    System(
        "Hocuspocus",
        "applied in memory",
        ("none",),
        ("@hocuspocus/server", "@hocuspocus/extension-redis", "yjs"),
        HocuspocusSeat,
        "hocuspocus.mjs",
        None,
    ),
)


def missing() -> str | None:
    """Why the peers can't be run here; None when they can."""
    if shutil.which("node") is None:
        return "there is no node: install Node.js 20 or later"
    if not (FOLDER / "node_modules").is_dir():
        return "the peers are not installed: npm ci --prefix bench/peers"
    return None


def versions(system: System) -> str:
    """Of the system and its adapters, from what is installed."""
    if not system.packages:
        from server import __version__

        return __version__
    found = []
    for package in system.packages:
        text = (FOLDER / "node_modules" / package / "package.json").read_text()
        found.append(f"{package} {json.loads(text)['version']}")
    return ", ".join(found)


@dataclass(frozen=True)
class Running:
    host: str
    port: int
    pid: int
    make_seat: MakeSeat


@contextlib.asynccontextmanager
async def running(
    system: System, stores: Stores, plan: Plan, cores: Cores
) -> AsyncIterator[Running]:
    """The system's server, alone on its core, with what the seats need to sign in."""
    env = stores.environment()
    if system.script is None:
        env = cartroom_environment(stores)
        await _import_products(stores, env)
        command = [sys.executable, "-m", "server.cli", "serve"]
    else:
        node = shutil.which("node")
        assert node is not None
        command = [node, str(FOLDER / "servers" / system.script)]
    async with contextlib.AsyncExitStack() as exits:
        with on_core(cores.server):
            server = await exits.enter_async_context(
                process(*command, folder=stores.folder, env=env)
            )
        host, port = await address(server, stores.folder)
        make_seat = system.seat or partial(
            CartroomSeat, await accounts(f"http://{host}:{port}", plan.room)
        )
        yield Running(host, port, server.pid, make_seat)


def cartroom_environment(stores: Stores) -> dict[str, str]:
    """As peers get it: the same write concern, `w: majority` without `j`."""
    return {
        "MONGODB_URL": stores.mongodb_url,
        "REDIS_URL": stores.redis_url,
        "CARTROOM_DATABASE": stores.database,
        "CARTROOM_JOURNAL": "0",
        "CARTROOM_PORT": "0",
        "CARTROOM_DATA": str(stores.folder / "cartroom"),
        "CARTROOM_BCRYPT_COST": "4",
        "CARTROOM_JWT_SECRET": secrets.token_hex(32),
        "CARTROOM_LOG_LEVEL": "WARNING",
        "CARTROOM_SOCKETS_PER_MINUTE": "1000000",
    }


async def _import_products(stores: Stores, env: Mapping[str, str]) -> None:
    file = stores.folder / "products.jsonl"
    price = {"amount": 1290, "currency": "EUR"}
    rows = [{"sku": sku, "name": f"Product {sku}", "price": price} for sku in SKUS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = (sys.executable, "-m", "server.cli", "import", str(file))
    async with process(*command, folder=stores.folder, env=env) as importing:
        assert importing.stdout is not None
        await importing.stdout.read()
        if await importing.wait():
            raise CannotRunError(f"the products were not imported: {said(stores.folder)}")


def stored_pieces(system: System, stores: Stores) -> dict[str, int] | None:
    """Pieces of each cart by the store's word; None where the store keeps nothing."""
    if system.stored_pieces is None or "stub" in stores.pids:
        return None
    client: pymongo.MongoClient[Document]
    with pymongo.MongoClient(stores.truth_url) as client:
        return system.stored_pieces(client[stores.database])
