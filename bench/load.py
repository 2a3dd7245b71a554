"""Load on a service that runs already: N sockets in rooms of R, closed loop or open loop.

    python -m bench.load --url http://127.0.0.1:8080 --sockets 400 --rate 3000 --pid 4711

Open loop (`--rate`): ops are sent at their scheduled times, and latency counts from those, so a
server that falls behind can't hide it. Closed loop (without): each socket keeps `--in-flight` ops
under way. Every op adds a piece of a random product. `--url` may be given once an instance; then
the seats of every room are spread over them. The accounts are made through the front door, so the
service must allow that (CARTROOM_AUTH_ATTEMPTS_PER_MINUTE, CARTROOM_SOCKETS_PER_MINUTE) and have
products without tracked stock.
`python -m bench` brings its own service, and is what measures for the record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from pathlib import Path
from typing import Any

import aiohttp

from bench.figures import table
from bench.fleet import Account, Fleet, SetUpError
from bench.loops import Plan, measure
from bench.surroundings import allow_open_files
from server.lifecycle import run

PASSWORD = "a password for the bench"


async def register(url: str, count: int) -> list[Account]:
    """New accounts, made through the front door."""
    accounts: list[Account] = []
    async with aiohttp.ClientSession() as http:
        for index in range(count):
            email = f"bench-{uuid.uuid4().hex}@bench.example"
            body = {"email": email, "password": PASSWORD, "name": f"Bench {index}"}
            async with http.post(f"{url}/api/v1/auth/register", json=body) as response:
                answer = await response.json(content_type=None)
                if response.status != 201:
                    raise SetUpError(f"no account: {answer}")
                accounts.append(Account(answer["user"]["id"], answer["access_token"]))
    return accounts


async def untracked_skus(url: str) -> list[str]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{url}/api/v1/catalog/products", params={"limit": 100}) as response,
    ):
        items = (await response.json())["items"]
    skus = [
        item["sku"]
        for item in items
        if item["available"] is None and item["price"]["currency"] == "EUR"
    ]
    if not skus:
        raise SetUpError("the catalog has no product in EUR without tracked stock")
    return skus


async def load(args: argparse.Namespace) -> dict[str, Any]:
    allow_open_files()
    fleet = Fleet(args.url, (await untracked_skus(args.url[0]))[: args.skus])
    # The same people in every room: an account each would take longer than the run.
    people = await register(args.url[0], args.room)
    rooms = args.sockets // args.room
    await fleet.open_rooms(people * rooms, args.room, lambda _room, seat: seat % len(args.url))
    plan = Plan(
        args.seconds,
        args.warmup,
        rate=args.rate,
        in_flight=args.in_flight,
        churn_per_s=args.churn,
    )
    pids = {f"server {index}": [pid] for index, pid in enumerate(args.pid)}
    figures = await measure(fleet, plan, pids)
    await fleet.close()
    return figures


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", action="append", help="of an instance; may be repeated")
    parser.add_argument("--pid", action="append", type=int, help="of an instance, for its CPU time")
    parser.add_argument("--sockets", type=int, default=400)
    parser.add_argument("--room", type=int, default=4, help="sockets a room (default 4)")
    parser.add_argument("--rate", type=float, help="ops a second, open loop; else closed loop")
    parser.add_argument("--in-flight", type=int, default=1, help="ops a socket, closed loop")
    parser.add_argument("--churn", type=float, default=0.0, help="sockets that leave a second")
    parser.add_argument("--skus", type=int, default=20, help="products to choose from (default 20)")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warmup", type=float, default=3.0)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    args = parser.parse_args(argv)
    args.url = args.url or ["http://127.0.0.1:8080"]
    args.pid = args.pid or []
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    try:
        figures = run(load(args))
    except (SetUpError, aiohttp.ClientError, OSError) as error:
        print(f"bench.load: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    print(table([{"what": name, "": value} for name, value in figures.items()]))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
