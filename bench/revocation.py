"""How soon who signs out on one instance is out on another, and what looking for it costs.

    python -m bench.revocation MONGODB_URL REDIS_URL

Two instances in this process, on a database of their own that is dropped in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web

from bench.accounts import Population
from bench.figures import distribution_ms, median_ms
from bench.fleet import Account
from commerce.accounts.principal import Principal
from handlers import keys
from realtime.signin_checks import BATCH_MAX
from server.app import create_app
from server.lifecycle import close
from server.settings import Settings
from storage.mongo import Database

SIGN_INS: Final = 10_000
SIGNED_OUT: Final = 100
ROUNDS: Final = 5
CLOSED: Final = 4503


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[str, web.Application]]:
    """The service on a free port: its address, and itself."""
    runner = web.AppRunner(create_app(settings), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}", runner.app  # type: ignore[misc]
    finally:
        await close(runner, drain_s=1.0)


async def connect(
    http: aiohttp.ClientSession, url: str, account: Account
) -> aiohttp.ClientWebSocketResponse:
    socket = await http.ws_connect(f"{url}/ws", protocols=("cartroom.v1",))
    hello = {"id": 1, "type": "hello", "client": str(uuid.uuid4()), "token": account.token}
    await socket.send_str(json.dumps(hello))
    assert (await socket.receive_json())["type"] == "welcome"
    return socket


async def sign_out(
    http: aiohttp.ClientSession, here: str, there: str, account: Account
) -> tuple[float, float]:
    """Seconds from asking to sign out `here` until the socket `there` is closed, and the answer."""
    socket = await connect(http, there, account)
    headers = {"Authorization": f"Bearer {account.token}"}
    started_s = time.perf_counter()

    async def until_closed() -> float:
        while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pass
        return time.perf_counter() - started_s

    closed = asyncio.create_task(until_closed())
    async with http.post(f"{here}/api/v1/auth/logout", headers=headers) as response:
        assert response.status == 204
        answered_s = time.perf_counter() - started_s
    closed_s = await closed
    await socket.close()
    assert socket.close_code == CLOSED, socket.close_code
    return closed_s, answered_s


async def look_for_all(
    ended: Callable[[list[Principal]], Awaitable[set[str]]], principals: list[Principal]
) -> list[float]:
    """Seconds a batch, of one round over all sign-ins."""
    took_s = []
    for first in range(0, len(principals), BATCH_MAX):
        started_s = time.perf_counter()
        assert await ended(principals[first : first + BATCH_MAX]) == set()
        took_s.append(time.perf_counter() - started_s)
    return took_s


def principal_of(account: Account) -> Principal:
    session = f"ses_{account.user.removeprefix('usr_')}"
    return Principal(account.user, "", session, 0, "customer", False, True, "token", 0.0)


async def run(mongodb_url: str, redis_url: str) -> None:
    name = f"bench_{secrets.token_hex(6)}"
    database = Database(mongodb_url, name, journal=False)
    try:
        people = await Population.settle(database, users=SIGN_INS, products=1, bcrypt_cost=4)
        settings = Settings(
            mongodb_url=mongodb_url,
            redis_url=redis_url,
            mongodb_database=name,
            jwt_secret=people.secret,
            journal=False,
        )
        async with AsyncExitStack() as exits:
            http = await exits.enter_async_context(aiohttp.ClientSession())
            here, app = await exits.enter_async_context(serving(settings))
            there, _ = await exits.enter_async_context(serving(settings))
            principals = [principal_of(one) for one in people.accounts]
            ended = app[keys.SESSIONS].ended
            wall_s, cpu_s = [], []
            for _ in range(ROUNDS):
                before_s = time.process_time()
                wall_s += await look_for_all(ended, principals)
                cpu_s.append(time.process_time() - before_s)
            print(f"a batch of {BATCH_MAX}: {median_ms(wall_s)} ms, median")
            print(f"a round over {SIGN_INS:,}: {min(cpu_s) * 1_000:.0f} ms of our CPU, the least")
            pairs = [await sign_out(http, here, there, one) for one in people.take(SIGNED_OUT)]
            for what, number in (("until the other's socket is closed", 0), ("until answered", 1)):
                print(f"{what}: {distribution_ms([pair[number] for pair in pairs])} ms")
    finally:
        await database.drop()
        database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("mongodb_url")
    parser.add_argument("redis_url")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.mongodb_url, arguments.redis_url))


if __name__ == "__main__":
    main()
