"""Load on a running service: N sockets in rooms of R, closed loop or open loop.

    python bench/load.py --url http://127.0.0.1:8080 --sockets 400 --room 4 --rate 3000

Open loop (`--rate`): ops are sent at their scheduled times, and latency counts from those, so a
server that falls behind can't hide it. Closed loop (without): each socket keeps `--in-flight` ops
under way. Every op adds a piece of a random product. The server must allow the accounts to be
made (CARTROOM_AUTH_ATTEMPTS_PER_MINUTE) and have products without tracked stock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import cpu_s, distribution_ms, resident_bytes, table
from bench.socket_client import LoadSocket, connect

JOINS_AT_ONCE = 20
SETTLE_S = 2.0
DELIVERY_SAMPLE = 8
PASSWORD = "a password for the bench"


@dataclass
class Seat:
    """A socket in a room, and what it waits for."""

    socket: LoadSocket | None = None
    client: str = field(default_factory=lambda: str(uuid.uuid4()))
    cart: str = ""
    n: int = 0
    waiting: dict[int, float] = field(default_factory=dict)
    replies: dict[int, asyncio.Future[dict[str, object]]] = field(default_factory=dict)


class Load:
    """The whole run: seats, and what came back."""

    def __init__(self, args: argparse.Namespace, skus: list[str]) -> None:
        parts = urlsplit(args.url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.args = args
        self.skus = skus
        self.seats: list[Seat] = []
        self.ack_s: list[float] = []
        self.delivery_s: list[float] = []
        self.deliveries = 0
        self.errors: dict[str, int] = {}
        self.sent_at: dict[bytes, float] = {}
        self.running = True

    async def open_room(self, tokens: list[str], users: list[str]) -> None:
        seats = [Seat() for _ in tokens]
        for seat, token in zip(seats, tokens, strict=True):
            seat.socket = await connect(
                self.host, self.port, "/ws", lambda _, frame, seat=seat: self.on_frame(seat, frame)
            )
            await self.ask(seat, 1, type="hello", client=seat.client, token=token)
        first, *others = seats
        first.n = 2
        created = await self.ask(first, 2, type="cart.create", op_id=f"{first.client}:1")
        cart = str(created["cart"])
        share = {
            "kind": "share",
            "users": [{"user": user, "role": "editor"} for user in users[1:]],
        }
        if others:
            op_id = f"{first.client}:2"
            await self.ask(first, 3, type="cart.op", cart=cart, op_id=op_id, op=share)
        for seat in others:
            await self.ask(seat, 2, type="cart.join", cart=cart)
        for seat in seats:
            seat.cart = cart
        self.seats += seats

    async def ask(self, seat: Seat, request: int, **message: object) -> dict[str, object]:
        """Send a request of the set-up and wait for its answer; a refusal ends the run."""
        reply: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        seat.replies[request] = reply
        assert seat.socket is not None
        seat.socket.send(json.dumps({"id": request, **message}).encode())
        answer = await asyncio.wait_for(reply, 60)
        if answer["type"] == "error":
            raise SystemExit(f"The set-up was refused: {answer}")
        return answer

    def send_op(self, seat: Seat, scheduled: float) -> None:
        seat.n += 1
        request = seat.n + 100
        seat.waiting[request] = scheduled
        if seat.n % DELIVERY_SAMPLE == 0:
            self.sent_at[f"{seat.client}:{seat.n}".encode()] = scheduled
        assert seat.socket is not None
        seat.socket.send(
            b'{"id":%d,"type":"cart.op","cart":"%b","op_id":"%b:%d",'
            b'"op":{"kind":"add","items":[{"sku":"%b","qty":1}]}}'
            % (
                request,
                seat.cart.encode(),
                seat.client.encode(),
                seat.n,
                random.choice(self.skus).encode(),
            )
        )

    def on_frame(self, seat: Seat, frame: bytes) -> None:
        if frame.startswith(b'{"id":'):
            self.on_reply(seat, frame)
        elif frame.startswith(b'{"type":"cart.ops"'):
            self.deliveries += frame.count(b'"rev":')
            if self.sent_at:
                self.note_deliveries(frame)

    def on_reply(self, seat: Seat, frame: bytes) -> None:
        request = int(frame[6 : frame.index(b",")])
        reply = seat.replies.pop(request, None)
        if reply is not None:
            reply.set_result(json.loads(frame))
            return
        scheduled = seat.waiting.pop(request, None)
        if scheduled is None:
            return
        if b'"type":"ok"' in frame[:64]:
            self.ack_s.append(time.perf_counter() - scheduled)
        else:
            code = str(json.loads(frame)["code"])
            self.errors[code] = self.errors.get(code, 0) + 1
        if self.args.rate is None and self.running:
            self.send_op(seat, time.perf_counter())

    def note_deliveries(self, frame: bytes) -> None:
        """Latencies of the sampled ops in a push, once for each socket that gets it."""
        now = time.perf_counter()
        at = frame.find(b'"op_id":"')
        while at >= 0:
            end = frame.index(b'"', at + 9)
            scheduled = self.sent_at.get(frame[at + 9 : end])
            if scheduled is not None:
                self.delivery_s.append(now - scheduled)
            at = frame.find(b'"op_id":"', end)

    async def run_open(self, rate: float, seconds: float) -> None:
        start = time.perf_counter()
        total, sent = int(rate * seconds), 0
        while sent < total:
            due = min(total, int((time.perf_counter() - start) * rate) + 1)
            while sent < due:
                self.send_op(random.choice(self.seats), start + sent / rate)
                sent += 1
            await asyncio.sleep(0.001)

    async def run_closed(self, in_flight: int, seconds: float) -> None:
        for seat in self.seats:
            for _ in range(in_flight):
                self.send_op(seat, time.perf_counter())
        await asyncio.sleep(seconds)
        self.running = False

    def reset(self) -> None:
        """Forget what the warm-up measured."""
        self.ack_s.clear()
        self.delivery_s.clear()
        self.deliveries = 0
        self.sent_at.clear()


async def accounts(url: str, count: int) -> tuple[list[str], list[str]]:
    """Tokens and ids of new accounts, made through the front door."""
    tokens: list[str] = []
    users: list[str] = []
    async with aiohttp.ClientSession() as http:
        for index in range(count):
            body = {
                "email": f"bench-{uuid.uuid4().hex}@bench.example",
                "password": PASSWORD,
                "name": f"Bench {index}",
            }
            async with http.post(f"{url}/api/v1/auth/register", json=body) as response:
                answer = await response.json()
                if response.status != 201:
                    raise SystemExit(f"No account: {answer}")
                tokens.append(answer["access_token"])
                users.append(answer["user"]["id"])
    return tokens, users


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
        raise SystemExit("The catalog has no product in EUR without tracked stock.")
    return skus


async def run(args: argparse.Namespace) -> dict[str, object]:
    load = Load(args, await untracked_skus(args.url))
    tokens, users = await accounts(args.url, args.room)
    rooms = args.sockets // args.room
    before = resident_bytes(args.pid) if args.pid else 0
    started = time.perf_counter()
    for first in range(0, rooms, JOINS_AT_ONCE):
        count = min(JOINS_AT_ONCE, rooms - first)
        await asyncio.gather(*(load.open_room(tokens, users) for _ in range(count)))
    joined_s = time.perf_counter() - started
    after = resident_bytes(args.pid) if args.pid else 0
    if args.rate:
        await load.run_open(args.rate / 2, args.warmup)
        await asyncio.sleep(SETTLE_S)
    load.reset()
    cpu = cpu_s(args.pid) if args.pid else 0.0
    began = time.perf_counter()
    if args.rate:
        await load.run_open(args.rate, args.seconds)
    else:
        await load.run_closed(args.in_flight, args.seconds)
    elapsed_s = time.perf_counter() - began
    acked = len(load.ack_s)
    used = (cpu_s(args.pid) - cpu) if args.pid else 0.0
    await asyncio.sleep(SETTLE_S)
    return {
        "sockets": len(load.seats),
        "room": args.room,
        "loop": f"open {args.rate}/s" if args.rate else f"closed, {args.in_flight} in flight",
        "ops_per_s": round(acked / elapsed_s),
        "unanswered": sum(len(seat.waiting) for seat in load.seats) if args.rate else 0,
        "errors": load.errors,
        "ack_ms": distribution_ms(load.ack_s),
        "delivery_ms": distribution_ms(load.delivery_s),
        "deliveries": load.deliveries,
        "server_cpu_ms_per_1000_ops": round(used * 1e6 / acked, 1) if acked else None,
        "joined_s": round(joined_s, 2),
        "bytes_per_joined_socket": (after - before) // max(1, len(load.seats)),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--sockets", type=int, default=400)
    parser.add_argument("--room", type=int, default=4)
    parser.add_argument("--rate", type=float, help="ops a second, open loop; else closed loop")
    parser.add_argument("--in-flight", type=int, default=1, help="ops a socket, closed loop")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warmup", type=float, default=3.0)
    parser.add_argument("--pid", type=int, help="the server's process, for CPU and memory")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    figures = uvloop.run(run(args))
    print(table([figures]))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
